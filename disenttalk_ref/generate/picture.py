"""A picture file becomes a 256x256 source: upright, in RGB, its largest face framed."""

import logging
import warnings
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from disenttalk_ref.generate.framing import Detectors, check_side, cut, face_square

MAX_PIXELS = 150_000_000  # 450 MB of RGB; a phone's largest picture has 108 million
_BEHIND = (255, 255, 255)  # what shows through where a picture is transparent

MAX_TURN_DEGREES = 50.0  # beyond it MediaPipe guesses the far half of the mouth, and lips are drawn beside the face

log = logging.getLogger(__name__)


def check_turn(source: Coefficients, name: str) -> None:
    """Refuse a face in profile. `source`: T = 1. Raises `UserError` when it is turned by more than 50 degrees."""
    facing = Rotation.from_rotvec(source.rotation[0].astype(np.float64)).as_matrix()[2, 2]
    turn = float(np.degrees(np.arccos(np.clip(facing, -1, 1))))
    if turn > MAX_TURN_DEGREES:
        raise UserError(
            f"{name}: the face is turned {turn:.0f} degrees away from the viewer; "
            f"give a picture in which it is turned {MAX_TURN_DEGREES:.0f} degrees at most"
        )


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its content, whole or damaged; an animated one is."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path):
                return True
    except Image.DecompressionBombError:
        return True
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return False


def read_picture(path: Path) -> np.ndarray:
    """A picture as it is meant to be seen: uint8 (H, W, 3) RGB.

    Turned upright as its EXIF data say; of an animation the first frame; transparent parts on white; grey, palette and
    CMYK pictures as RGB, more than 8 bits a channel scaled down to 8.

    Raises:
        UserError: if it is no picture, damaged, or has more than 150 million pixels.

    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _check_size(path, *image.size)
                if getattr(image, "n_frames", 1) > 1:
                    log.warning("%s: an animation of %d frames; the first is taken", path.name, image.n_frames)
                return _upright_rgb(image)
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels ({error}); scale the picture down") from error
    except (OSError, ValueError, SyntaxError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a picture that can be read ({why}); save it again as PNG or JPEG") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(f"{path}: {width}x{height} px are too many; scale the picture down to {MAX_PIXELS:,} pixels")


def _upright_rgb(image: object) -> np.ndarray:
    from PIL import Image, ImageOps

    assert isinstance(image, Image.Image)
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith(("I", "F")):
        values = np.asarray(turned, np.float64)
        top = 65535.0 if turned.mode.startswith("I") else max(float(values.max()), 1.0)
        turned = Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
    if turned.has_transparency_data:
        clear = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", clear.size, (*_BEHIND, 255)), clear)
    return np.array(turned.convert("RGB"))


def frame_picture(image: np.ndarray, name: str, crop: str = "auto", detectors: Detectors | None = None) -> np.ndarray:
    """The largest face of a picture, framed as `face_square` says: uint8 (H, W, 3) RGB -> (256, 256, 3).

    Which of several faces is taken is logged. `name` is what messages call the picture.

    Raises:
        UserError: if no face is found (not looked for with crop `whole`), or the square has less than 64 px.

    """
    height, width = image.shape[:2]
    boxes = np.zeros((0, 4), np.float32)
    if crop != "whole":
        boxes = (detectors or Detectors.load()).find(image)
        if not len(boxes):
            raise UserError(
                f"{name}: no face found in {width}x{height} px; "
                "give a picture of one person, seen from the front, whose face is not covered"
            )
        if len(boxes) > 1:
            x, y = (int(v) for v in (boxes[0, :2] + boxes[0, 2:]) / 2)
            log.warning("%s: %d faces; the largest is taken, at x %d, y %d px", name, len(boxes), x, y)
    square = face_square(boxes[:1], width, height, crop)
    check_side(square[2], name)
    return cut(image, square)
