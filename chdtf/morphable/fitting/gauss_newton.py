"""Models whose identity is a vector of coefficients (ict, bfm): maximum a posteriori by Gauss-Newton.

Minimised over the clip's identity alpha and every frame's expression beta and pose:

    sum_t sum_l w_l |D^(1/2) (s_t R_t x_l(alpha, beta_t) + t_t - y_tl)|^2 / noise^2
        + r |alpha|^2 + sum_t |beta_t / sd|^2

The noise is the clip's own, estimated from what is left in x and y; as it vanishes, so does the priors' weight. What is
left is mostly what the model cannot express of a face, alike in all frames; r makes frames count for the identity as
often as they say something new (`_repeats`). Weights of named shapes are rarely below 0: there sd is smaller.
First the identity, from at most `identity_frames` evenly spread frames: what concerns one frame alone is eliminated by
the Schur complement, so that the shared unknowns are solved exactly (Triggs et al., "Bundle adjustment: a modern
synthesis", 2000, section 6.1). Then every frame by itself with that identity.
"""

import dataclasses

import numpy as np
import torch

from chdtf.morphable.fitting.alignment import Pose, umeyama
from chdtf.morphable.fitting.frames import Chunk, Frames
from chdtf.morphable.fitting.normal_equations import POSE, LinearModel, Normal, moved
from chdtf.morphable.fitting.settings import FitSettings
from chdtf.morphable.model import FaceModel

_LEAST_NOISE_PX = 1e-4  # about float32's resolution of landmarks; keeps the priors from vanishing altogether


@dataclasses.dataclass
class _State:
    """The unknowns of n frames of C clips."""

    identity: torch.Tensor  # (C, I)
    expression: torch.Tensor  # (n, K)
    pose: Pose
    noise: torch.Tensor  # (C,) px


