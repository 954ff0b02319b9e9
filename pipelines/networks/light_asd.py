"""Light-ASD (Liao et al., CVPR 2023): whether the face that is seen speaks the sound that is heard.

Layers and names follow Junhua-Liao/Light-ASD, model/Encoder.py, model/Classifier.py and loss.py, so that its published
state dicts load strictly. Written for inference: the branch that judges the picture alone is loaded and not used.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

CHANNELS = (1, 32, 64, 128)
LUMA_MEAN, LUMA_STD = 0.4161, 0.1688  # of grey face crops in [0, 1]
REACH_FRAMES = 6  # to either side: three blocks whose longest convolution in time has 5 taps
CHUNK_FRAMES = 50  # the picture's first layer holds 0.4 MB a frame, several times over


def _conv2(into: int, out: int, kernel: tuple[int, int]) -> nn.Conv2d:
    return nn.Conv2d(into, out, kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=False)


def _conv3(into: int, out: int, kernel: tuple[int, int, int], stride: int = 1) -> nn.Conv3d:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(into, out, kernel, stride=(1, stride, stride), padding=padding, bias=False)


class AudioBlock(nn.Module):
    """Cepstral, then temporal convolution of width 3 and of width 5, summed: (N, C, 13, M) -> (N, C', 13, M)."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.m_3, self.bn_m_3 = _conv2(into, out, (3, 1)), nn.BatchNorm2d(out, eps=0.001)
        self.t_3, self.bn_t_3 = _conv2(out, out, (1, 3)), nn.BatchNorm2d(out, eps=0.001)
        self.m_5, self.bn_m_5 = _conv2(into, out, (5, 1)), nn.BatchNorm2d(out, eps=0.001)
        self.t_5, self.bn_t_5 = _conv2(out, out, (1, 5)), nn.BatchNorm2d(out, eps=0.001)
        self.last, self.bn_last = _conv2(out, out, (1, 1)), nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Sum both branches."""
        narrow = self.bn_t_3(self.t_3(self.bn_m_3(self.m_3(x)).relu())).relu()
        wide = self.bn_t_5(self.t_5(self.bn_m_5(self.m_5(x)).relu())).relu()
        out: Tensor = self.bn_last(self.last(narrow + wide)).relu()
        return out


class VisualBlock(nn.Module):
    """Spatial, then temporal convolution of width 3 and of width 5, summed: (N, C, T, H, W) -> (N, C', T, H', W')."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.s_3, self.bn_s_3 = _conv3(into, out, (1, 3, 3), stride), nn.BatchNorm3d(out, eps=0.001)
        self.t_3, self.bn_t_3 = _conv3(out, out, (3, 1, 1)), nn.BatchNorm3d(out, eps=0.001)
        self.s_5, self.bn_s_5 = _conv3(into, out, (1, 5, 5), stride), nn.BatchNorm3d(out, eps=0.001)
        self.t_5, self.bn_t_5 = _conv3(out, out, (5, 1, 1)), nn.BatchNorm3d(out, eps=0.001)
        self.last, self.bn_last = _conv3(out, out, (1, 1, 1)), nn.BatchNorm3d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Sum both branches."""
        narrow = self.bn_t_3(self.t_3(self.bn_s_3(self.s_3(x)).relu())).relu()
        wide = self.bn_t_5(self.t_5(self.bn_s_5(self.s_5(x)).relu())).relu()
        out: Tensor = self.bn_last(self.last(narrow + wide)).relu()
        return out


class AudioEncoder(nn.Module):
    """Cepstra (N, 1, 13, 4 T) at 100 Hz -> features (N, T, 128) at 25 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = AudioBlock(CHANNELS[0], CHANNELS[1])
        self.block2 = AudioBlock(CHANNELS[1], CHANNELS[2])
        self.block3 = AudioBlock(CHANNELS[2], CHANNELS[3])
        self.halve = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Encode, halving time twice, mean over cepstra."""
        out: Tensor = self.block3(self.halve(self.block2(self.halve(self.block1(x)))))
        return out.mean(dim=2).transpose(1, 2)


class VisualEncoder(nn.Module):
    """Normalised grey faces (N, 1, T, 112, 112) -> features (N, T, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = VisualBlock(CHANNELS[0], CHANNELS[1], stride=2)
        self.block2 = VisualBlock(CHANNELS[1], CHANNELS[2])
        self.block3 = VisualBlock(CHANNELS[2], CHANNELS[3])
        self.halve = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Encode, halving height and width twice more, maximum over the picture."""
        out: Tensor = self.block3(self.halve(self.block2(self.halve(self.block1(x)))))
        return out.amax(dim=(3, 4)).transpose(1, 2)


class Detector(nn.Module):
    """One GRU forwards in time, one backwards over its result: (N, T, 128) -> (N, T, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.gru_forward = nn.GRU(CHANNELS[3], CHANNELS[3], batch_first=True)
        self.gru_backward = nn.GRU(CHANNELS[3], CHANNELS[3], batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Forwards, then backwards."""
        gelu = nn.functional.gelu
        ahead = gelu(self.gru_forward(x)[0])
        return gelu(self.gru_backward(ahead.flip(1))[0].flip(1))


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.visualEncoder = VisualEncoder()
        self.audioEncoder = AudioEncoder()
        self.GRU = Detector()


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.FC = nn.Linear(CHANNELS[3], 2)


class LightASD(nn.Module):
    """Scores every frame of one clip; made in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.model = _Model()
        self.lossAV = _Head()
        self.lossV = _Head()
        self.eval()

    @torch.inference_mode()
    def forward(self, faces: Tensor, cepstra: Tensor) -> Tensor:
        """Faces uint8 (T, 112, 112) grey at 25 fps, cepstra float32 (4 T, 13) at 100 Hz -> logits (T, 2).

        They are of "does not speak" and "speaks"; their softmax is the probability that the network was trained for.
        """
        heard = self.model.audioEncoder(cepstra.T[None, None])
        fused = self.model.GRU(heard + self.see(faces))
        logits: Tensor = self.lossAV.FC(fused)[0]
        return logits

    def see(self, faces: Tensor, chunk: int = CHUNK_FRAMES) -> Tensor:
        """Features of faces (T, 112, 112), (1, T, 128): in overlapping chunks, to the same result as at once."""
        parts = []
        for begin in range(0, len(faces), chunk):
            first = max(0, begin - REACH_FRAMES)
            part = faces[first : begin + chunk + REACH_FRAMES].float()
            seen = self.model.visualEncoder(((part / 255 - LUMA_MEAN) / LUMA_STD)[None, None])
            parts.append(seen[:, begin - first : begin - first + chunk])
        return torch.cat(parts, dim=1)


def load_light_asd(path: Path) -> LightASD:
    """The network with a published state dict, on the CPU. Raises `RuntimeError` when a layer does not fit."""
    network = LightASD()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network
