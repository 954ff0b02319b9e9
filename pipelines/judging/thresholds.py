"""Thresholds: which scores a published clip must have. Scores are stored by the stages and judged here, afterwards.

A threshold that is None is off, and a score that is null never rejects: what could not be measured is no fault.
"""

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from chdtf.columns import Row
from chdtf.errors import UserError

SHARE = "share"  # a unit: 0 to 1, written as a percentage


@dataclasses.dataclass(frozen=True)
class Bound:
    """One threshold: a clip whose `column` is beyond `limit` is refused as `word`. `limit` None: off."""

    column: str
    word: str
    field: str  # of `Thresholds`
    limit: float | None
    is_minimum: bool
    unit: str  # "share", "px", "deg", "dBFS", ... or "" for a number without one
    phrase: str  # what the value says, with {} for it
    is_magnitude: bool = False  # the absolute value is judged: draw the limit on both sides of zero

    def verdict(self, score: float | None) -> str | None:
        """`word: detail with both numbers` when the score is out of bounds. Null and NaN are in bounds."""
        if self.limit is None or score is None or math.isnan(score):
            return None
        value = abs(score) if self.is_magnitude else score
        if value >= self.limit if self.is_minimum else value <= self.limit:
            return None
        said, limit = _apart(value, self.limit, self.unit)
        return f"{self.word}: {self.phrase.format(said)}, at {'least' if self.is_minimum else 'most'} {limit}"


