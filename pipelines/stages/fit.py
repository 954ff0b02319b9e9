"""Stage `fit`: landmarks to coefficients of a face model, smoothed over time as well if asked for."""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject, UserError
from chdtf.morphable.coefficients import fit_error_px, to_row
from chdtf.morphable.fitting import FITTER_VERSION, SmoothSettings, fit_clips, fitter_of, smooth, usable
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.schema import NUM_LANDMARKS, SMOOTH, coeffs_schema


@dataclasses.dataclass(frozen=True)
class Stage:
    """Adds the columns of `chdtf.schema.coeffs_schema`.

    A clip without a tracked face is rejected as `no_face`, as `not_fitted` when what was tracked cannot be a face.
    """

    name: ClassVar[str] = "fit"
    version: ClassVar[int] = FITTER_VERSION
    timeout_s: ClassVar[float] = 1200.0  # an hour-long clip of a model without a closed form takes minutes

    face_model: str = DEFAULT_MODEL
    smooth_s: float = 0.0  # 0: no smoothing; 0.16 takes the jitter and keeps the blinks
    device: str = dataclasses.field(default="cpu", metadata={"fingerprint": False})
    face_model_hash: str = dataclasses.field(init=False)  # part of the fingerprint: another model, other coefficients

    def __post_init__(self) -> None:
        object.__setattr__(self, "face_model_hash", load_model(self.face_model).hash)
        if not (self.smooth_s >= 0 and np.isfinite(self.smooth_s)):
            raise UserError(f"fit.smooth_s is {self.smooth_s}; it is in seconds, 0 for no smoothing")

    @property
    def adds(self) -> pa.Schema:
        """The columns, as wide as the model's expressions."""
        return coeffs_schema(load_model(self.face_model).num_expression, smoothed=self.smooth_s > 0)

    def load(self) -> FaceModel:
        """The face model. Raises `UserError` when PyTorch cannot use the device."""
        import torch

        torch.set_num_threads(1)  # workers fill the cores
        try:
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"fit.device {self.device!r} cannot be used ({str(error).splitlines()[0]}); use cpu"
            ) from error
        return load_model(self.face_model)

    def apply(self, row: Row, model: Any, workspace: Workspace) -> Iterable[Row]:
        """Fit one clip: needs the column `landmarks`, (T, 1434) px."""
        landmarks = np.asarray(row["landmarks"], np.float32).reshape(-1, NUM_LANDMARKS, 3)
        if not usable(landmarks).any():
            raise Reject("no_face", f"0 of {len(landmarks)} frames have landmarks")
        try:
            (coefficients,) = fit_clips([landmarks], model, device=self.device)
        except ValueError as error:
            raise Reject("not_fitted", str(error)) from error
        made = {
            **to_row(coefficients, model),
            "fitter": fitter_of(model),
            "fitter_version": FITTER_VERSION,
            "fit_error_px": fit_error_px(landmarks, coefficients, model),
        }
        if self.smooth_s > 0:
            calm = smooth(coefficients, SmoothSettings(smooth_s=self.smooth_s))
            made |= {column: getattr(calm, name) for name, column in SMOOTH.items()}
        yield {**row, **made}
