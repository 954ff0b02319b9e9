"""Clips of a face model in which it is known which dimensions move the lips and which the eyes."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chdtf.morphable.model import FaceModel
from disenttalk_ref.disentangle.material import Material


@pytest.fixture(scope="session")
def plant() -> Iterator[Any]:
    """The module `planted_faces`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("planted_faces")


@pytest.fixture(scope="session")
def model(plant: Any) -> FaceModel:
    found: FaceModel = plant.planted_model()
    return found


@pytest.fixture(scope="session")
def material(plant: Any, model: FaceModel) -> Material:
    found: Material = plant.make_material(model)
    return found