def _apart(value: float, limit: float, unit: str) -> tuple[str, str]:
    """Both numbers with their unit; the value has three significant digits, or as many as tell it from the limit."""
    factor, tail = (100, "%") if unit == SHARE else (1, f" {unit}" if unit else "")
    stated = f"{limit * factor:.10g}{tail}"
    for digits in range(3, 17):
        said = repr(float(f"{value * factor:.{digits}g}")).removesuffix(".0") + tail
        if said != stated:
            break
    return said, stated


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What a clip must have to be published; None turns a threshold off."""

    max_several_faces_share: float | None = 0.2
    """Share of sampled frames with another face of comparable size (several_faces)."""
    min_source_face_px: float | None = 96.0
    """Median height of the face, brows to chin, in pixels of the source; 96 px give a crop of 175 px
    (face_too_small)."""
    min_main_face_share: float | None = 0.8
    """Share of sampled frames that show the face that is framed (face_lost)."""
    min_box_iou: float | None = 0.25
    """Smallest overlap (intersection over union) of the face's box with its first one (face_moves)."""
    min_smallest_face_share: float | None = 0.32
    """5th percentile of the face's height over the crop's side (face_moves)."""
    max_cut_off_share: float | None = 0.1
    """Share of sampled frames in which a tenth of the face lies outside the crop (face_moves)."""
    min_face_found_share: float | None = 0.9
    """Share of the clip's frames with landmarks (face_lost)."""
    min_loudness_dbfs: float | None = -60.0
    """Root mean square of the sound, dB relative to full scale (silence)."""
    min_speech_share: float | None = 0.2
    """Share of the sound that a voice activity detector calls speech (no_speech)."""
    max_silence_share: float | None = None
    """Share of the sound that is silent (silence)."""
    max_clipping_share: float | None = None
    """Share of sound samples in runs at full scale; real clips of loud recordings reach 0.014 (clipping)."""
    min_face_size_px: float | None = 50.0
    """Median distance of forehead and chin in the 256 px clip (face_too_small)."""
    max_yaw_median_deg: float | None = 60.0
    """Median turn of the head to either side, degrees (profile)."""
    max_pitch_median_deg: float | None = None
    """Median inclination of the head up or down, degrees (pitched)."""
    min_mean_luma: float | None = 12.0
    """Mean brightness of the clip, 0 to 255 (dark)."""
    min_sharpness: float | None = None
    """Sharpness of the face region in the 256 px clip; 0.02 refuses what a Gaussian of 2 px would blur (blurred)."""
    min_source_height: float | None = None
    """Height of the source's picture in pixels, as stored (low_resolution)."""
    min_source_bitrate_bps: float | None = None
    """Bits a second of the source (low_bitrate)."""
    min_av_confidence: float | None = None
    """SyncNet's confidence that lips and sound belong together; LatentSync's data take 3 (out_of_sync)."""
    max_av_offset_frames: float | None = None
    """Frames at 25 fps by which the sound is early or late, by SyncNet; LatentSync's data take 6 (out_of_sync)."""
    min_active_speaker: float | None = 0.5
    """Light-ASD's probability that the face shown speaks while speech is heard; real talking faces have 0.98 and more,
    the same held still 0.34 and less (not_the_speaker)."""
    min_speaker_similarity: float | None = None
    """Cosine of the clip's identity with that of the speaker's other clips, -1 to 1; strangers are below 0.4
    (other_speaker)."""
    drop_duplicates: bool = True
    """Refuse a clip whose footage is in an earlier clip (duplicate)."""

    def __post_init__(self) -> None:
        for bound in self.bounds():
            if bound.limit is None:
                continue
            if not math.isfinite(bound.limit):
                raise UserError(f"{bound.field} {bound.limit}: a threshold is a finite number; off (null) turns it off")
            if bound.unit == SHARE and not 0 <= bound.limit <= 1:
                raise UserError(f"{bound.field} {bound.limit:g}: a share lies between 0 and 1")
            if not bound.is_minimum and bound.limit < 0:
                raise UserError(f"{bound.field} {bound.limit:g}: would refuse every clip; give 0 or more")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Thresholds":
        """Thresholds from a mapping, such as a table of a recipe. Raises `UserError` for a name that is not one."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"all: {', '.join(names)}"
                raise UserError(f"unknown threshold {name!r}; {hint}")
        return cls(**values)

    def bounds(self) -> tuple[Bound, ...]:
        """All thresholds on numbers, in the order in which they are judged, also those that are off."""
        return tuple(self._bounds())

    def verdict(self, row: Row) -> str | None:
        """The first fault of a row as "word: detail with numbers", or None. Columns that the row lacks are null."""
        for bound in self.bounds():
            if words := bound.verdict(row.get(bound.column)):
                return words
        if self.drop_duplicates and row.get("duplicate_of"):
            return f"duplicate: the same footage as {row['duplicate_of']}"
        return None

    def _bounds(self) -> Iterator[Bound]:
        for column, word, field, unit, phrase in _RULES:
            is_magnitude = column in _MAGNITUDES
            yield Bound(column, word, field, getattr(self, field), field.startswith("min_"), unit, phrase, is_magnitude)


_MAGNITUDES = frozenset({"av_offset_frames"})

# column, word, field, unit, phrase; the order of judgement: picture of the source, sound, face, what models say
_RULES = (
    ("several_faces_share", "several_faces", "max_several_faces_share", SHARE, "in {} of frames"),
    ("source_face_px", "face_too_small", "min_source_face_px", "px", "{} of the source"),
    ("main_face_share", "face_lost", "min_main_face_share", SHARE, "one face stays for {} of frames only"),
    ("min_box_iou", "face_moves", "min_box_iou", "", "its box overlaps the first one by {} only"),
    (
        "smallest_face_share",
        "face_moves",
        "min_smallest_face_share",
        SHARE,
        "in the one crop that covers its way it shrinks to {} of the side",
    ),
    ("cut_off_share", "face_moves", "max_cut_off_share", SHARE, "cut off in {} of frames"),
    ("face_found_share", "face_lost", "min_face_found_share", SHARE, "landmarks in {} of frames"),
    ("loudness_dbfs", "silence", "min_loudness_dbfs", "dBFS", "{}"),
    ("silence_share", "silence", "max_silence_share", SHARE, "{} of the sound"),
    ("speech_share", "no_speech", "min_speech_share", SHARE, "speech in {} of the sound"),
    ("clipping_share", "clipping", "max_clipping_share", SHARE, "{} of samples"),
    ("face_size_px", "face_too_small", "min_face_size_px", "px", "{} of the clip"),
    ("yaw_median_deg", "profile", "max_yaw_median_deg", "degrees", "turned by {}"),
    ("pitch_median_deg", "pitched", "max_pitch_median_deg", "degrees", "inclined by {}"),
    ("mean_luma", "dark", "min_mean_luma", "", "mean brightness {} of 255"),
    ("sharpness", "blurred", "min_sharpness", "", "sharpness {}"),
    ("source_height", "low_resolution", "min_source_height", "px", "{} of height"),
    ("source_bitrate_bps", "low_bitrate", "min_source_bitrate_bps", "bit/s", "{}"),
    ("av_confidence", "out_of_sync", "min_av_confidence", "", "confidence {}"),
    ("av_offset_frames", "out_of_sync", "max_av_offset_frames", "frames", "{}"),
    ("active_speaker", "not_the_speaker", "min_active_speaker", "", "score {}"),
    ("speaker_similarity", "other_speaker", "min_speaker_similarity", "", "similarity {}"),
)


def thresholds_of(description: Mapping[str, Any]) -> Thresholds:
    """The thresholds of a published dataset; all off where it was published without."""
    values = description.get("thresholds")
    if values is None:
        off: dict[str, Any] = {field.name: None for field in dataclasses.fields(Thresholds)}
        values = {**off, "drop_duplicates": False}
    return Thresholds.of(values)
