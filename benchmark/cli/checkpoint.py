"""Say what a checkpoint of the reference model is: settings, training data, parameters, size."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from benchmark.cli._console import say

if TYPE_CHECKING:
    from disenttalk_ref.checkpoint import Header

_PARTS = ("denoiser.", "codec.")  # beginnings of the names of tensors
_LISTS = {
    "clip_ids": "clips learned from",
    "validation_clip_ids": "clips validated on",
    "out_of_sync_clip_ids": "clips out of sync, left out",
    "offset_frames": "clips whose sound was moved",
}  # too long to print; counted


@dataclasses.dataclass(frozen=True)
class Command:
    """Say what a checkpoint of the reference model is: the network, its audio features, what it was trained on and how.
    Nothing of the network is computed.
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A file of disentbench train, such as runs/train/checkpoint.safetensors."""
    clips: bool = False
    """Also list every clip that it learned from, as a Markdown table for a model card."""
    json: bool = False
    """Print the whole header as JSON instead."""

    def run(self) -> int:
        """Print it."""
        from disenttalk_ref.checkpoint import read_header, read_sizes

        header = read_header(self.file)
        if self.json:
            say(json.dumps(header.to_json(), indent=2))
            return 0
        lines = {"file": f"{self.file}, {self.file.stat().st_size:,} bytes", **_network(header, read_sizes(self.file))}
        lines |= {**_origin(header), **_data(header.account)}
        width = max(map(len, lines))
        for name, text in lines.items():
            say(f"{name:<{width}}  {text}")
        if self.clips:
            say()
            for line in _clips(header.account):
                say(line)
        return 0


def _network(header: "Header", sizes: dict[str, int]) -> dict[str, str]:
    from disenttalk_ref.audio import to_json

    learned, closed = (sum(size for name, size in sizes.items() if name.startswith(part)) for part in _PARTS)
    return {
        "parameters": f"{learned:,} of the denoising network, {closed:,} of the codec in closed form",
        "network": _text(dataclasses.asdict(header.model)),
        "audio": _text({"width": header.audio.width, **to_json(header.audio)}),
        "diffusion": f"{header.diffusion_steps} steps, predicts {header.prediction}, {header.window_frames} frames",
        "face model": f"{header.face_model} {header.face_model_hash[:12]}",
        "subspaces": header.subspaces or "not recorded",
    }


def _origin(header: "Header") -> dict[str, str]:
    return {
        "commit": header.commit or "not recorded",
        "packages": _text(header.packages) or "not recorded",
        "data fingerprint": header.data_fingerprint or "not recorded",
    }


def _data(account: dict[str, Any]) -> dict[str, str]:
    """What it was trained on and how, as far as its account says."""
    lines = {name.replace("_", " "): _text(value) for name, value in account.items() if name not in _LISTS}
    for name, text in _LISTS.items():
        if name in account:
            values = account[name]
            lines[text] = str(sum(map(bool, values.values())) if isinstance(values, dict) else len(values))
    return lines


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(map(_text, value)) or "none"
    return "none" if value in ("", None) else str(value)


def _clips(account: dict[str, Any]) -> list[str]:
    """A Markdown table of clips; offsets are sound minus picture as it was found, and taken back."""
    offsets = account.get("offset_frames")
    head = ["clip", "offset (frames)"] if offsets else ["clip"]
    rows = [[name, f"{offsets[name]:+d}"] if offsets else [name] for name in account.get("clip_ids", ())]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
