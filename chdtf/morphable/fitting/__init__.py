"""Fitting morphable models to tracked landmarks: one identity for a clip; expression and pose for every frame.

PyTorch is imported by the first call that needs it (about two seconds), not with this package.
"""

from chdtf.morphable.fitting.clips import fit_clip, fit_clips, fit_image, fitter_of
from chdtf.morphable.fitting.frames import usable
from chdtf.morphable.fitting.settings import FITTER_VERSION, FitSettings
from chdtf.morphable.fitting.smoothing import SmoothSettings, smooth

__all__ = [
    "FITTER_VERSION",
    "FitSettings",
    "SmoothSettings",
    "fit_clip",
    "fit_clips",
    "fit_image",
    "fitter_of",
    "smooth",
    "usable",
]
