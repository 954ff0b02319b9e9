"""One clip of coefficients with where it came from: what files are read to and written from."""

import dataclasses
from typing import TypeAlias

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients

FACE_MODEL = "bfm"


@dataclasses.dataclass(frozen=True, eq=False)
class BfmClip:
    """A clip in the coefficients of the field's files. What its file does not say is None."""

    clip_id: str
    coefficients: BfmCoefficients
    kind: str = "BfmCoefficients"  # of the file it was read from, for people
    fps: float | None = None
    face_model: str = FACE_MODEL
    face_model_hash: str | None = None
    fitter: str | None = None
    fitter_version: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class FittedClip:
    """A clip as `chdtf.schema.COEFFS` holds it, of any face model, which need not be here."""

    clip_id: str
    coefficients: Coefficients  # the identity as stored, flat; `fitted.coefficients_of` gives it the model's shape
    fps: float
    face_model: str
    face_model_hash: str
    fitter: str | None = None
    fitter_version: int | None = None
    fit_error_px: float | None = None  # None: not known, as after another frame rate
    smooth: Coefficients | None = None  # the same with expression and pose smoothed over time

    @property
    def kind(self) -> str:
        """Of the file it was read from, for people."""
        return f"fit of {self.face_model}" + (", also smoothed" if self.smooth is not None else "")


AnyClip: TypeAlias = BfmClip | FittedClip
