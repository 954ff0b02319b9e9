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
from chdtf.morphable.fitting.normal_equations import POSE, Normal, NormalEquations, moved
from chdtf.morphable.fitting.settings import FitSettings
from chdtf.morphable.model import FaceModel

_LEAST_NOISE_PX = 1e-4  # about float32's resolution of landmarks; keeps the priors from vanishing altogether
_LARGEST = 0.5  # change of the pose in one step


@dataclasses.dataclass
class State:
    """The unknowns of n frames of C clips, and what is left."""

    identity: torch.Tensor  # (C, I)
    expression: torch.Tensor  # (n, K)
    pose: Pose
    noise: torch.Tensor  # (C,) px
    repeats: torch.Tensor  # (C,) frames that count as one


class GaussNewton:
    """Fits a batch of clips."""

    def __init__(self, frames: Frames, model: FaceModel, settings: FitSettings) -> None:
        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(frames.device)

        self._frames, self._settings = frames, settings
        self._mean = tensor(model.landmark_mean)  # (M, 3)
        self._expressions = tensor(model.landmark_expression.reshape(model.num_expression, -1))  # (K, 3 M)
        self._identities = tensor(model.landmark_identity.reshape(model.num_identity, -1))  # (I, 3 M)
        self._weights = tensor(model.fit_weights / model.fit_weights.mean(dtype=np.float64))  # (M,), mean 1
        self._alignment_weights = tensor(model.alignment_weights)
        self._precision = tensor(1 / model.expression_deviation.astype(np.float64) ** 2)  # (K,)
        self._negative = settings.negative_weight if model.expression_names else 1.0
        self._axes = tensor(np.array([1, 1, settings.depth_weight]))
        self._joint_equations = self._equations(torch.cat([self._expressions, self._identities]), self._mean[None])

    def run(self) -> tuple[torch.Tensor, torch.Tensor, Pose]:
        """Identities (C, I), expressions (N, K), poses of N frames."""
        few = self._frames.at_most(self._settings.identity_frames)
        states = [self.joint(group) for group in few.groups()]
        identity, noise = (torch.cat([getattr(state, name) for state in states]) for name in ("identity", "noise"))
        expression = torch.cat([state.expression for state in states])[_nearest(self._frames, few)]
        pose = Pose.empty(self._frames.total, self._frames.device)
        # one after another, so that none depends on how many there are: to the bit
        neutral = torch.stack([self._mean + (one @ self._identities).reshape(-1, 3) for one in identity])
        equations = self._equations(self._expressions, neutral)
        for chunk in self._frames.chunks():
            starts = umeyama(
                neutral[chunk.clip] + (expression[chunk.rows] @ self._expressions).reshape(chunk.points.shape),
                chunk.points,
                self._alignment_weights,
            )
            pose.put(chunk.rows, starts)
            self._separate(equations, chunk, expression[chunk.rows], pose.of(chunk.rows), noise[chunk.clip])
        return identity, expression, pose

    def joint(self, group: Frames) -> State:
        """Everything about the frames of some clips, which fit into memory together."""
        (chunk,) = group.chunks()
        clips, num_clips = chunk.clip, group.num_clips
        observed = self._joint_equations.observe(chunk.points, torch.zeros_like(clips))
        state = State(
            identity=self._mean.new_zeros(num_clips, len(self._identities)),
            expression=self._mean.new_zeros(group.total, len(self._expressions)),
            pose=umeyama(self._mean.expand_as(chunk.points), chunk.points, self._alignment_weights),
            noise=self._mean.new_zeros(num_clips),
            repeats=self._mean.new_ones(num_clips),
        )
        moving = torch.ones(num_clips, dtype=torch.bool, device=group.device)
        for _ in range(self._settings.iterations):
            self._look_at_residual(chunk, state, moving)
            shape = torch.cat([state.expression, state.identity[clips]], 1)
            normal = self._joint_equations.at(observed, torch.zeros_like(clips), shape, state.pose)
            moving &= self._joint_step(normal, state, clips, moving) > self._settings.tolerance_px
            if not moving.any():
                break
        return state

    def _joint_step(self, normal: Normal, state: State, clips: torch.Tensor, moving: torch.Tensor) -> torch.Tensor:
        """One step of all unknowns of the clips that still move; how far it moves landmarks, (C,) px RMS."""
        each, count = len(self._expressions), len(moving)
        variance = state.noise.square()
        own, gradient = self._own_block(normal, state.expression, variance[clips])
        coupling = torch.cat([normal.shape[:, :each, each:], normal.cross[:, each:].mT], 1)  # (n, K + 7, I)
        solved = _solve(own, torch.cat([coupling, gradient[..., None]], -1))  # (n, K + 7, I + 1)
        full = torch.cat([normal.shape[:, each:, each:], normal.shape_gradient[:, each:, None]], -1)
        left = _sum(full - coupling.mT @ solved, clips, count)  # the Schur complement and its right side
        precision = (variance * state.repeats)[:, None].expand_as(state.identity)
        left[..., :-1] += torch.diag_embed(precision)
        left[..., -1] += precision * state.identity
        step = -torch.linalg.solve(left[..., :-1], left[..., -1:])[..., 0] * moving[:, None]
        own_step = -(solved[..., -1] + (solved[..., :-1] @ step[clips, :, None])[..., 0]) * moving[clips, None]
        own_step = _bounded(own_step)
        shared = _sum(normal.shape_gradient[:, each:], clips, count) + precision * state.identity
        decrement = -(shared * step).sum(1) - _sum((gradient * own_step).sum(1), clips, count)
        state.identity = state.identity + step
        state.expression = state.expression + own_step[:, :each]
        state.pose = moved(state.pose, own_step[:, each:])
        points = torch.bincount(clips, minlength=count) * len(self._weights)
        distance: torch.Tensor = (decrement.clamp(min=0) / points).sqrt()
        return distance

    def _separate(
        self, equations: NormalEquations, chunk: Chunk, expression: torch.Tensor, pose: Pose, noise: torch.Tensor
    ) -> None:
        """Expression and pose of every frame by itself, changed in place; the noise (n,) is given."""
        each = len(self._expressions)
        observed = equations.observe(chunk.points, chunk.clip)
        rows = torch.arange(len(chunk.clip), device=chunk.clip.device)  # of the frames that still move
        for _ in range(self._settings.iterations):
            now, at = expression[rows], pose.of(rows)
            normal = equations.at(observed.of(rows), chunk.clip[rows], now, at)
            own, gradient = self._own_block(normal, now, noise[rows].square())
            step = _bounded(-_solve(own, gradient[..., None])[..., 0])
            expression[rows] = now + step[:, :each]
            pose.put(rows, moved(at, step[:, each:]))
            distance = (-(gradient * step).sum(1).clamp(max=0) / len(self._weights)).sqrt()
            rows = rows[distance > self._settings.tolerance_px]
            if not len(rows):
                break

    def _equations(self, shapes: torch.Tensor, neutral: torch.Tensor) -> NormalEquations:
        return NormalEquations(shapes, neutral, self._weights, self._axes)

    def _own_block(
        self, normal: Normal, expression: torch.Tensor, variance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Normal matrix (n, K + 7, K + 7) and gradient (n, K + 7) of each frame's own unknowns, with their prior."""
        each = len(self._expressions)
        precision = variance[:, None] * self._precision  # (n, K)
        precision = torch.where(expression < 0, precision * self._negative, precision)
        upper = torch.cat([normal.shape[:, :each, :each] + torch.diag_embed(precision), normal.cross[:, :each]], -1)
        lower = torch.cat([normal.cross[:, :each].mT, normal.pose], -1)
        gradient = [normal.shape_gradient[:, :each] + precision * expression, normal.pose_gradient]
        return torch.cat([upper, lower], 1), torch.cat(gradient, 1)

    def _look_at_residual(self, chunk: Chunk, state: State, moving: torch.Tensor) -> None:
        """Update `noise` and `repeats` of the clips that still move, from what is left.

        The noise is what is left in x and y for as many degrees of freedom as are left. With correlation rho of what is
        left in two frames, n frames say as much as n / (1 + (n - 1) rho) would that have nothing in common.
        """
        clips, num_clips = chunk.clip, len(moving)
        flat = torch.cat([state.expression, state.identity[clips]], 1) @ torch.cat(
            [self._expressions, self._identities]
        )
        points = self._mean + flat.reshape(chunk.points.shape)
        left = state.pose.apply(points) - chunk.points  # px
        plane = _sum((left[..., :2].square().sum(-1) * self._weights).sum(1), clips, num_clips)
        count = torch.bincount(clips, minlength=num_clips).to(plane)
        measured = 2.0 * len(self._weights) * count
        fitted = (len(self._expressions) + POSE - 1) * count + len(self._identities)  # depth shows in z alone
        noise = (plane / torch.maximum(measured - fitted, measured / 4)).sqrt().clamp(min=_LEAST_NOISE_PX)
        turned = (left @ state.pose.rotation) * self._weights.sqrt()[:, None]  # in the model's frame
        mean_square = (_sum(turned, clips, num_clips) / count[:, None, None]).square().sum((1, 2))
        square = _sum(turned.square().sum((1, 2)), clips, num_clips) / count
        repeats = (count * mean_square / square.clamp(min=_LEAST_NOISE_PX**2)).clamp(min=1.0)
        state.noise = torch.where(moving, noise, state.noise)
        state.repeats = torch.where(moving, repeats, state.repeats)


def _solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solutions for symmetric positive definite matrices (n, Q, Q) and right sides (n, Q, R)."""
    return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))


def _bounded(step: torch.Tensor) -> torch.Tensor:
    """Steps (n, K + 7), shortened to where the linearisation holds: half a radian, half of a log scale, half a face."""
    largest = step[:, -POSE:].abs().amax(1, keepdim=True)
    return step * (_LARGEST / largest.clamp(min=_LARGEST))


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