class GaussNewton:
    """Fits a batch of clips."""

    def __init__(self, frames: Frames, model: FaceModel, settings: FitSettings) -> None:
        self._frames, self._settings = frames, settings
        self._model = LinearModel(model, frames.device, settings)

    def run(self) -> tuple[torch.Tensor, torch.Tensor, Pose]:
        """Identities (C, I), expressions (N, K), poses of N frames."""
        few = self._frames.at_most(self._settings.identity_frames)
        states = [self._joint(group) for group in few.groups()]
        identity, noise = (torch.cat([getattr(state, name) for state in states]) for name in ("identity", "noise"))
        starts = torch.cat([state.expression for state in states])[_nearest(self._frames, few)]
        pose = Pose.empty(self._frames.total, self._frames.device)
        for chunk in self._frames.chunks():
            state = self._start(chunk, identity, noise, starts[chunk.rows])
            self._separate(chunk, state)
            starts[chunk.rows] = state.expression
            pose.put(chunk.rows, state.pose)
        return identity, starts, pose

    def _start(self, chunk: Chunk, identity: torch.Tensor, noise: torch.Tensor, expression: torch.Tensor) -> _State:
        """Poses by alignment of identity and expression as they are."""
        points = self._model.points(identity[chunk.clip], expression)
        return _State(identity, expression, umeyama(points, chunk.points, self._model.alignment_weights), noise)

    def _joint(self, group: Frames) -> _State:
        """Everything about the frames of some clips, which fit into memory together."""
        (chunk,) = group.chunks()
        zeros = self._model.mean.new_zeros
        state = self._start(
            chunk,
            zeros(group.num_clips, self._model.num_identity),
            zeros(group.num_clips),
            zeros(group.total, self._model.num_expression),
        )
        moving = torch.ones(group.num_clips, dtype=torch.bool, device=group.device)
        for _ in range(self._settings.iterations):
            moving &= self._joint_step(chunk, state, moving) > self._settings.tolerance_px
            if not moving.any():
                break
        return state

    def _joint_step(self, chunk: Chunk, state: _State, moving: torch.Tensor) -> torch.Tensor:
        """One step of all unknowns of the clips that still move; how far it moves landmarks, (C,) px RMS."""
        clips, each = chunk.clip, self._model.num_expression
        normal = self._linearise(chunk, state, with_identity=True)
        state.noise = torch.where(moving, self._estimate_noise(normal, clips, len(moving)), state.noise)
        variance = state.noise.square()[:, None]
        own, gradient = self._own_block(normal, state.expression, variance[clips])
        coupling = torch.cat([normal.shape[:, :each, each:], normal.cross[:, each:].mT], 1)  # (n, K + 7, I)
        solved = _solve(own, torch.cat([coupling, gradient[..., None]], -1))  # (n, K + 7, I + 1)
        full = torch.cat([normal.shape[:, each:, each:], normal.shape_gradient[:, each:, None]], -1)
        left = _sum(full - coupling.mT @ solved, clips, len(moving))  # the Schur complement and its right side
        identity_precision = variance * self._repeats(normal.residual, clips, len(moving))[:, None]
        left[..., :-1] += torch.diag_embed(identity_precision.expand_as(state.identity))
        left[..., -1] += identity_precision * state.identity
        step = -torch.linalg.solve(left[..., :-1], left[..., -1:])[..., 0] * moving[:, None]
        own_step = -(solved[..., -1] + (solved[..., :-1] @ step[clips, :, None])[..., 0]) * moving[clips, None]
        shared = _sum(normal.shape_gradient[:, each:], clips, len(moving)) + identity_precision * state.identity
        decrement = -(shared * step).sum(1) - _sum((gradient * own_step).sum(1), clips, len(moving))
        state.identity = state.identity + step
        state.expression = state.expression + own_step[:, :each]
        state.pose = moved(state.pose, own_step[:, each:])
        count = torch.bincount(clips, minlength=len(moving))
        distance: torch.Tensor = (decrement.clamp(min=0) / (count * self._model.num_points)).sqrt()
        return distance

    def _separate(self, chunk: Chunk, state: _State) -> None:
        """Expression and pose of every frame by itself; identity and noise are given. Changes `state`."""
        each = self._model.num_expression
        rows = torch.arange(len(chunk.clip), device=chunk.clip.device)  # of the frames that still move
        for _ in range(self._settings.iterations):
            some = Chunk(0, len(rows), chunk.clip[rows], chunk.points[rows])
            now = _State(state.identity, state.expression[rows], state.pose.of(rows), state.noise)
            normal = self._linearise(some, now, with_identity=False)
            own, gradient = self._own_block(normal, now.expression, now.noise.square()[some.clip, None])
            step = -_solve(own, gradient[..., None])[..., 0]
            state.expression[rows] = now.expression + step[:, :each]
            state.pose.put(rows, moved(now.pose, step[:, each:]))
            distance = (-(gradient * step).sum(1).clamp(max=0) / self._model.num_points).sqrt()
            rows = rows[distance > self._settings.tolerance_px]
            if not len(rows):
                break

    def _linearise(self, chunk: Chunk, state: _State, with_identity: bool) -> Normal:
        points = self._model.points(state.identity[chunk.clip], state.expression)
        return self._model.normal(chunk.points, points, state.pose, with_identity)

    def _own_block(
        self, normal: Normal, expression: torch.Tensor, variance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Normal matrix (n, K + 7, K + 7) and gradient (n, K + 7) of each frame's own unknowns, with their prior."""
        each = self._model.num_expression
        precision = variance * self._model.expression_precision  # (n, K)
        precision = torch.where(expression < 0, precision * self._model.negative, precision)
        upper = torch.cat([normal.shape[:, :each, :each] + torch.diag_embed(precision), normal.cross[:, :each]], -1)
        lower = torch.cat([normal.cross[:, :each].mT, normal.pose], -1)
        gradient = [normal.shape_gradient[:, :each] + precision * expression, normal.pose_gradient]
        return torch.cat([upper, lower], 1), torch.cat(gradient, 1)

    def _estimate_noise(self, normal: Normal, clips: torch.Tensor, num_clips: int) -> torch.Tensor:
        """Standard deviation of what is left in x and y, px, for as many degrees of freedom as are left: (C,)."""
        count = torch.bincount(clips, minlength=num_clips).to(normal.plane)
        measured = 2.0 * self._model.num_points * count
        fitted = (self._model.num_expression + POSE - 1) * count + self._model.num_identity  # depth shows in z alone
        variance = _sum(normal.plane, clips, num_clips) / torch.maximum(measured - fitted, measured / 4)
        return variance.sqrt().clamp(min=_LEAST_NOISE_PX)

    def _repeats(self, residual: torch.Tensor, clips: torch.Tensor, num_clips: int) -> torch.Tensor:
        """How many frames say what one would, as what is left is alike in them: 1 to the number of frames, (C,).

        With correlation rho of the residuals of two frames, n frames weigh as much as n / (1 + (n - 1) rho).
        """
        count = torch.bincount(clips, minlength=num_clips).to(residual)
        mean = _sum(residual, clips, num_clips) / count[:, None, None]
        one = _sum(residual.square().sum((1, 2)), clips, num_clips) / count
        share = mean.square().sum((1, 2)) / one.clamp(min=_LEAST_NOISE_PX**2)
        return (count * share).clamp(min=1.0)


def _solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solutions for symmetric positive definite matrices (n, Q, Q) and right sides (n, Q, R)."""
    return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))


def _sum(values: torch.Tensor, clips: torch.Tensor, num_clips: int) -> torch.Tensor:
    """Sums over the frames of each clip: (n, ...) -> (C, ...)."""
    return values.new_zeros(num_clips, *values.shape[1:]).index_add_(0, clips, values)


def _nearest(frames: Frames, few: Frames) -> torch.Tensor:
    """For each frame of `frames` the row of `few` that is nearest in the same clip, (N,)."""
    found = []
    for clip, (every, some) in enumerate(zip(frames.chosen, few.chosen, strict=True)):
        middles = (some[1:] + some[:-1]) / 2
        found.append(np.searchsorted(middles, every) + few.rows_of(clip).start)
    return torch.from_numpy(np.concatenate(found)).to(frames.device)
