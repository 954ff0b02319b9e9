"""One clip of coefficients with where it came from: what files are read to and written from."""

import dataclasses

from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients

FACE_MODEL = "bfm"


@dataclasses.dataclass(frozen=True, eq=False)
class BfmClip:
    """A clip. What its file does not say is None."""

    clip_id: str
    coefficients: BfmCoefficients
    kind: str = "BfmCoefficients"  # of the file it was read from, for people
    fps: float | None = None
    face_model: str = FACE_MODEL
    face_model_hash: str | None = None
    fitter: str | None = None
    fitter_version: int | None = None
