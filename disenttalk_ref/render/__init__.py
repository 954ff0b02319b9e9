"""Coefficients + source -> frames. The folder is the registry: what lies here is a renderer, helpers apart.

A renderer is a module or a folder of this package with `RENDERER`: a frozen dataclass that fulfils
`disenttalk_ref.render.renderer.Renderer` and whose fields, each with a default, are its options. Names that begin with
an underscore, and the modules in `_HELPERS`, are no renderers.
"""

import importlib
from pathlib import Path
from typing import Any

from chdtf.errors import UserError
from disenttalk_ref.render.renderer import Portrait, Renderer

__all__ = ["DEFAULT_RENDERER", "Portrait", "Renderer", "load_renderer", "renderer_names"]

DEFAULT_RENDERER = "mesh_warp"
_HELPERS = ("ahead", "limits", "renderer", "source_face", "watermark")


def renderer_names() -> tuple[str, ...]:
    """The renderers by name, sorted."""
    folder = Path(__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return tuple(sorted(name for name in modules - set(_HELPERS) if not name.startswith("_")))


def load_renderer(name: str = DEFAULT_RENDERER, **options: Any) -> Renderer:
    """A renderer by name, with its options (fields of its dataclass).

    Raises `UserError` when there is none of that name, or when it needs a file that the user has not supplied;
    `TypeError` for an option that it does not have.
    """
    if name not in renderer_names():
        raise UserError(f"{name}: no such renderer; there are {', '.join(renderer_names())}")
    renderer: Renderer = importlib.import_module(f"{__name__}.{name}").RENDERER(**options)
    return renderer
