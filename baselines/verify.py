"""Whether a method's file is a video of its clip; what is none gets a reason and never a number."""

import re
from pathlib import Path

import cv2

from baselines.method import Method
from chdtf.errors import Reject
from chdtf.media import UnreadableError, frames, probe

MAX_LACK = 0.2  # of the clip's length, or
MAX_LACK_S = 0.5  # whichever is more: methods leave frames away at either end
BLANK_DEVIATION = 1.0  # of 0-255; NaN becomes one colour when it is written
_WORD = r"^[a-z]+(_[a-z]+)*: "


def reason_of(output: Path, trouble: str) -> str | None:
    """Why there is no video at `output`, or None when there is a readable one."""
    said = output.with_suffix(".error")
    if said.exists():
        words = " ".join(said.read_text(encoding="utf-8", errors="replace").split())[:500]
        return words if re.match(_WORD, words) else f"refused: {words}"
    if not output.exists():
        return f"no_output: {trouble or 'the method ended well and wrote nothing'}"
    try:
        probe(output)
    except Reject as error:
        return str(error)
    return None


def reason_of_content(
    output: Path, method: Method, panel: tuple[int, int, int, int] | None, num_frames: int
) -> str | None:
    """Why the content of a wrapped method's video cannot be scored, or None: its size, its length, blank frames.

    `num_frames` are those of the clip at 25 fps. The video is decoded once.
    """
    x, y, width, height = panel or (0, 0, 0, 0)
    blank = count = 0
    try:
        told = probe(output)
        for frame in frames(output):
            face = frame[y : y + height, x : x + width] if panel else frame
            if panel and face.shape[:2] != (height, width):
                shape = f"{frame.shape[1]}x{frame.shape[0]}"
                return f"wrong_size: the frame is {shape}, the face should be at {x},{y} with {width}x{height} px"
            count += 1
            blank += bool(cv2.meanStdDev(face)[1].max() < BLANK_DEVIATION)
    except UnreadableError as error:
        return str(error)
    if not count:
        return f"no_frames: {output.name}"
    if blank:
        return f"blank_frames: {blank} of {count} frames are of one colour, as NaN is when it is written"
    length_s, wanted_s = count / told.fps, num_frames / 25
    if length_s < wanted_s - max(MAX_LACK * wanted_s, MAX_LACK_S):
        return f"too_short: {length_s:.2f} s of {wanted_s:.2f} s ({count} frames at {told.fps:g} fps)"
    return None
