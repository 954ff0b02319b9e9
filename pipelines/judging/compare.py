"""Compare: scores that need all clips of a dataset, computed when it is published.

`speaker_similarity` says how much a clip's face is that of its speaker's other clips; `duplicate_of` names the earlier
clip that holds the same footage. Memory: the embeddings and envelopes, some 2 KB for a clip of 10 s.
"""

import collections
import dataclasses
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from pipelines.judging.duplicates import MIN_FRAMES, correlate, prepared, rhythm_pairs

log = logging.getLogger(__name__)

COMPARED = ("clip_id", "speaker_id", "source_sha256", "box", "identity_embedding", "sound_envelope")  # what is read
COMPARISON = pa.schema(
    [
        ("clip_id", pa.string()),
        ("speaker_similarity", pa.float64()),  # cosine with the mean of the speaker's other clips; null: none
        ("duplicate_of", pa.string()),  # clip_id of the earlier clip with the same footage
    ]
)
_BLOCK = 256  # rows of a product of embeddings


@dataclasses.dataclass(frozen=True)
class Likeness:
    """What counts as the same footage.

    Measured on 35 real clips, cut at random, re-encoded with 24 kbit/s and made quieter: correlation 0.96 and more;
    of different clips up to 0.93 over less than two seconds, 0.91 over three and more.
    """

    min_correlation: float = 0.95
    min_overlap_frames: int = 40
    min_overlap_share: float = 0.5  # of the shorter clip: less is no duplicate
    min_cosine: float = 0.5  # of two identities: below, it is another face with the same sound (a dub, the other side)
    min_box_iou: float = 0.25  # of two crops of one source: below, it is another face in the same picture
    max_group: int = 200  # clips of one speaker or source that are compared each with each
    neighbours: int = 20  # with the most similar identity, that each clip is compared with


@dataclasses.dataclass(frozen=True, eq=False)
class _Clips:
    """Columns of all clips, in the order given. Where a clip has no embedding its row is zero."""

    ids: list[str]
    speakers: list[str]
    sources: list[str | None]
    boxes: list[Any]
    embeddings: np.ndarray  # float32 (N, D)
    envelopes: list[np.ndarray]  # prepared

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "_Clips":
        columns: dict[str, list[Any]] = {name: [] for name in COMPARED}
        for row in rows:
            for name, values in columns.items():
                values.append(row.get(name))
        found = [vector for vector in columns["identity_embedding"] if vector is not None]
        embeddings = np.zeros((len(columns["clip_id"]), len(found[0]) if found else 0), np.float32)
        for number, vector in enumerate(columns["identity_embedding"]):
            if vector is not None:
                embeddings[number] = vector
        envelopes = [np.zeros(0) if e is None else prepared(np.asarray(e)) for e in columns["sound_envelope"]]
        return cls(
            columns["clip_id"], columns["speaker_id"], columns["source_sha256"], columns["box"], embeddings, envelopes
        )

    def has_face(self, number: int) -> bool:
        return bool(self.embeddings[number].any())


def compare(rows: Iterable[Row], likeness: Likeness | None = None) -> pa.Table:
    """Compare clips with each other: `COMPARISON`, one row a clip in the order of `rows`.

    `rows` hold the columns `COMPARED`, in the manifest's order; give only clips that are published otherwise, so that
    none is dropped in favour of one that is refused. Of clips with the same footage the first stays. The result does
    not depend on how the clips are spread over shards.
    """
    likeness = likeness or Likeness()
    clips = _Clips.of(rows)
    originals = _originals(len(clips.ids), _matches(clips, _candidates(clips, likeness), likeness))
    duplicate_of = [None if i is None else clips.ids[i] for i in originals]
    kept = np.array([i is None for i in originals], bool)
    columns = [clips.ids, _speaker_similarity(clips, kept), duplicate_of]
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, COMPARISON, strict=True)], COMPARISON
    )


