"""The paper's claim, measured: moving only the chosen dimensions moves only that region.

Three readings of it. Where the motion is: share of squared landmark motion inside the region. What it does: how much
of the region's opening is left when only these dimensions move, and how much of the other region's. What it tells: how
much of the opening, as seen in frames of speakers who were left out, a linear function of these dimensions explains;
this one needs no face model.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from disenttalk_ref.disentangle.material import FaceClip, Material
from disenttalk_ref.disentangle.points import REGIONS, Points
from disenttalk_ref.disentangle.stability import Chosen
from disenttalk_ref.subspaces import rest_of

DRAWS = 20  # random choices of the same size
MAX_FRAMES = 250  # of a clip, evenly spaced, are used for the gains
_RIDGE = 1e-6


@dataclasses.dataclass(frozen=True)
class Locality:
    """What happens when only some dimensions move (the others rest at the clip's mean). Shares are of 1.

    `inside`: squared motion at landmarks that belong to the region at all (soft weight over 0); `weighted`: counted by
    their soft weight; `other`: at landmarks of the other region. `slope` and `correlation`: of the region's opening
    against the one with all dimensions moving, within clips, all clips together; `slope_other`: of the other region's.
    `explained`: R^2 of the opening on speakers left out. What could not be computed is None, with the reason.
    """

    dimensions: str
    region: str
    count: int
    inside: float | None = None
    weighted: float | None = None
    other: float | None = None
    slope: float | None = None
    correlation: float | None = None
    slope_other: float | None = None
    explained: float | None = None
    explained_other: float | None = None
    reason: str | None = None


def localities(material: Material, chosen: Mapping[str, Chosen], draws: int = DRAWS) -> list[Locality]:
    """Rows for both regions: each way, all dimensions but those of each way, random choices (mean), and all."""
    moments = _Moments.of(material.clips)
    faces = _Faces(material, moments.covariance) if material.points else None
    num, rows = material.num_expression, []
    for region in range(len(REGIONS)):
        sets = {way: [dims[region]] for way, dims in chosen.items()}
        sets |= {f"all but {way}": [rest_of(num, dims[region])] for way, dims in chosen.items()}
        for count in sorted({len(dims[region]) for dims in chosen.values()}):
            rng = np.random.default_rng(count)
            label = f"random, mean of {draws}"
            sets[label] = [tuple(rng.choice(num, count, replace=False).tolist()) for _ in range(draws)]
        sets["all"] = [tuple(range(num))]
        rows += [
            _mean([_measure(label, dims, region, moments, faces) for dims in many]) for label, many in sets.items()
        ]
    return [_with_reason(row, material) for row in rows]


def _measure(label: str, dims: Sequence[int], region: int, moments: "_Moments", faces: "_Faces | None") -> Locality:
    chosen = list(dims)
    values: dict[str, float | None] = {
        "explained": moments.explained(chosen, region),
        "explained_other": moments.explained(chosen, 1 - region),
    }
    if faces is not None:
        values |= faces.motion(chosen, region)
        values |= faces.gains(chosen, region)
    return dataclasses.replace(Locality(label, REGIONS[region], len(chosen)), **values)  # type: ignore[arg-type]


def _mean(rows: Sequence[Locality]) -> Locality:
    """Means of the numbers over draws."""
    first = rows[0]
    names = [f.name for f in dataclasses.fields(Locality) if f.name not in ("dimensions", "region", "count", "reason")]
    means: dict[str, float | None] = {}
    for name in names:
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        means[name] = float(np.mean(values)) if len(values) == len(rows) else None
    return dataclasses.replace(first, **means)  # type: ignore[arg-type]


def _with_reason(row: Locality, material: Material) -> Locality:
    reasons = []
    if row.inside is None:
        reasons.append(f"motion and openings: needs the {material.face_model} model")
    elif row.slope is None:
        reasons.append("openings: they never change")
    if row.explained is None:
        reasons.append(f"explained: needs two speakers whose openings change, there are {len(material.speakers)}")
    return dataclasses.replace(row, reason="; ".join(reasons) or None)


@dataclasses.dataclass(frozen=True, eq=False)
class _Moments:
    """Second moments about each clip's mean, summed by speaker: expression (K), openings (2)."""

    frames: int
    gram: np.ndarray  # (S, K, K)
    cross: np.ndarray  # (S, K, 2)
    power: np.ndarray  # (S, 2)

    @classmethod
    def of(cls, clips: Sequence[FaceClip]) -> "_Moments":
        speakers = sorted({clip.speaker_id for clip in clips})
        num = clips[0].expression.shape[1]
        gram, cross = np.zeros((len(speakers), num, num)), np.zeros((len(speakers), num, 2))
        power = np.zeros((len(speakers), 2))
        for clip in clips:
            who = speakers.index(clip.speaker_id)
            told = clip.expression.astype(np.float64) - clip.expression.mean(0, dtype=np.float64)
            seen = clip.opening - clip.opening.mean(0)
            gram[who] += told.T @ told
            cross[who] += told.T @ seen
            power[who] += np.square(seen).sum(0)
        return cls(sum(len(clip.expression) for clip in clips), gram, cross, power)

    @property
    def covariance(self) -> np.ndarray:
        """(K, K), within clips."""
        summed: np.ndarray = self.gram.sum(0) / self.frames
        return summed

    def explained(self, dims: list[int], region: int) -> float | None:
        """1 - error / power of the opening, each speaker estimated from the others; None for a single speaker."""
        if len(self.gram) < 2 or not self.power[:, region].sum() > 0:
            return None
        grams, crosses = self.gram[:, dims][:, :, dims], self.cross[:, dims, region]
        left = 0.0
        for who in range(len(grams)):
            gram, cross = grams.sum(0) - grams[who], crosses.sum(0) - crosses[who]
            ridge = _RIDGE * np.trace(gram) / len(dims) + 1e-300
            weight = np.linalg.solve(gram + ridge * np.eye(len(dims)), cross)
            left += self.power[who, region] - 2 * weight @ crosses[who] + weight @ grams[who] @ weight
        return float(1 - left / self.power[:, region].sum())


class _Faces:
    """Motion and openings of faces in which only some dimensions move."""

    def __init__(self, material: Material, covariance: np.ndarray) -> None:
        assert material.points is not None
        self._points: Points = material.points
        self._covariance = covariance
        self._clips = [_spaced(clip) for clip in material.clips if clip.neutral is not None]
        self._full = [self._openings(clip, None) for clip in self._clips]

    def motion(self, dims: list[int], region: int) -> dict[str, float | None]:
        """Where the motion is, of the covariance that the footage has."""
        basis = self._points.model.landmark_expression[dims].reshape(len(dims), -1)
        covariance = self._covariance[np.ix_(dims, dims)]
        motion = ((covariance @ basis) * basis).sum(0).reshape(-1, 3).sum(1)
        own, other = self._points.weights[region], self._points.weights[1 - region]
        total = motion.sum()
        if not total > 0:
            return {"inside": None, "weighted": None, "other": None}
        shares = (motion[own > 0].sum(), motion @ own, motion[other > 0].sum())
        return dict(zip(("inside", "weighted", "other"), (float(s / total) for s in shares), strict=True))

    def gains(self, dims: list[int], region: int) -> dict[str, float | None]:
        """Slope and correlation of openings, within clips, all clips together."""
        sums = np.zeros((3, 2))  # of full^2, full * partial, partial^2
        for clip, full in zip(self._clips, self._full, strict=True):
            partial = self._openings(clip, dims)
            sums += np.stack([(full * full).sum(0), (full * partial).sum(0), (partial * partial).sum(0)])
        if not (sums[0] > 0).all():
            return {"slope": None, "correlation": None, "slope_other": None}
        slope = sums[1] / sums[0]
        power = np.sqrt(sums[0] * sums[2])
        correlation = sums[1] / np.where(power > 0, power, 1.0)
        return {
            "slope": float(slope[region]),
            "correlation": float(correlation[region]),
            "slope_other": float(slope[1 - region]),
        }

    def _openings(self, clip: FaceClip, dims: list[int] | None) -> np.ndarray:
        """Openings (T, 2) about their mean; None: of all dimensions."""
        assert clip.neutral is not None
        mean = clip.expression.mean(0, dtype=np.float64)
        moving = np.zeros(len(mean))
        moving[list(range(len(mean))) if dims is None else dims] = 1.0
        opening = self._points.opening(clip.neutral, mean + moving * (clip.expression - mean))
        centred: np.ndarray = opening - opening.mean(0)
        return centred


def _spaced(clip: FaceClip) -> FaceClip:
    keep = np.linspace(0, len(clip.expression) - 1, min(len(clip.expression), MAX_FRAMES)).round().astype(int)
    return dataclasses.replace(clip, expression=clip.expression[keep], opening=clip.opening[keep])
