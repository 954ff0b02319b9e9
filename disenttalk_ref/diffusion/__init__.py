"""The diffusion process (Eq. 3, 8), guidance (Eq. 9), and samplers: one module each in `samplers/`."""

from disenttalk_ref.diffusion.process import PREDICTIONS, Diffusion, Predict, guided

__all__ = ["PREDICTIONS", "Diffusion", "Predict", "guided"]
