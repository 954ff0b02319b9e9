"""Say what this machine has of what a build needs, and how to get the rest."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Check Python, packages, ffmpeg, disk, yt-dlp, JavaScript runtimes, cookies, weights and GPU.

    Exit status 1 when something is missing that is needed: always, or for the manifest or address given. Nothing is
    contacted but the address, and nothing is installed.
    """

    manifest: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A list of videos: check what its sources need."""
    url: Annotated[str, tyro.conf.arg(metavar="URL")] = ""
    """The address of one video: check what it needs, and ask its site whether it can be had."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("data")
    """Where the dataset would lie."""
    cookies: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """A cookies.txt in Netscape format."""
    cookies_from_browser: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """A browser of this machine whose cookies to use."""
    proxy: Annotated[str, tyro.conf.arg(metavar="URL")] = ""
    """A proxy for the address."""
    allow_local: bool = False
    """Let the address be one that is not public."""

    def run(self) -> int:
        """Print a line for each check; 1 when something needed is missing."""
        from chdtf.manifest import read_manifest
        from pipelines.acquire import doctor
        from pipelines.acquire.fetch import Network

        network = Network(self.allow_local, self.cookies, self.cookies_from_browser, self.proxy)
        urls = [row.url for row in read_manifest(self.manifest)] if self.manifest else []
        checks = doctor.examine([*urls, *([self.url] if self.url else [])], network, self.out)
        if self.url:
            checks.append(doctor.address(self.url, network))
        width = max(len(check.name) for check in checks)
        for check in checks:
            need = " (needed)" if check.is_fatal else ""
            say(f"{check.state:<8} {check.name:<{width}}  {check.found}{need}  [{check.purpose}]")
            if check.remedy:
                say(f"{'':<8} {'':<{width}}  -> {check.remedy}")
        fatal = [check.name for check in checks if check.is_fatal]
        say(f"Needed and not there: {', '.join(fatal)}" if fatal else "All that is needed is there.")
        return 1 if fatal else 0
