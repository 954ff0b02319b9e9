"""`mp468`: MediaPipe's own 468 vertices, built in; how it was made is in chdtf/assets/mp468.md."""

from pathlib import Path

from chdtf.morphable.model import FaceModel, read_model

FILE = Path(__file__).parents[2] / "assets" / "mp468.npz"


def load(path: Path | None) -> FaceModel:
    """The bundled model, or another that `disentbench basis` computed."""
    return read_model(path or FILE)
