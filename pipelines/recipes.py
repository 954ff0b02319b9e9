"""The order of stages, stated once, and how their settings are changed by name."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chdtf.engine.stage import Stage
from chdtf.errors import UserError
from pipelines.acquire.fetch import Network

_RANGES = {  # what a number may be where not any from 0 on
    "download.max_height": (16, math.inf),
    "download.max_bytes": (1, math.inf),
    "cut.min_clip_s": (0.04, math.inf),
    "cut.max_clip_s": (0.04, math.inf),
    "cut.vad_mode": (0, 3),
    "cut.sample_fps": (0.1, 100),
    "cut.look_px": (32, 4096),
    "cut.region_span": (1, math.inf),
    "track.comparable": (0, 1),
    "track.min_face_share": (0, 1),
    "track.smooth_frames": (1, math.inf),
    "resample.crf": (0, 51),
    "resample.min_frames": (1, math.inf),
    "quality.vad_mode": (0, 3),
    "quality.identity_frames": (1, math.inf),
}
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
    named = {stage.name: stage for stage in stages}
    changes: dict[str, dict[str, Any]] = {name: {} for name in named}
    for setting in settings:
        place, equals, text = setting.partition("=")
        name, dot, field = place.partition(".")
        if not (equals and dot):
            raise UserError(f"--set {setting!r}: write STAGE.FIELD=VALUE, such as cut.max_clip_s=20")
        stage = named.get(name)
        if stage is None:
            raise UserError(f"--set {setting!r}: no stage {name!r}; there are {', '.join(named)}")
        fields = {f.name for f in dataclasses.fields(stage) if f.init}  # type: ignore[arg-type]
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(fields))}"
            raise UserError(f"--set {setting!r}: stage {name} has no setting {field!r}; {hint}")
        kind = typing.get_type_hints(type(stage))[field]
        changes[name][field] = _in_range(setting, place, _value(setting, text, kind))
    return tuple(dataclasses.replace(stage, **changes[name]) for name, stage in named.items())  # type: ignore[type-var]


def _in_range(setting: str, place: str, value: Any) -> Any:
    """The value, when a number is one that the stage can work with."""
    low, high = _RANGES.get(place, (0, math.inf))
    if isinstance(value, (int, float)) and not (low <= value <= high and math.isfinite(value)):
        allowed = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise UserError(f"--set {setting!r}: give a number of {allowed}")
    return value


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
