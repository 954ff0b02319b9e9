"""The one table of coefficient layouts: which columns a file of the field has, in which order, and who reads it.

Every slice is derived from here. Sources are files of public repositories at the commits that were read:
Deep3DFaceRecon_pytorch (sicxu), PIRender (RenYurui), SadTalker (OpenTalker), styletalk (FuxiVirtualHuman), dreamtalk
(ali-vilab).
"""

import dataclasses
import functools

NUM_BFM_IDENTITY, NUM_BFM_EXPRESSION, NUM_BFM_TEXTURE = 80, 64, 80


@dataclasses.dataclass(frozen=True)
class Part:
    """Some columns that belong together: a field of `BfmCoefficients`."""

    name: str
    size: int
    unit: str
    meaning: str
    columns: tuple[str, ...] = ()  # their names, where each is a thing of its own


@dataclasses.dataclass(frozen=True)
class Layout:
    """Parts side by side, float32 (T, width). `wanted_by` are the methods that read it, `source` where that is seen."""

    name: str
    parts: tuple[Part, ...]
    wanted_by: tuple[str, ...]
    source: str

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(part.size for part in self.parts)

    @functools.cached_property
    def slices(self) -> dict[str, slice]:
        """The columns of each part."""
        found, start = {}, 0
        for part in self.parts:
            found[part.name] = slice(start, start + part.size)
            start += part.size
        return found

    def column(self, number: int) -> str:
        """What column `number` is, as `expression[3]`."""
        for name, columns in self.slices.items():
            if columns.start <= number < columns.stop:
                return f"{name}[{number - columns.start}]"
        raise ValueError(f"layout {self.name} has {self.width} columns, not {number + 1}")

    @property
    def text(self) -> str:
        """The layout in a line, as `64 expression + 3 angle`."""
        return " + ".join(f"{part.size} {part.name}" for part in self.parts)


IDENTITY = Part("identity", NUM_BFM_IDENTITY, "standard deviations", "shape of the face")
EXPRESSION = Part(
    "expression", NUM_BFM_EXPRESSION, "standard deviations", "expression, FaceWarehouse transferred to BFM"
)
TEXTURE = Part("texture", NUM_BFM_TEXTURE, "standard deviations", "albedo")
ANGLE = Part(
    "angle", 3, "rad", "R = Rz(roll) Ry(yaw) Rx(pitch); x right, y up, z to the viewer", ("pitch", "yaw", "roll")
)
GAMMA = Part("gamma", 27, "1", "spherical harmonics, 9 each of R, G, B")
TRANSLATION = Part(
    "translation", 3, "Deep3DFaceRecon units", "of the rotated face, before a camera at z = 10", ("x", "y", "z")
)
TRANSFORM = Part(
    "transform_params",
    5,
    "px, px, 1, px, px",
    "size of the frame; scale and centre (up) of the crop",
    ("w0", "h0", "s", "t0", "t1"),
)
CROP = Part("crop", 3, "1, px, px", "the last of transform_params", ("s", "t0", "t1"))

PARTS = (IDENTITY, EXPRESSION, TEXTURE, ANGLE, GAMMA, TRANSLATION, TRANSFORM, CROP)
APPEARANCE = (IDENTITY, TEXTURE, GAMMA)  # what renderers of motion do not read

_COEFF = (IDENTITY, EXPRESSION, TEXTURE, ANGLE, GAMMA, TRANSLATION)
_MOTION = (EXPRESSION, ANGLE, TRANSLATION)
_RENDERED = ("PIRenderer", "StyleTalk", "DreamTalk")  # StyleTalk and DreamTalk render with PIRenderer

_TABLE = (
    Layout("257", _COEFF, _RENDERED, "Deep3DFaceRecon_pytorch models/bfm.py split_coeff"),
    Layout(
        "transform_params",
        (TRANSFORM,),
        _RENDERED,
        "Deep3DFaceRecon_pytorch util/preprocess.py align_img; PIRender scripts/face_recon_videos.py",
    ),
    Layout("260", (*_COEFF, CROP), ("PIRenderer",), "PIRender scripts/prepare_vox_lmdb.py convert_3dmm"),
    Layout("262", (*_COEFF, TRANSFORM), ("PIRenderer",), "PIRender scripts/coeff_detector.py; data/image_dataset.py"),
    Layout(
        "73",
        (*_MOTION, CROP),
        (*_RENDERED, "SadTalker"),
        "PIRender data/vox_dataset.py; SadTalker src/utils/preprocess.py; dreamtalk generators/utils.py",
    ),
    Layout("70", _MOTION, ("SadTalker",), "SadTalker src/test_audio2coeff.py; src/generate_facerender_batch.py"),
    Layout("64", (EXPRESSION,), ("StyleTalk", "DreamTalk"), "styletalk core/utils.py get_video_style_clip"),
)

LAYOUTS = {layout.name: layout for layout in _TABLE}
FRAME_LAYOUTS = tuple(layout for layout in _TABLE if EXPRESSION in layout.parts)  # those that alone hold a clip


def layout_of_width(width: int) -> Layout | None:
    """The layout of a clip whose frames have `width` columns, or None."""
    return next((layout for layout in FRAME_LAYOUTS if layout.width == width), None)


def known_widths() -> str:
    """All widths of a clip, for messages: `64, 70, ...`."""
    return ", ".join(str(width) for width in sorted(layout.width for layout in FRAME_LAYOUTS))
