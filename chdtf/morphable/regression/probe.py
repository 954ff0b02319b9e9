"""Whether a checkpoint can close the eyes: by its hash where that is known, else by trying.

Deep3DFaceRecon's checkpoints before 25 April 2023 keep the eyes open (README of Deep3DFaceRecon_pytorch), and have the
same names and shapes as later ones. The trial: a public-domain portrait, and the same with its lids drawn shut.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from chdtf.errors import UserError
from chdtf.faces import eye_aspect_ratio
from chdtf.files import sha256_file
from chdtf.morphable.model import FaceModel
from chdtf.morphable.regression.align import align, crop, five_points
from chdtf.morphable.regression.network import WHERE
from chdtf.morphable.regression.regress import Network, predict
from chdtf.schema import NUM_VERTICES

# SHA-256 of checkpoints that were published before 25 April 2023, and where
OLDER: Mapping[str, str] = MappingProxyType(
    {"6d17a6b23457b521801baae583cb6a58f7238fe6721fc3d65d76407460e9149b": "epoch_20.pth of SadTalker, March 2023"}
)
CLOSES_BELOW = 0.7  # opening of the closed eyes over that of the open ones


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a checkpoint closes the eyes (None: not known), and a line that says so."""

    closes_eyes: bool | None
    line: str


def check_checkpoint(
    path: Path, network: Network, model: FaceModel | None, device: str = "cpu", accept_older: bool = False
) -> Verdict:
    """Look a checkpoint's hash up, else try it. `model` is the user's BFM, without which it cannot be tried.

    Raises `UserError` for one that does not close the eyes (with the measured ratio), unless `accept_older`.
    """
    known = OLDER.get(sha256_file(path))
    if known is None and model is None:
        why = "without the files of the face model bfm it cannot be tried whether this checkpoint closes the eyes"
        return Verdict(None, f"{path}: {why}; those from before 25 April 2023 do not")
    if known is None and model is not None:
        ratio = closure_ratio(network, model, device)
        measured = f"closing the eyes of a picture leaves {ratio:.0%} of their opening"
        if ratio < CLOSES_BELOW:
            return Verdict(True, f"{path}: {measured}")
        why = f"{measured}, less than {CLOSES_BELOW:.0%} expected: from before 25 April 2023, or another network"
    else:
        why = f"{known}, cannot close the eyes"
    if not accept_older:
        raise UserError(f"{path}: {why}; {WHERE}; --accept-older takes it all the same")
    return Verdict(False, f"{path}: {why}")


def closure_ratio(network: Network, model: FaceModel, device: str = "cpu") -> float:
    """Eye opening of the reconstructed faces with lids shut over that with lids open; mean of two pictures.

    `network` sees one batch of four crops: open, shut, open, shut.
    """
    opening = eye_opening(predict(network, probe_crops(), device), model)
    return float(np.mean(opening[1::2] / opening[0::2]))


def eye_opening(coefficients: np.ndarray, model: FaceModel) -> np.ndarray:
    """Eye aspect ratio of the unposed faces that coefficients (T, 257) describe: float64 (T,)."""
    alpha, beta = coefficients[:, :80].astype(np.float64), coefficients[:, 80:144].astype(np.float64)
    points = np.tensordot(alpha, model.landmark_identity, 1) + np.tensordot(beta, model.landmark_expression, 1)
    vertices = np.full((len(coefficients), NUM_VERTICES, 3), np.nan)
    vertices[:, model.landmark_map.landmarks] = model.landmark_mean + points
    return eye_aspect_ratio(vertices)


def probe_crops() -> np.ndarray:
    """A portrait with eyes open and shut, and its mirror image likewise: uint8 (4, 224, 224, 3) RGB, cropped alike.

    Only one of the sample's two portraits: the other one's glasses hide what the lids do.
    """
    from chdtf.animate import close_eyes
    from chdtf.faces import detect_landmarks
    from chdtf.sample.canvas import portrait
    from chdtf.warp import FaceWarp

    image = portrait("eileen_collins")
    landmarks = detect_landmarks(image)
    assert landmarks is not None
    shut = FaceWarp(image, landmarks).render(close_eyes(landmarks[:NUM_VERTICES], 1.0))
    height, width = image.shape[:2]
    params = align(five_points(landmarks[None], height), width, height)[0]
    pair = [crop(image, params), crop(shut, params)]
    return np.stack([*pair, *(picture[:, ::-1] for picture in pair)])
