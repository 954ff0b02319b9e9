"""Which pixels show the person, by MediaPipe's selfie segmentation, whose network lies in MediaPipe's package."""

import os

import numpy as np

from chdtf.faces import native_stderr_off


def person_mask(image: np.ndarray) -> np.ndarray:
    """Head, hair and body in an image, uint8 (H, W, 3) RGB: uint8 (H, W), 255 where it is sure to show the person."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mediapipe.python.solutions import selfie_segmentation

    with native_stderr_off(), selfie_segmentation.SelfieSegmentation(model_selection=0) as network:
        found = network.process(np.ascontiguousarray(image)).segmentation_mask
    mask: np.ndarray = np.clip(np.rint(255 * found), 0, 255).astype(np.uint8)
    return mask
