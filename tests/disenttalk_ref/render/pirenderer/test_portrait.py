"""The renderer behind its interface: what it refuses, and that batches and pieces change nothing."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import load_model
from disenttalk_ref.render import load_renderer, renderer_names
from disenttalk_ref.render.pirenderer.checkpoint import Header, save_renderer
from disenttalk_ref.render.pirenderer.config import NetworkConfig
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork
from disenttalk_ref.render.pirenderer.portrait import NeuralPortrait, PIRenderer, to_pixels, to_unit

SIZES = NetworkConfig(
    semantics=70, descriptor=16, adain=8, warp_base=4, edit_base=4, edit_residuals=1, max_channels=12, residual_depth=2
)
MODEL = load_model("mp468")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    network = PIRendererNetwork(SIZES)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path_factory.mktemp("renderer") / "renderer.safetensors"
    return save_renderer(path, Header(SIZES, "fit", MODEL.name, MODEL.hash), network.state_dict())


def coefficients(frames: int) -> Coefficients:
    rng = np.random.default_rng(frames)
    return Coefficients(
        identity=MODEL.mean,
        expression=rng.standard_normal((frames, 64)),
        rotation=rng.standard_normal((frames, 3)),
        translation=np.full((frames, 3), 128.0),
        scale=np.full(frames, 70.0),
        valid=np.ones(frames, bool),
    )


def portrait(renderer: PIRenderer) -> NeuralPortrait:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return renderer.portrait(image, coefficients(1), MODEL, *renderer.load())


def test_frames_do_not_depend_on_the_batch(checkpoint: Path):
    driving = coefficients(5)
    one = np.stack(list(portrait(PIRenderer(str(checkpoint), batch_frames=1)).frames(driving)))
    more = np.stack(list(portrait(PIRenderer(str(checkpoint), batch_frames=3)).frames(driving)))
    assert one.shape == (5, 256, 256, 3)
    assert one.dtype == np.uint8
    assert np.abs(one.astype(int) - more).max() <= 1
    assert np.abs(one[0].astype(int) - one[4]).max() > 3


def test_a_frame_without_a_face_is_driven_by_the_one_before(checkpoint: Path):
    made = portrait(PIRenderer(str(checkpoint)))
    driving = coefficients(3)
    first_held = driving.replace(
        expression=np.concatenate([made.source.expression, driving.expression[1:]]),
        rotation=np.concatenate([made.source.rotation, driving.rotation[1:]]),
    )
    gap = driving.replace(valid=np.array([False, True, True]))
    np.testing.assert_array_equal(list(made.frames(gap)), list(made.frames(first_held)))


def test_half_precision_stays_near(checkpoint: Path):
    driving = coefficients(2)
    exact = np.stack(list(portrait(PIRenderer(str(checkpoint))).frames(driving))).astype(float)
    rough = np.stack(list(portrait(PIRenderer(str(checkpoint), precision="bf16")).frames(driving)))
    assert 0 < np.abs(exact - rough).mean() < 4


def test_what_is_missing_or_wrong_is_said(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    image = np.zeros((64, 64, 3), np.uint8)
    assert "pirenderer" in renderer_names()
    with pytest.raises(UserError, match=r"no weights: put the official file at .*pirenderer\.pt .*CC BY-NC 4\.0"):
        load_renderer("pirenderer").prepare(image)
    with pytest.raises(UserError, match=r"no face found in the source image \(64x64 px\)"):
        PIRenderer(str(checkpoint)).prepare(image)
    with pytest.raises(UserError, match=r"trained with face model mp468 .* this one is"):
        PIRenderer(str(save_again(checkpoint, tmp_path, "0" * 64))).prepare(image)
    with pytest.raises(UserError, match=r"semantics of shape \(4, 73\), the weights of this renderer read \(T, 70\)"):
        next(portrait(PIRenderer(str(checkpoint))).images(np.zeros((4, 73), np.float32)))
    with pytest.raises(UserError, match="precision 'half' is not known"):
        PIRenderer(precision="half")
    with pytest.raises(UserError, match="batch_frames 0"):
        PIRenderer(batch_frames=0)


def save_again(checkpoint: Path, folder: Path, digest: str) -> Path:
    _, network = PIRenderer(str(checkpoint)).load()
    header = Header(SIZES, "fit", MODEL.name, digest)
    return save_renderer(folder / "again.safetensors", header, network.state_dict())


def test_checkpoints_of_other_kinds_are_refused(tmp_path: Path):
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, other, {"header": "{}"})
    with pytest.raises(UserError, match="of another kind"):
        PIRenderer(str(other)).load()
    save_renderer(other, dataclasses.replace(Header(SIZES, "fit", "mp468", ""), version=9), {"x": torch.zeros(1)})
    with pytest.raises(UserError, match="renderer of version 9, this version reads 1"):
        PIRenderer(str(other)).load()
    save_renderer(other, Header(SIZES, "fit", "mp468", ""), {"x": torch.zeros(1)})
    with pytest.raises(UserError, match="its weights are not those of its header"):
        PIRenderer(str(other)).load()
    with pytest.raises(UserError, match="no such checkpoint"):
        PIRenderer(str(tmp_path / "absent.safetensors")).load()


def test_pixels_and_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    np.testing.assert_array_equal(to_pixels(to_unit(pixels)).numpy(), pixels)
