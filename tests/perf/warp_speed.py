"""How fast a portrait is warped, on one core: `python tests/perf/warp_speed.py`. Not part of the test suite."""

import sys
import time

import cv2
import skimage.data

from chdtf import animate
from chdtf.faces import detect_landmarks
from chdtf.warp import FaceWarp

FRAMES = 60


def frames_per_second(size_px: int) -> float:
    """Frames/s of processor time at size_px x size_px, mouth, lids and head all moving."""
    image = cv2.resize(skimage.data.astronaut()[:240, 100:340], (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    landmarks = detect_landmarks(image)
    if landmarks is None:
        raise RuntimeError("the astronaut's face was not found")
    warp = FaceWarp(image, landmarks)
    targets = [
        animate.move_head(
            animate.close_eyes(animate.open_mouth(landmarks[:468], 0.3 * k / FRAMES), k / FRAMES), yaw=0.2 * k / FRAMES
        )
        for k in range(FRAMES)
    ]
    warp.render(targets[0])
    begin = time.process_time()
    for target in targets:
        warp.render(target)
    return FRAMES / (time.process_time() - begin)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    for size_px in (256, 640):
        sys.stdout.write(f"{size_px}x{size_px}: {frames_per_second(size_px):.0f} frames/s\n")
