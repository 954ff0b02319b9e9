"""`bfm_pose`: PIRenderer's `.mat` of a clip, whose head pose StyleTalk and DreamTalk take.

`coeff` (N, 257), with angles in columns 224 to 226 and translation in 254 to 256, and `transform_params` (N, 5). A
dataset that is fitted with the Basel Face Model gives its own coefficients; otherwise pose and crop come from the
landmarks (`head_pose.bfm_poses`), and expression, identity, texture and light are 0, which those methods do not read.
At another rate than 25 fps poses are interpolated as rotations (`chdtf.morphable.exchange.resample`).
"""

import dataclasses
from pathlib import Path

from baselines.inputs import Input, Unavailable, check_fps
from baselines.inputs.head_pose import bfm_crops, bfm_poses
from baselines.inputs.source import Source
from chdtf.clip import face_model_of
from chdtf.errors import UserError
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.exchange.mat import write_mat
from chdtf.morphable.exchange.resample import resample
from chdtf.morphable.model import load_model
from chdtf.schema import FPS


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """As many rows as the clip has frames at `fps`. Where no face was found the pose before is held."""

    version = 1  # without an annotation: no option
    fps: float = FPS

    def __post_init__(self) -> None:
        check_fps(self.fps)

    @property
    def suffix(self) -> str:
        """.mat."""
        return ".mat"

    def derive(self, source: Source, out: Path) -> None:
        """Write the file. Raises `Unavailable`: `no_face`, or `no_face_model` where that is missing."""
        source.seen()
        found = _held(_coefficients(source))
        write_mat(out, resample(found, FPS, self.fps), gaps="hold")


def _coefficients(source: Source) -> BfmCoefficients:
    if face_model_of([source.clip])[0] != "bfm":
        return bfm_poses(source.landmarks)
    try:
        fit, model = source.clip.coefficients(), load_model("bfm")
    except UserError as error:
        raise Unavailable("no_face_model", str(error)) from error
    both = fit.replace(valid=fit.valid & source.seen())
    if not both.valid.any():
        raise Unavailable("no_face", "no frame has valid coefficients")
    return bfm_from_fit(both, model, transform_params=bfm_crops(source.landmarks)).with_zero_appearance()


def _held(found: BfmCoefficients) -> BfmCoefficients:
    """Gaps closed before resampling, which would widen them."""
    crops = found.to_array("transform_params", "hold")
    return BfmCoefficients.from_array(found.to_array("257", "hold"), "257", crops)