def _speaker_similarity(clips: _Clips, counted: np.ndarray) -> list[float | None]:
    """Cosine of each clip with the mean of its speaker's other clips that are `counted`."""
    sums: dict[str, np.ndarray] = collections.defaultdict(lambda: np.zeros(clips.embeddings.shape[1]))
    for number, speaker in enumerate(clips.speakers):
        if counted[number]:
            sums[speaker] += clips.embeddings[number]
    out: list[float | None] = []
    for number, speaker in enumerate(clips.speakers):
        own = clips.embeddings[number].astype(np.float64)
        others = sums[speaker] - own if counted[number] else sums[speaker]
        length = float(np.linalg.norm(others))
        # what is left of a sum of unit vectors without others is rounding
        out.append(float(own @ others) / length if length > 1e-3 and clips.has_face(number) else None)
    return out


def _candidates(clips: _Clips, likeness: Likeness) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, that may be the same footage, in order."""
    pairs = set(rhythm_pairs(clips.envelopes))
    for groups in (clips.speakers, clips.sources):
        for members in _grouped(groups):
            if len(members) <= likeness.max_group:
                pairs.update((i, j) for a, i in enumerate(members) for j in members[a + 1 :])
    pairs |= _neighbours(clips.embeddings, likeness)
    return sorted(pairs)


def _grouped(values: Sequence[str | None]) -> list[list[int]]:
    members: dict[str, list[int]] = collections.defaultdict(list)
    for number, value in enumerate(values):
        if value is not None:
            members[value].append(number)
    return list(members.values())


def _neighbours(embeddings: np.ndarray, likeness: Likeness) -> set[tuple[int, int]]:
    """Each clip with the earlier clips whose identity is most like its own; (N, N) is never in memory."""
    pairs: set[tuple[int, int]] = set()
    for begin in range(0, len(embeddings), _BLOCK):
        block = embeddings[begin : begin + _BLOCK]
        cosines = block @ embeddings[: begin + len(block)].T
        cosines[np.arange(len(block))[:, None] <= np.arange(cosines.shape[1]) - begin] = -1  # itself and later ones
        rows, others = np.nonzero(cosines >= likeness.min_cosine)
        bounds = np.searchsorted(rows, np.arange(len(block) + 1))
        for row in np.unique(rows):
            near = others[bounds[row] : bounds[row + 1]]
            near = near[np.argsort(-cosines[row, near], kind="stable")[: likeness.neighbours]]
            pairs.update((int(other), begin + int(row)) for other in near)
    return pairs


def _matches(clips: _Clips, pairs: Sequence[tuple[int, int]], likeness: Likeness) -> list[tuple[int, int]]:
    """The pairs that are the same footage."""
    log.info("duplicates: %d pairs of %d clips are compared", len(pairs), len(clips.ids))
    return [(i, j) for i, j in pairs if _may_match(clips, i, j, likeness) and _sound_alike(clips, i, j, likeness)]


def _may_match(clips: _Clips, i: int, j: int, likeness: Likeness) -> bool:
    """Whether it is one face as far as identities and crops say."""
    if clips.has_face(i) and clips.has_face(j):
        return float(clips.embeddings[i] @ clips.embeddings[j]) >= likeness.min_cosine
    is_one_source = clips.sources[i] is not None and clips.sources[i] == clips.sources[j]
    if is_one_source and clips.boxes[i] is not None and clips.boxes[j] is not None:
        return _iou(clips.boxes[i], clips.boxes[j]) >= likeness.min_box_iou
    return True


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


def _sound_alike(clips: _Clips, i: int, j: int, likeness: Likeness) -> bool:
    x, y = clips.envelopes[i], clips.envelopes[j]
    shorter = min(len(x), len(y))
    if shorter < MIN_FRAMES:
        return False
    wanted = max(min(likeness.min_overlap_frames, shorter), round(likeness.min_overlap_share * shorter))
    return correlate(x, y, wanted).correlation >= likeness.min_correlation


def _originals(count: int, matches: Iterable[tuple[int, int]]) -> list[int | None]:
    """For each clip the earliest one with its footage that stays; None for those that stay themselves."""
    earlier: dict[int, list[int]] = collections.defaultdict(list)
    for i, j in matches:
        earlier[j].append(i)
    out: list[int | None] = [None] * count
    for number in sorted(earlier):
        out[number] = min((i for i in earlier[number] if out[i] is None), default=None)
    return out
