"""Gauss-Newton's normal equations of a linear face model under scaled orthographic projection.

The model: x_l = neutral_l + C_l b, with shape coefficients b; the predicted landmark is s R x_l + t. Steps are taken in
the model's frame, R <- R exp([omega]), s <- s exp(rho), t <- t + s R tau, so that the Jacobian there is
[C_l, -[x_l], x_l, 1] with constant C, and all that a frame's pose does is to weight the residuals by
G = s^2 R^T D R, where D weights x, y and z of the picture.

So sums over landmarks are taken once: of products of C, of the neutral face and of the tracked landmarks y. A step
costs the same whatever the number of landmarks. Axes below: n frames, C clips, Q shape coefficients, M landmarks.
"""

import dataclasses

import torch

from chdtf.morphable.fitting.alignment import Pose

POSE = 7  # rotation, log scale, translation
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # entries of the symmetric G


@dataclasses.dataclass(frozen=True)
class Normal:
    """J^T W J and J^T W r of n frames, px^2."""

    shape: torch.Tensor  # (n, Q, Q)
    cross: torch.Tensor  # (n, Q, 7)
    pose: torch.Tensor  # (n, 7, 7)
    shape_gradient: torch.Tensor  # (n, Q)
    pose_gradient: torch.Tensor  # (n, 7)


@dataclasses.dataclass(frozen=True)
class Observed:
    """Sums over the tracked landmarks of n frames, about their weighted mean."""

    mean: torch.Tensor  # (n, 3) px
    shapes: torch.Tensor  # (n, Q, 3, 3) sum_l w_l C_lqc (y - mean)_ld
    neutral: torch.Tensor  # (n, 3, 3) sum_l w_l neutral_lc (y - mean)_ld

    def of(self, rows: torch.Tensor) -> "Observed":
        """Some frames."""
        return Observed(self.mean[rows], self.shapes[rows], self.neutral[rows])


class NormalEquations:
    """For shapes C (Q, 3 M) and a neutral face of each clip (C, M, 3), in model units, float64.

    `weights` (M,) are those of the landmarks, `axes` (3,) those of x, y and z.
    """

    def __init__(self, shapes: torch.Tensor, neutral: torch.Tensor, weights: torch.Tensor, axes: torch.Tensor) -> None:
        count, points = len(shapes), len(weights)
        self._weights, self._axes, self._count = weights, axes, count
        plain = shapes.reshape(count, points, 3).mT.reshape(3 * count, points)
        self._shapes = plain * weights
        self._neutral = (neutral * weights[:, None]).mT.contiguous()  # (C, 3, M)
        products = (self._shapes @ plain.T).reshape(count, 3, count, 3)  # sum_l w_l C_lqc C_lrd
        self._products = products.permute(2, 0, 1, 3).reshape(count, 9 * count)
        both = [products[:, c, :, d] + (products[:, d, :, c] if c != d else 0) for c, d in _PAIRS]
        self._metric_products = torch.stack(both).reshape(len(_PAIRS), count * count)
        self._shape_sums = self._shapes.sum(1).reshape(count, 3)
        # one clip after another, so that none depends on how many there are: to the bit
        self._shapes_neutral = torch.stack([(self._shapes @ face).reshape(count, 3, 3) for face in neutral])
        self._neutral_squares = self._neutral @ neutral  # (C, 3, 3)
        self._neutral_sums = self._neutral.sum(2)  # (C, 3)
        self._generators = _Generators(weights)

    def observe(self, points: torch.Tensor, clips: torch.Tensor) -> Observed:
        """Sums over landmarks (n, M, 3) px of frames of the clips (n,)."""
        mean = (points * (self._weights / self._weights.sum())[:, None]).sum(1)
        offsets = points - mean[:, None]
        by_axis = offsets.mT.reshape(-1, len(self._weights))  # (3 n, M)
        shapes = (by_axis @ self._shapes.T).reshape(len(points), 3, self._count, 3)
        return Observed(mean, shapes.permute(0, 2, 3, 1).contiguous(), self._neutral[clips] @ offsets)

    def at(self, observed: Observed, clips: torch.Tensor, coefficients: torch.Tensor, pose: Pose) -> Normal:
        """Linearised at shape coefficients b (n, Q) and poses."""
        count, dims = coefficients.shape
        metric = pose.scale.square()[:, None, None] * (pose.rotation.mT * self._axes) @ pose.rotation  # G
        inverse = pose.inverse_linear()  # z = (y - t) A: the landmarks, taken to the model's frame
        shift = pose.translation - observed.mean
        combine = coefficients[:, None]

        # sums of products of C, x and z
        shapes_neutral = self._shapes_neutral[clips]  # (n, Q, 3, 3)
        shapes_x = (coefficients @ self._products).reshape(count, dims, 3, 3) + shapes_neutral
        moved_out = observed.shapes - self._shape_sums[:, :, None] * shift[:, None, None]
        shapes_z = (moved_out.reshape(count, -1, 3) @ inverse).reshape(shapes_x.shape)
        x_sum = self._neutral_sums[clips] + coefficients @ self._shape_sums
        along = (combine @ (shapes_x.flatten(2))).reshape(count, 3, 3)
        x_x = self._neutral_squares[clips] + (combine @ shapes_neutral.flatten(2)).reshape(count, 3, 3).mT + along
        x_y = observed.neutral + (combine @ observed.shapes.flatten(2)).reshape(count, 3, 3)
        x_residual = x_x - (x_y - x_sum[:, :, None] * shift[:, None]) @ inverse
        residual_sum = x_sum + self._weights.sum() * (shift[:, None] @ inverse)[:, 0]

        entries = torch.stack([metric[:, c, d] for c, d in _PAIRS], 1)
        turned = self._generators.right(metric)  # (n, 4, 3, 3): G L
        cross = shapes_x.flatten(2) @ turned.flatten(2).mT  # (n, Q, 4)
        return Normal(
            shape=(entries @ self._metric_products).reshape(count, dims, dims),
            cross=torch.cat([cross, self._shape_sums @ metric], -1),
            pose=self._generators.pose_block(metric, x_x, x_sum),
            shape_gradient=((shapes_x - shapes_z).flatten(2) @ metric.flatten(1)[..., None])[..., 0],
            pose_gradient=self._generators.pose_gradient(metric, x_residual, residual_sum),
        )


