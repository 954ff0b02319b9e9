"""Weighted similarity transforms as in `chdtf.morphable.similarity`, in PyTorch, for frames of several clips."""

import dataclasses

import torch


@dataclasses.dataclass(frozen=True)
class Pose:
    """y = scale * rotation @ x + translation: (n, 3, 3), (n,), (n, 3), float64."""

    rotation: torch.Tensor
    scale: torch.Tensor
    translation: torch.Tensor

    @staticmethod
    def empty(count: int, device: torch.device) -> "Pose":
        """Room for the poses of `count` frames."""
        rotation = torch.zeros(count, 3, 3, dtype=torch.float64, device=device)
        return Pose(rotation, rotation.new_zeros(count), rotation.new_zeros(count, 3))

    def put(self, rows: slice | torch.Tensor, other: "Pose") -> None:
        """Fill some frames."""
        self.rotation[rows], self.scale[rows], self.translation[rows] = other.rotation, other.scale, other.translation

    def of(self, rows: slice | torch.Tensor) -> "Pose":
        """Some frames."""
        return Pose(self.rotation[rows], self.scale[rows], self.translation[rows])

    def apply(self, points: torch.Tensor) -> torch.Tensor:
        """Move points (n, L, 3)."""
        moved = (self.scale[:, None, None] * points) @ self.rotation.mT
        return moved + self.translation[:, None]

    def undo(self, points: torch.Tensor) -> torch.Tensor:
        """Inverse of `apply`."""
        return (points - self.translation[:, None]) @ self.inverse_linear()

    def inverse_linear(self) -> torch.Tensor:
        """A = R / scale, (n, 3, 3): x = (y - t) A for points as rows."""
        return self.rotation / self.scale[:, None, None]


def umeyama(source: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> Pose:
    """The similarity that takes `source` (n, L, 3) closest to `target` (n, L, 3) in weighted least squares.

    Umeyama, IEEE TPAMI 13(4), 1991, with a weight for each point, (L,).
    """
    share = (weights / weights.sum())[:, None]
    source_mean, target_mean = (source * share).sum(1, keepdim=True), (target * share).sum(1, keepdim=True)
    x, y = source - source_mean, target - target_mean
    u, singular, vt = torch.linalg.svd((y * share).mT @ x)
    flip = torch.sign(_determinant(u) * _determinant(vt))  # a rotation, never a reflection
    last = torch.ones_like(singular)
    last[:, 2] = flip
    rotation = (u * last[:, None]) @ vt
    scale = (singular * last).sum(1) / (x.square() * share).sum((1, 2))
    translation = target_mean[:, 0] - scale[:, None] * (rotation @ source_mean[:, 0, :, None])[..., 0]
    return Pose(rotation, scale, translation)


def _determinant(matrices: torch.Tensor) -> torch.Tensor:
    """Of 3 x 3 matrices; several times as fast as the general one."""
    a, b, c = matrices.unbind(-2)
    volume: torch.Tensor = (a * torch.linalg.cross(b, c)).sum(-1)
    return volume
