"""The neural renderer behind the interface of `disenttalk_ref.render.renderer`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from chdtf import weights
from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.fitting import fit_image
from chdtf.morphable.model import FaceModel, load_model
from chdtf.morphable.regression.network import pick_device
from disenttalk_ref.render.pirenderer.checkpoint import RETRAIN, Header, load_renderer_checkpoint
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork, PreparedSource
from disenttalk_ref.render.pirenderer.semantics import PUBLISHED, held, padded, semantics_of
from disenttalk_ref.render.pirenderer.weights import WHERE, load_official
from disenttalk_ref.render.source_face import find_face

OFFICIAL_NAME = "pirenderer.pt"  # in the folder of weights
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def to_unit(images: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(images: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) in [-1, 1] -> uint8 (N, H, W, 3), to the nearest."""
    scaled = (images.float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class NeuralPortrait:
    """One source face, by `PIRenderer.prepare`; its first convolutions are computed."""

    source: Coefficients  # T = 1
    model: FaceModel  # that driving coefficients are of
    layout: str
    network: PIRendererNetwork
    prepared: PreparedSource
    precision: torch.dtype
    batch_frames: int

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        """The source with the expression and pose of `driving`: T frames, uint8 (256, 256, 3) RGB.

        Frames of `driving` that are not valid show the valid one before them (the source when there is none). A frame
        depends on the 13 before and after it. Raises `UserError` when `driving` is of another face model.
        """
        at_rest = semantics_of(self.source, self.model, self.layout)[0]
        found = semantics_of(driving.replace(identity=self.source.identity), self.model, self.layout)
        yield from self.images(held(found, driving.valid, at_rest))

    def images(self, semantics: np.ndarray) -> Iterator[np.ndarray]:
        """Frames from the network's own numbers, float32 (T, K), as of a file of layout 73: uint8 (256, 256, 3) RGB."""
        wanted = self.network.config.semantics
        if semantics.ndim != 2 or semantics.shape[1] != wanted:
            raise UserError(f"semantics of shape {semantics.shape}, the weights of this renderer read (T, {wanted})")
        if not len(semantics):
            return
        z = self._descriptors(semantics)
        for first in range(0, len(z), self.batch_frames):
            yield from self._batch(z[first : first + self.batch_frames])

    @torch.inference_mode()
    def _descriptors(self, semantics: np.ndarray) -> torch.Tensor:
        """Latent vectors of every frame, float32 (T, D): once a clip."""
        series = padded(semantics, self.network.config.radius_frames).to(self.prepared.image.device)
        descriptors: torch.Tensor = self.network.mapping_net(series)[0]
        return descriptors.T.contiguous()

    @torch.inference_mode()
    def _batch(self, z: torch.Tensor) -> np.ndarray:
        halved = self.precision != torch.float32
        try:
            with torch.autocast(z.device.type, self.precision, enabled=halved):
                made = self.network.render(self.prepared, z).image
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"out of memory on {z.device} with {len(z)} frames at a time; lower batch_frames"
            ) from error
        assert made is not None
        pixels: np.ndarray = to_pixels(made).cpu().numpy()
        return pixels


@dataclasses.dataclass(frozen=True)
class PIRenderer:
    """PIRenderer (Ren et al., ICCV 2021) with weights that the user supplies or has trained."""

    weights: str = ""  # .safetensors of `renderer train`, or an official .pt; default: pirenderer.pt among the weights
    face_model: str = ""  # that official weights are driven with: bfm, or the path of its .mat; default: bfm
    device: str = "cpu"  # cpu, cuda, cuda:1, ...
    precision: str = ""  # float32, bf16 or fp16; default: float32 on the CPU, bf16 elsewhere
    batch_frames: int = 8  # frames at a time

    def __post_init__(self) -> None:
        if self.precision and self.precision not in PRECISIONS:
            raise UserError(f"precision {self.precision!r} is not known; choose one of {', '.join(PRECISIONS)}")
        if self.batch_frames < 1:
            raise UserError(f"batch_frames {self.batch_frames} is not 1 or more")

    def prepare(self, image: np.ndarray) -> NeuralPortrait:
        """Find and fit the face of a source image, uint8 (H, W, 3) RGB, scaled to 256x256, and load the weights.

        Raises `UserError` when weights, face model or device are not there, or MediaPipe finds no face.
        """
        header, network = self.load()
        model = load_model(self.face_model or header.face_model)
        if header.face_model_hash and header.face_model_hash != model.hash:
            raise UserError(
                f"{self.weights}: trained with face model {header.face_model} {header.face_model_hash[:12]}, this one "
                f"is {model.name} {model.hash[:12]}; {RETRAIN}"
            )
        image, landmarks = find_face(image)
        return self.portrait(image, fit_image(landmarks, model), model, header, network)

    def load(self) -> tuple[Header, PIRendererNetwork]:
        """The weights, and what they are for. Official ones have no hash of a face model."""
        path = Path(self.weights) if self.weights else weights.folder() / OFFICIAL_NAME
        if not self.weights and not path.is_file():
            raise UserError(f"PIRenderer has no weights: put the official file at {path} ({WHERE}), or {RETRAIN}")
        if path.suffix == ".safetensors":
            return load_renderer_checkpoint(path)
        network = load_official(path)
        return Header(network.config, PUBLISHED, "bfm", "", {"weights": path.name}), network

    def portrait(
        self, image: np.ndarray, source: Coefficients, model: FaceModel, header: Header, network: PIRendererNetwork
    ) -> NeuralPortrait:
        """A portrait of a 256x256 image, uint8 RGB, whose face is known: `source`, T = 1, of `model`."""
        device = pick_device(self.device)
        precision = PRECISIONS[self.precision or ("float32" if device.type == "cpu" else "bf16")]
        network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.inference_mode():
            prepared = network.prepare(to_unit(image[None]).to(device, memory_format=torch.channels_last))
        return NeuralPortrait(source, model, header.layout, network, prepared, precision, self.batch_frames)
