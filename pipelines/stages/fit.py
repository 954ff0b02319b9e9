"""Stage `fit`: landmarks to coefficients of the face model, in closed form."""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject
from chdtf.morphable.coefficients import FITTER_VERSION, fit_clip, fit_error_px, to_row
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.schema import COEFFS, NUM_LANDMARKS


@dataclasses.dataclass(frozen=True)
class Stage:
    """Adds the columns of `chdtf.schema.COEFFS`; a clip without a single tracked face is rejected as `no_face`."""

    name: ClassVar[str] = "fit"
    version: ClassVar[int] = FITTER_VERSION
    timeout_s: ClassVar[float] = 120.0
    adds: ClassVar[pa.Schema] = COEFFS

    face_model: str = DEFAULT_MODEL
    face_model_hash: str = dataclasses.field(init=False)  # part of the fingerprint: another model, other coefficients

    def __post_init__(self) -> None:
        object.__setattr__(self, "face_model_hash", load_model(self.face_model).hash)

    def load(self) -> FaceModel:
        """The face model."""
        return load_model(self.face_model)

    def apply(self, row: Row, model: Any, workspace: Workspace) -> Iterable[Row]:
        """Fit one clip: needs the column `landmarks`, (T, 1434) px."""
        landmarks = np.asarray(row["landmarks"], np.float32).reshape(-1, NUM_LANDMARKS, 3)
        if not np.isfinite(landmarks).all(axis=(1, 2)).any():
            raise Reject("no_face", f"0 of {len(landmarks)} frames have landmarks")
        coefficients = fit_clip(landmarks, model)
        yield {
            **row,
            **to_row(coefficients, model),
            "fit_error_px": fit_error_px(landmarks, coefficients, model),
        }
