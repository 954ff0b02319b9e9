import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from chdtf.errors import UserError
from chdtf.morphable.coefficients import load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import (
    Checkpoint,
    Header,
    load_checkpoint,
    new_checkpoint,
    region_slices,
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


def test_another_version_is_refused(saved: tuple[Checkpoint, Path], tmp_path: Path):
    fields = {**json.loads(json.dumps(dataclasses.asdict(saved[0].header))), "version": 99}
    path = tmp_path / "future.safetensors"
    save_file(load_file(saved[1]), path, {"header": json.dumps(fields)})
    with pytest.raises(UserError, match=r"future.*version 99.*reads 1"):
        load_checkpoint(path)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "cut").write_bytes(b"\x00" * 4)
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    for name in ("absent", "text", "cut", "foreign"):
        with pytest.raises(UserError, match=f"{name}.*disentbench train"):
            load_checkpoint(tmp_path / name)


def test_region_slices_follow_the_latents():
    config = PRESETS["tiny"]
    slices = region_slices(config)
    assert [slices[name].stop - slices[name].start for name in ("eye", "lip", "global")] == list(config.latents)
    assert slices["global"].stop == sum(config.latents)
