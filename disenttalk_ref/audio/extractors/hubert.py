"""HuBERT (Hsu et al. 2021), the features that the paper takes: two rows of the network side by side for each frame.

The convolutions in front have a window of 400 samples and a step of 320, so row i of a waveform x spans samples 320 i
to 320 i + 399. With 40 zeros before and after S = 640 T samples there are exactly 2 T rows, and row j spans 320 j - 40
to 320 j + 359: its centre, 320 j + 159.5, is that of half a video frame, and rows 2 k and 2 k + 1 together are centred
on frame k, on samples 640 k to 640 k + 639, to the sample.

The transformer hears everything at once, past and future: a row depends on the whole clip, up to 30 s of it. Longer
sound is heard in chunks of 30 s that overlap by 8 s and are blended over 4 s; its loudness and the statistics of the
first layer are still those of the whole.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.schema import SAMPLES_PER_FRAME
from disenttalk_ref.audio.chunks import Chunks
from disenttalk_ref.audio.loudness import checked
from disenttalk_ref.audio.pretrained import Pretrained, find_pretrained, load_network

WINDOW_SAMPLES, STEP_SAMPLES = 400, 320  # of the network's rows
PAD_SAMPLES = (WINDOW_SAMPLES - STEP_SAMPLES) // 2
CHUNKS = Chunks(length=1500, overlap=400, edge=100)  # rows of 20 ms
_BLOCK_SAMPLES = 1 << 19  # of the first layer's statistics, at a time
_EXAMPLE = "write hubert:facebook/hubert-base-ls960 or hubert:FOLDER, with @9 behind it for layer 9"


@dataclass(frozen=True)
class Features:
    """Which network and which of its layers. `parse` and `of` fill all fields from the folder that is found.

    The waveform is normalised as the network's own preprocessor_config.json says. The field takes the last layer
    (ER-NeRF's extractor, for one), and so does the default.
    """

    on_the_fly: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    free: ClassVar[frozenset[str]] = frozenset({"model", "revision"})  # the hash of the weights says what they are

    model: str = "facebook/hubert-base-ls960"  # hub id or local folder
    layer: int = -1  # 1 to L, the output of that layer of the transformer; -1: the last
    revision: str = ""  # commit of the hub that the weights are of
    hidden: int = 0  # numbers a row; 0: not yet looked up
    normalise: bool = False  # whether the waveform is brought to mean 0 and variance 1
    sha256: str = ""  # of the weights
    kind: str = "hubert"

    @classmethod
    def of(cls, rest: str) -> "Features":
        """The extractor that `hubert:<rest>` names, all fields filled: `<hub id or folder>[@layer]`.

        Raises `UserError` when the network is not at hand, is no HuBERT, or has no such layer.
        """
        model, at, layer = rest.rpartition("@")
        if not at:
            model, layer = rest, "-1"
        if not model or not layer.removeprefix("-").isdigit():
            raise UserError(f"audio features 'hubert:{rest}': no network or no number of a layer; {_EXAMPLE}")
        return cls(model, int(layer)).found()

    def found(self) -> "Features":
        """The same with the fields filled from the network on this machine. Raises `UserError` as `of` does."""
        network = find_pretrained(self.model, self.revision)
        layers = _layers(network)
        if self.layer not in (-1, *range(1, layers + 1)):
            raise UserError(f"{self.model}: layer {self.layer} is not there; choose one of 1 to {layers}")
        return dataclasses.replace(
            self,
            layer=layers if self.layer == -1 else self.layer,
            revision=network.revision,
            hidden=int(network.config["hidden_size"]),
            normalise=network.normalise,
            sha256=network.sha256,
        )

    @property
    def name(self) -> str:
        """hubert:<hub id or folder>@<layer>."""
        return f"{self.kind}:{self.model}@{self.layer}"

    @property
    def parts(self) -> int:
        """Rows of the network side by side in the row of a video frame: 2."""
        return SAMPLES_PER_FRAME // STEP_SAMPLES

    @property
    def width(self) -> int:
        """Features a video frame: 2 x the size of a row, 1536 for base networks and 2048 for large ones."""
        if not self.hidden:
            raise ValueError("the network was not looked up; call found(), or name it with disenttalk_ref.audio.parse")
        return self.parts * self.hidden

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Features of one clip, mono 16 kHz: (S,) -> float32 (S // 640, width). Samples after the last frame drop out.

        Raises `UserError` for NaN, when the network is not at hand, or when its weights are not those of `sha256`.
        """
        frames = len(checked(waveform)) // SAMPLES_PER_FRAME
        if frames == 0:
            return np.zeros((0, self.width), np.float32)
        samples = waveform[: frames * SAMPLES_PER_FRAME].astype(np.float32)
        if self.normalise:
            samples = (samples - samples.mean(dtype=np.float64)) / np.sqrt(samples.var(dtype=np.float64) + 1e-7)
        rows = _network(self, device).rows(np.pad(samples.astype(np.float32), PAD_SAMPLES))
        return rows.reshape(frames, self.width)


def _layers(network: Pretrained) -> int:
    """Layers of the transformer, once the network is known to be a HuBERT of the usual rate."""
    config = network.config
    if config.get("model_type") != "hubert":
        raise UserError(f"{network.name}: a network of kind {config.get('model_type')!r}, not hubert; {_EXAMPLE}")
    window, step = 1, 1
    for kernel, stride in zip(config.get("conv_kernel", []), config.get("conv_stride", []), strict=False):
        window, step = window + (kernel - 1) * step, step * stride
    if (window, step) != (WINDOW_SAMPLES, STEP_SAMPLES):
        raise UserError(
            f"{network.name}: rows of {window} samples every {step}; only {WINDOW_SAMPLES} every {STEP_SAMPLES} "
            "(50 a second) fit video frames; choose another network"
        )
    return int(config["num_hidden_layers"])


@functools.lru_cache(maxsize=1)
def _network(features: Features, device: str) -> "HubertRows":
    """The network of these features, loaded once. Raises `UserError` when its weights are others than theirs."""
    found = find_pretrained(features.model, features.revision)
    _layers(found)
    if features.sha256 and found.sha256 != features.sha256:
        raise UserError(
            f"{features.model}: its weights are {found.sha256[:12]}, the checkpoint or cache was made with "
            f"{features.sha256[:12]}; get those, or train again with: disentbench train --audio hubert:{features.model}"
        )
    return HubertRows(load_network(found, "HubertModel"), features.layer, device)


class HubertRows:
    """A loaded network, cut off after one of its layers."""

    def __init__(self, model: Any, layer: int = -1, device: str = "cpu", chunks: Chunks = CHUNKS) -> None:
        """`model` is a transformers HubertModel in evaluation mode."""
        if 0 < layer < len(model.encoder.layers):
            model.encoder.layers = model.encoder.layers[:layer]
            if model.config.do_stable_layer_norm:  # its last normalisation belongs to the last layer
                model.encoder.layer_norm = torch.nn.Identity()
        self.model, self.device, self.chunks = model.to(device), device, chunks

    def rows(self, padded: np.ndarray) -> np.ndarray:
        """Rows of a waveform with its padding: (320 n + 80,) -> float32 (n, hidden)."""
        count = (len(padded) - WINDOW_SAMPLES) // STEP_SAMPLES + 1
        with torch.inference_mode():
            normal = self._whole_clip_normalisation(padded)
            return self.chunks.blend(
                count,
                self.model.config.hidden_size,
                lambda first, last: self._chunk(padded[first * STEP_SAMPLES :][: self._samples(last - first)], normal),
            )

    @staticmethod
    def _samples(rows: int) -> int:
        return (rows - 1) * STEP_SAMPLES + WINDOW_SAMPLES

    def _chunk(self, samples: np.ndarray, normal: tuple[torch.Tensor, torch.Tensor] | None) -> np.ndarray:
        """Rows of one chunk, (n, hidden): what HubertModel does, the first layer normalised as for the whole clip."""
        first, *others = self.model.feature_extractor.conv_layers
        hidden = torch.from_numpy(samples).to(self.device)[None, None]
        if normal is None:
            hidden = first(hidden)
        else:
            scale, shift = normal
            hidden = first.activation(first.conv(hidden) * scale + shift)
        for layer in others:
            hidden = layer(hidden)
        projected = self.model.feature_projection(hidden.transpose(1, 2))
        rows: np.ndarray = self.model.encoder(projected).last_hidden_state[0].float().cpu().numpy()
        return rows

    def _whole_clip_normalisation(self, padded: np.ndarray) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Scale and shift (1, C, 1) by which base networks normalise each channel over the clip; None in large ones.

        Their first layer has a GroupNorm over time: its statistics are gathered block by block.
        """
        if self.model.config.feat_extract_norm != "group":
            return None
        first = self.model.feature_extractor.conv_layers[0]
        kernel, stride = first.conv.kernel_size[0], first.conv.stride[0]
        channels = first.conv.out_channels
        sums, squares = torch.zeros(2, channels, dtype=torch.float64, device=self.device)
        count = 0
        step = _BLOCK_SAMPLES // stride * stride
        for start in range(0, len(padded) - kernel + 1, step):
            block = torch.from_numpy(padded[start : start + step + kernel - stride]).to(self.device)
            out = first.conv(block[None, None])[0]
            sums, squares = sums + out.double().sum(1), squares + out.double().square().sum(1)
            count += out.shape[1]
        mean = sums / count
        variance = (squares / count - mean.square()).clamp_min(0)
        norm = first.layer_norm
        scale = norm.weight.double() / torch.sqrt(variance + norm.eps)
        shift = norm.bias.double() - mean * scale
        return scale.float()[None, :, None], shift.float()[None, :, None]
