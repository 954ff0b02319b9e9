"""All of it at once: the chosen dimensions by every way, how stable they are, and whether the claim holds."""

import dataclasses
from collections.abc import Callable, Sequence

from chdtf.errors import UserError
from disenttalk_ref.disentangle.changes import Way, changes_of, impossible
from disenttalk_ref.disentangle.claim import DRAWS, Locality, localities
from disenttalk_ref.disentangle.evidence import Evidence, evidence, ratios
from disenttalk_ref.disentangle.material import FaceClip, Material, Source
from disenttalk_ref.disentangle.pairs import Pairs
from disenttalk_ref.disentangle.stability import (
    Choice,
    Chosen,
    Overlap,
    across_halves,
    across_readings,
    across_speakers,
    across_ways,
    within_clips,
)
from disenttalk_ref.subspaces import Subspaces, rest_of

WAYS: tuple[Way, ...] = ("edited", "animated", "natural", "pairs")
NO_PAIRS = "needs pairs of videos (--pairs)"


@dataclasses.dataclass(frozen=True, eq=False)
class WayFound:
    """One way on all clips: what was measured, the dimensions, and where both regions claimed the same one."""

    way: Way
    whole: tuple[Evidence, ...]
    subspaces: Subspaces
    contested: tuple[int, ...]  # among the K_r largest ratios of both regions; each went to the larger

    @property
    def chosen(self) -> Chosen:
        """D_lip and D_eye."""
        return self.subspaces.lip, self.subspaces.eye


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """All that the report says."""

    material: Material
    choice: Choice
    ways: dict[str, WayFound]
    missing: dict[str, str]  # ways that could not be computed, with the reason
    pairs: Source | None  # what the pairs of videos were
    stability: list[Overlap]
    claim: list[Locality]


def find(material: Material, way: Way, choice: Choice | None = None, pairs: Pairs | None = None) -> WayFound:
    """Eq. 1-2 by one way.

    Args:
        material: the clips.
        way: "edited", "animated" or "natural"; "pairs" with `pairs`.
        choice: K of both regions, and the readings of sigma and Delta.
        pairs: what pairs of videos said; the material then only says the model.

    Raises:
        UserError: if too few dimensions change with a region.
        ValueError: if the way is impossible with this material (`changes.impossible` says why).

    """
    choice = choice or Choice()
    sources = (pairs.source,) if pairs else material.sources
    found = pairs.found if pairs else tuple(evidence_of(material, way))
    both = ratios(found, choice.sigma, choice.statistic)
    lip, eye = choice.of(found)
    top = [set((-both[r]).argsort(kind="stable")[: choice.counts[r]].tolist()) for r in (0, 1)]
    names = ", ".join(source.name for source in sources)
    clips, frames = sum(source.clips for source in sources), sum(source.frames for source in sources)
    subspaces = Subspaces(
        lip=lip,
        eye=eye,
        global_=rest_of(both.shape[1], lip, eye),
        face_model_hash=material.face_model_hash,
        source=f"{names}: {clips} clips, {frames} frames; Delta by the way {way!r}",
        face_model=material.face_model,
        way=way,
        statistic=choice.statistic,
        sigma=choice.sigma,
        lip_ratios=tuple(round(float(ratio), 6) for ratio in both[0]),
        eye_ratios=tuple(round(float(ratio), 6) for ratio in both[1]),
        data=tuple(_account(sources)),
    )
    return WayFound(way, found, subspaces, tuple(sorted(top[0] & top[1])))


def _account(sources: Sequence[Source]) -> list[dict[str, object]]:
    """What the data were, as JSON has it."""
    return [
        {
            "name": source.name,
            "fingerprint": source.fingerprint,
            "clips": source.clips,
            "frames": source.frames,
            "clip_ids": list(source.clip_ids),
            "left_out": [list(entry) for entry in source.left_out],
        }
        for source in sources
    ]


def evidence_of(material: Material, way: Way, part: Callable[[FaceClip], FaceClip] | None = None) -> list[Evidence]:
    """What every clip, or a part of it, says by one way that needs no other video."""
    cut = [part(clip) for clip in material.clips] if part else material.clips
    return [
        evidence(clip.clip_id, clip.speaker_id, clip.expression, changes_of(way, clip, material.points)) for clip in cut
    ]


def _first_half(clip: FaceClip) -> FaceClip:
    return clip.part(slice(0, len(clip.expression) // 2))


def _second_half(clip: FaceClip) -> FaceClip:
    return clip.part(slice(len(clip.expression) // 2, None))


def measure(
    material: Material,
    choice: Choice | None = None,
    pairs: Pairs | None = None,
    seeds: int = 10,
    draws: int = DRAWS,
) -> Measured:
    """Dimensions by every way that the material allows, their stability, and the claim.

    Raises:
        UserError: if no way gives dimensions of both regions.

    """
    choice = choice or Choice()
    ways: dict[str, WayFound] = {}
    missing: dict[str, str] = {}
    stability: list[Overlap] = []
    for way in WAYS:
        why = (None if pairs else NO_PAIRS) if way == "pairs" else impossible(way, material.points)
        if why:
            missing[way] = why
            continue
        try:
            ways[way] = find(material, way, choice, pairs if way == "pairs" else None)
        except UserError as error:
            missing[way] = str(error)
            continue
        stability += _stability(material, ways[way], choice, seeds)
    if not ways:
        raise UserError("; ".join(f"{way}: {why}" for way, why in missing.items()))
    chosen = {way: found.chosen for way, found in ways.items()}
    stability += across_ways(chosen, missing, material.num_expression, choice)
    claim = localities(material, chosen, draws)
    return Measured(material, choice, ways, missing, pairs.source if pairs else None, stability, claim)


def _stability(material: Material, found: WayFound, choice: Choice, seeds: int) -> list[Overlap]:
    whole, way = found.whole, found.way
    rows = across_speakers(whole, way, choice)
    rows += across_halves(whole, way, choice, seeds, "speakers")
    rows += across_halves(whole, way, choice, seeds, "clips")
    if way == "pairs":
        rows += within_clips((), (), way, material.num_expression, choice, "pairs are measured on whole clips")
    else:
        halves = [evidence_of(material, way, part) for part in (_first_half, _second_half)]
        rows += within_clips(halves[0], halves[1], way, material.num_expression, choice)
    return rows + across_readings(whole, way, choice)
