"""Gauss-Newton's normal equations of a linear face model under scaled orthographic projection.

With x_l = mean_l + A_l alpha + B_l beta, the predicted landmark is s R x_l + t. Steps are taken in the model's frame:
R <- R exp([omega]), s <- s exp(rho), t <- t + s R tau, so that the Jacobian there is [A_l, B_l, -[x_l], x_l, 1] with
constant A and B, and all that the frame's pose does is to weight the residuals by G = s^2 R^T D R, where D weights x, y
and z of the picture.
"""

import dataclasses

import numpy as np
import torch

from chdtf.morphable.fitting.alignment import Pose
from chdtf.morphable.fitting.settings import FitSettings
from chdtf.morphable.model import FaceModel

POSE = 7  # rotation, log scale, translation
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # entries of the symmetric G


@dataclasses.dataclass(frozen=True)
class Normal:
    """J^T W J and J^T W r of n frames, for Q shape dimensions (expression, then identity where it is free) and pose."""

    shape: torch.Tensor  # (n, Q, Q)
    cross: torch.Tensor  # (n, Q, 7)
    pose: torch.Tensor  # (n, 7, 7)
    shape_gradient: torch.Tensor  # (n, Q)
    pose_gradient: torch.Tensor  # (n, 7)
    residual: torch.Tensor  # (n, M, 3) in the model's frame, px, times the root of the weights
    plane: torch.Tensor  # (n,) weighted sum of squared residuals in x and y, px^2


class LinearModel:
    """What the fit needs of a face model, at its M mapped landmarks, float64."""

    def __init__(self, model: FaceModel, device: torch.device, settings: FitSettings) -> None:
        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(device)

        self.num_identity, self.num_expression = model.num_identity, model.num_expression
        self.mean = tensor(model.landmark_mean)  # (M, 3)
        self.basis = tensor(  # (K + I, 3 M)
            np.concatenate([model.landmark_expression, model.landmark_identity]).reshape(-1, self.mean.numel())
        )
        self.weights = tensor(model.fit_weights / model.fit_weights.mean(dtype=np.float64))  # (M,), mean 1
        self.alignment_weights = tensor(model.alignment_weights)
        self.expression_precision = tensor(1 / model.expression_deviation.astype(np.float64) ** 2)  # (K,)
        self.negative = settings.negative_weight if model.expression_names else 1.0
        self.axes = tensor(np.array([1, 1, settings.depth_weight]))
        self._products = self._basis_products()

    @property
    def num_points(self) -> int:
        """M."""
        return len(self.mean)

    def points(self, identity: torch.Tensor, expression: torch.Tensor) -> torch.Tensor:
        """Landmarks in model units: identity (n, I), expression (n, K) -> (n, M, 3)."""
        flat = torch.cat([expression, identity], 1) @ self.basis
        return self.mean + flat.reshape(len(flat), -1, 3)

    def _basis_products(self) -> torch.Tensor:
        """sum_l w_l C_l^T E_cd C_l for the six entries of a symmetric G: (6, (K + I)^2)."""
        parts = self.basis.reshape(len(self.basis), -1, 3)
        products = []
        for c, d in _PAIRS:
            product = (parts[..., c] * self.weights) @ parts[..., d].T
            products.append(product if c == d else product + product.T)
        return torch.stack(products)

    def normal(self, points: torch.Tensor, model_points: torch.Tensor, pose: Pose, with_identity: bool) -> Normal:
        """Linearise n frames: landmarks (n, M, 3) px, and the model's points there in model units."""
        count = len(points)
        dims = self.num_expression + (self.num_identity if with_identity else 0)
        residual = model_points - pose.undo(points)
        metric = pose.scale.square()[:, None, None] * (pose.rotation.mT * self.axes) @ pose.rotation  # G
        columns = torch.cat([_pose_columns(model_points), residual[..., None]], -1)  # (n, M, 3, 8)
        weighted = (metric[:, None] @ columns) * self.weights[:, None, None]
        flat = weighted.reshape(count, -1, POSE + 1)
        pose_all = columns.reshape(count, -1, POSE + 1).mT @ flat  # (n, 8, 8)
        shape_all = self.basis[:dims] @ flat  # (n, Q, 8)
        entries = torch.stack([metric[:, c, d] for c, d in _PAIRS], 1)
        products = self._products[:, :dims, :dims].reshape(len(_PAIRS), -1)
        residual = residual * pose.scale[:, None, None] * self.weights.sqrt()[:, None]
        return Normal(
            shape=(entries @ products).reshape(count, dims, dims),
            cross=shape_all[..., :POSE],
            pose=pose_all[:, :POSE, :POSE],
            shape_gradient=shape_all[..., POSE],
            pose_gradient=pose_all[:, :POSE, POSE],
            residual=residual,
            plane=(residual @ pose.rotation.mT)[..., :2].square().sum((1, 2)),
        )


def _pose_columns(points: torch.Tensor) -> torch.Tensor:
    """How points (n, M, 3) move with rotation, log scale and translation: (n, M, 3, 7)."""
    x, y, z = points.unbind(-1)
    columns = points.new_zeros(*points.shape, POSE)
    columns[..., 1, 0], columns[..., 2, 0] = -z, y
    columns[..., 0, 1], columns[..., 2, 1] = z, -x
    columns[..., 0, 2], columns[..., 1, 2] = -y, x
    columns[..., 3] = points
    columns[..., 4:] = torch.eye(3, dtype=points.dtype, device=points.device)
    return columns


def moved(pose: Pose, step: torch.Tensor) -> Pose:
    """Poses after a step (n, 7) of rotation, log scale and translation in the model's frame."""
    turn = torch.linalg.matrix_exp(_skew(step[:, :3]))
    shift = (pose.rotation @ step[:, 4:, None])[..., 0] * pose.scale[:, None]
    return Pose(pose.rotation @ turn, pose.scale * step[:, 3].exp(), pose.translation + shift)


def _skew(vectors: torch.Tensor) -> torch.Tensor:
    """(n, 3) -> (n, 3, 3): the matrices of cross products."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
