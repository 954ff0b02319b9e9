"""Settings of the fit."""

import dataclasses

FITTER_VERSION = 2


@dataclasses.dataclass(frozen=True)
class FitSettings:
    """How landmarks are fitted. Raises `ValueError` for values without sense."""

    chunk_frames: int = 512  # frames at a time: bounds the memory
    rounds: int = 3  # closed form: pose and expression take turns; planted coefficients come back to 1e-4 after two
    iterations: int = 12  # Gauss-Newton: at most so many steps
    tolerance_px: float = 1e-3  # Gauss-Newton: a clip is done when a step moves its landmarks less than this (RMS)
    identity_frames: int = 64  # Gauss-Newton: evenly spread frames of a clip that determine its identity
    depth_weight: float = 0.05  # Gauss-Newton: of z, which MediaPipe only guesses, against x and y
    negative_weight: float = 16.0  # Gauss-Newton, named shapes (ict): the prior's weight below 0, against above

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} is {value}; it must be above 0")
