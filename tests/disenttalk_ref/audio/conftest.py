"""Tiny HuBERT networks with random weights, saved as the hub keeps them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

SaveNetwork = Callable[..., Path]


def _config(**more: Any) -> dict[str, Any]:
    tiny: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    tiny |= {"intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16}
    return {**tiny, "num_conv_pos_embedding_groups": 2, **more}


@pytest.fixture(scope="session")
def save_network(tmp_path_factory: pytest.TempPathFactory) -> SaveNetwork:
    """Save a network and return its folder: like the base ones, or with `large=True` like the large ones."""
    from disenttalk_ref.audio.pretrained import import_transformers

    def save(large: bool = False, seed: int = 0, **more: Any) -> Path:
        network_class, config_class = import_transformers("HubertModel"), import_transformers("HubertConfig")
        form = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True} if large else {}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = network_class(config_class(**_config(**form, **more)))
            for name, value in network.named_parameters():  # biases and scales as training would leave them
                if "norm" in name or "bias" in name:
                    torch.nn.init.normal_(value, 1.0 if name.endswith("norm.weight") else 0.0, 0.2)
        folder = tmp_path_factory.mktemp("hubert")
        network.save_pretrained(folder)
        about = {"do_normalize": large, "sampling_rate": 16_000, "feature_size": 1}
        (folder / "preprocessor_config.json").write_text(json.dumps(about))
        return folder

    return save


@pytest.fixture(scope="session")
def base(save_network: SaveNetwork) -> Path:
    """A network like facebook/hubert-base-ls960."""
    return save_network()


@pytest.fixture(scope="session")
def large(save_network: SaveNetwork) -> Path:
    """A network like facebook/hubert-large-ll60k."""
    return save_network(large=True)
