"""PIRenderer: a neural renderer (Ren et al., ICCV 2021), our own code, with official or own weights."""

from disenttalk_ref.render.pirenderer.config import PRESETS, NetworkConfig
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork
from disenttalk_ref.render.pirenderer.portrait import NeuralPortrait, PIRenderer

__all__ = ["PRESETS", "RENDERER", "NetworkConfig", "NeuralPortrait", "PIRenderer", "PIRendererNetwork"]

RENDERER = PIRenderer
