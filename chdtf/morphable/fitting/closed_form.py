"""Models whose identity is a whole face (mp468): closed form, all frames at once."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch

from chdtf.morphable.fitting.alignment import Pose, umeyama
from chdtf.morphable.fitting.frames import Chunk, Frames
from chdtf.morphable.fitting.settings import FitSettings
from chdtf.morphable.model import FaceModel
from chdtf.morphable.similarity import fit_similarity

_KEPT_FRAMES = 16_384  # 17 KB each; longer clips are read again in each round


def align_to_mean(face: np.ndarray, model: FaceModel) -> np.ndarray:
    """Move a face (468, 3) onto the model's mean by a similarity of its rigid vertices; identities are kept so."""
    moved: np.ndarray = fit_similarity(model.landmark_mean, face[None], model.alignment_weights).undo(face[None])[0]
    return moved


@dataclasses.dataclass(frozen=True)
class _Seen:
    """Some frames, and what the least squares needs of them whatever their pose."""

    chunk: Chunk
    rigid: torch.Tensor  # (n, R, 3) px
    moments: torch.Tensor  # (n, 9, K) sum_l y_ld P_lck for d, c in x, y, z, with the projector P


class ClosedForm:
    """Similarity alignment on the rigid vertices and weighted least squares for the expression take turns.

    A clip's identity is the mean of its aligned faces, so that its mean expression is zero. With A = R / scale an
    aligned face is (y - t) A, linear in A: so the expression is a contraction of A with `_Seen.moments`, found once.
    """

    def __init__(self, frames: Frames, model: FaceModel, settings: FitSettings) -> None:
        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(frames.device)

        self._frames, self._model, self._settings = frames, model, settings
        rigid = np.flatnonzero(model.alignment_weights)  # most vertices carry no weight in the alignment
        self._rigid = torch.from_numpy(rigid).to(frames.device)
        self._weights = tensor(model.alignment_weights[rigid])
        self._rigid_basis = tensor(model.landmark_expression[:, rigid].reshape(model.num_expression, -1))
        by_point = model.projector.reshape(-1, 3, model.num_expression)
        self._projector = tensor(by_point)  # (468, 3, K)
        self._set_identity(tensor(np.repeat(model.landmark_mean[None], frames.num_clips, axis=0)))
        self._expression = self._projector.new_zeros(frames.total, model.num_expression)
        self._kept: list[_Seen] = []

    def run(self) -> tuple[torch.Tensor, torch.Tensor, Pose]:
        """Identities (C, 468, 3), expressions (N, K), poses of N frames."""
        for turn in range(self._settings.rounds):
            self._update_identity(solve=turn > 0)
        poses = Pose.empty(self._frames.total, self._frames.device)
        for seen in self._all():
            self._solve(seen)
            pose = self._align(seen)
            poses.put(seen.chunk.rows, pose)
            self._solve(seen, pose)
        return self._identity, self._expression, poses

    def _set_identity(self, identity: torch.Tensor) -> None:
        """Identities (C, 468, 3), and what is needed of them."""
        self._identity = identity
        self._rigid_identity = identity[:, self._rigid]  # (C, R, 3)
        # one after another, so that none depends on how many there are: to the bit
        self._neutral = torch.stack([face.flatten() @ self._projector.flatten(0, 1) for face in identity])  # (C, K)

    def _all(self) -> Iterator[_Seen]:
        """All frames; kept in memory if they are not too many."""
        if self._kept:
            yield from self._kept
            return
        keep = self._frames.total <= _KEPT_FRAMES
        for chunk in self._frames.chunks():
            seen = _Seen(chunk, chunk.points[:, self._rigid], self._moments(chunk.points))
            if keep:
                self._kept.append(seen)
            yield seen

    def _moments(self, points: torch.Tensor) -> torch.Tensor:
        by_axis = points.mT.reshape(-1, points.shape[1])  # (3 n, 468)
        return (by_axis @ self._projector.flatten(1)).reshape(len(points), 9, -1)

    def _update_identity(self, solve: bool) -> None:
        """Identities from all frames; `solve`: expressions are found first, as is the identity by then."""
        total = torch.zeros_like(self._identity)
        for seen in self._all():
            if solve:
                self._solve(seen)
            _add_aligned(total, seen.chunk, self._align(seen))
        mean = (total / torch.from_numpy(self._frames.counts).to(total)[:, None, None]).cpu().numpy()
        self._set_identity(torch.from_numpy(np.stack([align_to_mean(face, self._model) for face in mean])).to(total))

    def _align(self, seen: _Seen) -> Pose:
        """Poses from the rigid vertices of identity and expression as they are."""
        moved = (self._expression[seen.chunk.rows] @ self._rigid_basis).reshape(seen.rigid.shape)
        return umeyama(self._rigid_identity[seen.chunk.clip] + moved, seen.rigid, self._weights)

    def _solve(self, seen: _Seen, pose: Pose | None = None) -> None:
        """Expressions by weighted least squares, given the poses, or those of the expressions as they are."""
        pose = pose or self._align(seen)
        turn = pose.inverse_linear()
        aligned = (turn.reshape(-1, 1, 9) @ seen.moments)[:, 0]  # (n, K)
        centre = (pose.translation[:, None] @ turn)[:, 0] @ self._projector.sum(0)
        self._expression[seen.chunk.rows] = aligned - centre - self._neutral[seen.chunk.clip]


def _add_aligned(total: torch.Tensor, chunk: Chunk, pose: Pose) -> None:
    """Add the aligned faces of each clip's frames to its `total`, (C, 468, 3): one matrix product a clip."""
    turn = pose.inverse_linear()
    centre = (pose.translation[:, None] @ turn)[:, 0]
    clips, counts = torch.unique_consecutive(chunk.clip, return_counts=True)
    first = 0
    for clip, count in zip(clips.tolist(), counts.tolist(), strict=True):
        rows = slice(first, first + count)
        by_axis = chunk.points[rows].mT.reshape(-1, total.shape[1])  # (3 n, 468)
        total[clip] += by_axis.T @ turn[rows].reshape(-1, 3) - centre[rows].sum(0)
        first += count
