"""leaderboard.html: the tables, and what the browser needs to open a clip, in one file that asks for nothing outside.

The tables are plain HTML that Python writes; the script only sorts and hides what is there, and draws single clips.
The policy in the head names the hashes of the one style and the one script: nothing that came in with a name or a
reason can run, and nothing is loaded but videos beside the page.
"""

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from benchmark.page.pack import as_script, pack
from benchmark.page.view import view
from chdtf.files import write_text

PAGE = "leaderboard.html"
VERSION = 1  # of the data that this page reads: benchmark.tables.page_data
_HERE = Path(__file__).parent
_SCRIPTS = ("table.js", "player.js", "curves.js", "clips.js", "start.js")


def write_page(data: dict[str, Any], folder: Path) -> Path:
    """Write leaderboard.html into `folder`, whole or not at all; returns its path.

    `data` is what `benchmark.tables.page_data` gives: its paths are relative to `folder`. The same data gives the same
    bytes. Raises ValueError when the data are of another version.
    """
    path = folder / PAGE
    write_text(path, render(data))
    return path


def render(data: dict[str, Any]) -> str:
    """The whole page. Raises ValueError when the data are of another version."""
    if data["version"] != VERSION:
        raise ValueError(f"page data of version {data['version']}; this page reads version {VERSION}")
    style = _text("style.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_text(name) for name in _SCRIPTS) + "})();\n"
    page: str = _template().render(
        view=view(data),
        has_clips=bool(data["clips"]),
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - the project's own file
        script=Markup(script),  # noqa: S704 - the project's own files
        data=Markup(as_script(pack(data))),  # noqa: S704 - as_script leaves no character that ends a script
    )
    return page


@functools.cache  # to compile it takes longer than to print a page
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content security policy. `file:` is for browsers that do not count a page on disk as its own neighbour."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "media-src 'self' file:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
