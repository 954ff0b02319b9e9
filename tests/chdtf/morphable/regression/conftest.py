"""A network that needs no weights: it closes the eyes of its face when it sees them closed, or does not."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chdtf.animate import close_eyes
from chdtf.morphable.model import FaceModel
from chdtf.morphable.models import bfm, mp468

_MODELS = Path(__file__).parent.parent / "models"


@pytest.fixture(scope="session")
def handmade_model(tmp_path_factory: pytest.TempPathFactory) -> FaceModel:
    """A small BFM with lids that move as mp468's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(_MODELS))
        handmade: Any = importlib.import_module("handmade_bfm")
    path = tmp_path_factory.mktemp("bfm") / "BFM_model_front.mat"
    handmade.write_front(path)
    return bfm.load(path, handmade.SMALL)


@pytest.fixture(scope="session")
def closing(handmade_model: FaceModel) -> np.ndarray:
    """The expression (64,) that shuts the lids."""
    face = mp468.load(None).mean.astype(np.float64)
    offset = (close_eyes(face, 1.0) - face)[handmade_model.landmark_map.landmarks]
    shut: np.ndarray = offset.reshape(-1) @ handmade_model.projector
    return shut


@pytest.fixture(scope="session")
def make_network(closing: np.ndarray) -> Callable[[float], Callable[[torch.Tensor], torch.Tensor]]:
    """A network that closes its face's eyes by a share when the crop shows no dark pupils."""

    def make(share: float) -> Callable[[torch.Tensor], torch.Tensor]:
        def network(images: torch.Tensor) -> torch.Tensor:
            assert images.shape[1:] == (3, 224, 224)
            assert 0 <= float(images.min()) <= float(images.max()) <= 1
            dark = (images.mean(1)[:, 80:105, 55:170] < 0.25).float().mean((1, 2))
            out = torch.zeros(len(images), 257)
            out[:, 80:144] = torch.from_numpy(closing).float() * share * (dark < 0.01).float()[:, None]
            return out

        return network

    return make
