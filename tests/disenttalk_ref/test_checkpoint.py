import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from chdtf.errors import UserError
from chdtf.morphable.coefficients import load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import (
    Checkpoint,
    Header,
    load_checkpoint,
    made_by,
    new_checkpoint,
    save_checkpoint,
)
from disenttalk_ref.model import PRESETS


@pytest.fixture
def saved(tmp_path: Path, regions: tuple[tuple[int, ...], ...]):
    face = load_model("mp468")
    header = Header(PRESETS["tiny"], AudioFeatures(), 400, "v", 64, regions, face.name, face.hash, {"clips": 3})
    checkpoint = new_checkpoint(header)
    torch.nn.init.normal_(checkpoint.codec.mean)
    return checkpoint, save_checkpoint(checkpoint, tmp_path / "model.safetensors")


def test_what_is_saved_is_loaded(saved: tuple[Checkpoint, Path]):
    checkpoint, path = saved
    loaded = load_checkpoint(path)
    assert loaded.header == checkpoint.header
    assert loaded.diffusion == checkpoint.diffusion
    for name in ("denoiser", "codec"):
        state = getattr(loaded, name).state_dict()
        assert all(torch.equal(state[k], v) for k, v in getattr(checkpoint, name).state_dict().items())
    assert not loaded.denoiser.training


def test_saving_twice_gives_the_same_bytes(saved: tuple[Checkpoint, Path], tmp_path: Path):
    checkpoint, path = saved
    assert save_checkpoint(checkpoint, tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_another_face_model_is_refused(saved: tuple[Checkpoint, Path]):
    face = load_model("mp468")
    other = dataclasses.replace(face, mean=face.mean + 1)
    with pytest.raises(UserError, match=f"made for face model mp468 {face.hash[:12]}.*{other.hash[:12]}"):
        load_checkpoint(saved[1], other)


def _rewritten(
    path: Path, target: Path, fields: dict[str, Any], tensors: dict[str, torch.Tensor] | None = None
) -> Path:
    """A copy with other fields in its header, or other tensors."""
    with safe_open(path, framework="pt") as stream:
        header = json.loads(stream.metadata()["header"])
    save_file(tensors or load_file(path), target, {"header": json.dumps({**header, **fields})})
    return target


@pytest.mark.parametrize("version", [1, 3, 99, None])
def test_other_versions_are_refused(saved: tuple[Checkpoint, Path], tmp_path: Path, version: int | None):
    path = _rewritten(saved[1], tmp_path / "other.safetensors", {"version": version})
    with pytest.raises(UserError, match=rf"other.*version {version}, this version reads 2; .*disentbench train"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": {"colour": 3}}, "model setting 'colour'"),
        ({"model": {"heads": "many"}}, "does not describe a model"),
        ({"model": {"heads": 7}}, "7 heads"),
        ({"model": None}, "does not describe a model"),
        ({"prediction": "luck"}, "'luck'"),
        ({"regions": [[1]]}, "1 regions"),
        ({"audio": {"kind": "sonar"}}, "'sonar'"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_headers_that_describe_no_model_are_refused(
    saved: tuple[Checkpoint, Path], tmp_path: Path, fields: dict[str, Any], said: str
):
    path = _rewritten(saved[1], tmp_path / "odd.safetensors", fields)
    with pytest.raises(UserError, match=f"odd.*{said}") as refused:
        load_checkpoint(path)
    assert "\n" not in str(refused.value)


def test_tensors_must_be_those_of_the_model(saved: tuple[Checkpoint, Path], tmp_path: Path):
    tensors = load_file(saved[1])
    name = "denoiser.blocks.0.interaction.out.bias"
    assert name in tensors
    damages = {
        f"lacks 1 of {len(tensors)} tensors, {name}": {key: value for key, value in tensors.items() if key != name},
        "holds 1 tensors that its model does not have, x": {**tensors, "x": torch.zeros(1)},
        rf"{name} is \(3,\), its model has \(96,\)": {**tensors, name: torch.zeros(3)},
        f"{name} holds values that are not finite": {**tensors, name: torch.full((96,), torch.nan)},
    }
    for said, damaged in damages.items():
        with pytest.raises(UserError, match=f"odd.*{said}.*damaged"):
            load_checkpoint(_rewritten(saved[1], tmp_path / "odd.safetensors", {}, damaged))


def test_a_truncated_file_is_refused_at_every_length(saved: tuple[Checkpoint, Path], tmp_path: Path):
    whole = saved[1].read_bytes()
    path = tmp_path / "cut.safetensors"
    for size in (0, 4, 8, 100, 5000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"cut.*not a readable checkpoint.*disentbench train"):
            load_checkpoint(path)


def test_the_committed_checkpoint_is_of_this_version():
    assert load_checkpoint().header.version == 2


def test_what_made_it_is_known():
    made = made_by()
    assert made["packages"]["torch"] == torch.__version__
    assert made["commit"] is None or len(made["commit"].removesuffix("+changes")) == 40


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "cut").write_bytes(b"\x00" * 4)
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    for name in ("absent", "text", "cut", "foreign"):
        with pytest.raises(UserError, match=f"{name}.*disentbench train"):
            load_checkpoint(tmp_path / name)
