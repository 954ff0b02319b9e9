"""The order of stages, stated once, and how their settings are changed by name."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chdtf.errors import UserError
from chdtf.stage import Stage
from pipelines.acquire.fetch import Network

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def chdtf_recipe(
    manifest_folder: Path = Path(), allow_local: bool = False, network: Network | None = None
) -> tuple[Stage, ...]:
    """The stages of a CHDTF-style dataset with their default settings, in order.

    `manifest_folder` is what relative `file:` URLs count from; `allow_local` lets a manifest name files of this
    machine and addresses that are not public; `network` says how to get to the others.
    """
    from pipelines.stages import cut, download, fit, landmarks, quality, resample, track

    network = network or Network()
    here = {"allow_local": allow_local}
    return (
        download.Stage(manifest_folder=str(manifest_folder), **(dataclasses.asdict(network) | here)),
        cut.Stage(),
        track.Stage(),
        resample.Stage(),
        landmarks.Stage(),
        fit.Stage(),
        quality.Stage(),
    )


def configured(stages: Sequence[Stage], settings: Sequence[str]) -> tuple[Stage, ...]:
    """The stages with settings changed, each `STAGE.FIELD=VALUE`, such as `cut.max_clip_s=20`; `none` is null.

    Raises `UserError` for a stage or field that there is not, and for a value of another type.
    """
    changed = {stage.name: stage for stage in stages}
    for setting in settings:
        place, equals, text = setting.partition("=")
        name, dot, field = place.partition(".")
        if not (equals and dot):
            raise UserError(f"--set {setting!r}: write STAGE.FIELD=VALUE, such as cut.max_clip_s=20")
        stage = changed.get(name)
        if stage is None:
            raise UserError(f"--set {setting!r}: no stage {name!r}; there are {', '.join(changed)}")
        fields = {f.name for f in dataclasses.fields(stage) if f.init}  # type: ignore[arg-type]
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(fields))}"
            raise UserError(f"--set {setting!r}: stage {name} has no setting {field!r}; {hint}")
        kind = typing.get_type_hints(type(stage))[field]
        changed[name] = dataclasses.replace(stage, **{field: _value(setting, text, kind)})  # type: ignore[type-var]
    return tuple(changed.values())


def _value(setting: str, text: str, kind: Any) -> Any:
    """The text as a value of a field's type."""
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if type(None) in kinds and text.lower() == "none":
        return None
    for one in kinds:
        try:
            if one is bool:
                return _WORDS[text.lower()]
            if one in (int, float, str):
                return one(text)
            if typing.get_origin(one) is typing.Literal and text in typing.get_args(one):
                return text
        except (ValueError, KeyError):
            continue
    allowed = getattr(kind, "__name__", str(kind).replace("typing.", ""))
    raise UserError(f"--set {setting!r}: {text!r} is not of type {allowed}")