class _Generators:
    """How a point moves with the pose: L_i x for three rotations and the scale, 1 for the translation."""

    def __init__(self, weights: torch.Tensor) -> None:
        axes = torch.eye(3, dtype=weights.dtype, device=weights.device)
        self._moves = torch.cat([skew(axes), axes[None]])  # L, (4, 3, 3)
        self._total = weights.sum()

    def right(self, metric: torch.Tensor) -> torch.Tensor:
        """G L_i, (n, 4, 3, 3)."""
        return torch.einsum("nce,ied->nicd", metric, self._moves)

    def pose_block(self, metric: torch.Tensor, x_x: torch.Tensor, x_sum: torch.Tensor) -> torch.Tensor:
        """(n, 7, 7), from the sums of w x x^T and w x."""
        turned = self.right(metric)  # sum_l w (L_i x)^T G L_j x
        seen = torch.einsum("ica,nad->nicd", self._moves, x_x)
        moves = seen.flatten(2) @ turned.flatten(2).mT
        mixed = (x_sum[:, None, None] @ turned.mT)[:, :, 0]  # sum_l w (G L_i x)
        upper = torch.cat([moves, mixed], -1)
        return torch.cat([upper, torch.cat([mixed.mT, self._total * metric], -1)], 1)

    def pose_gradient(self, metric: torch.Tensor, x_residual: torch.Tensor, residual_sum: torch.Tensor) -> torch.Tensor:
        """(n, 7), from the sums of w x r^T and w r."""
        seen = torch.einsum("ica,nad->nicd", self._moves, x_residual)  # sum_l w (L_i x) r^T
        moves = (seen.flatten(2) @ metric.flatten(1)[..., None])[..., 0]
        return torch.cat([moves, (metric @ residual_sum[..., None])[..., 0]], -1)


def moved(pose: Pose, step: torch.Tensor) -> Pose:
    """Poses after a step (n, 7) of rotation, log scale and translation in the model's frame."""
    turn = torch.linalg.matrix_exp(skew(step[:, :3]))
    shift = (pose.rotation @ step[:, 4:, None])[..., 0] * pose.scale[:, None]
    return Pose(pose.rotation @ turn, pose.scale * step[:, 3].exp(), pose.translation + shift)


def skew(vectors: torch.Tensor) -> torch.Tensor:
    """(n, 3) -> (n, 3, 3): the matrices of cross products."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
