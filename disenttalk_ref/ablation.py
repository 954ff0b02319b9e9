"""Table IV of the paper: what each ablation takes away."""

import dataclasses
from collections.abc import Iterable

from chdtf.errors import UserError
from disenttalk_ref.model.config import ModelConfig

ABLATIONS = {
    "temporal": "multi-scale temporal convolution (Eq. 5): F_temp = F_spatial",
    "disentangle": "semantic subspaces (Eq. 1-2): one region of all expression dimensions, in codec and attention",
    "hierarchical": "attention of each region (Eq. 4): one attention over all channels; the codec keeps its regions",
    "local": "local convolution path of Eq. 6: F_final = W_o F_attn + b_o",
    "chdtf": "Mandarin footage in training",
    "syncloss": "lip-sync loss (Eq. 10): lambda = 0",
}  # name -> what is taken away; in the order of Table IV
_OF_THE_MODEL = ("temporal", "disentangle", "hierarchical", "local")  # fields of `ModelConfig`; the others are training


def check_ablations(names: Iterable[str]) -> tuple[str, ...]:
    """The names without repetition, in the order of Table IV. Raises `UserError` for one that is not known."""
    given = set(names)
    if unknown := sorted(given - set(ABLATIONS)):
        raise UserError(f"ablation {unknown[0]!r} is not known; choose from {', '.join(ABLATIONS)}")
    return tuple(name for name in ABLATIONS if name in given)


def label(names: Iterable[str]) -> str:
    """The row's name in Table IV: "Ours w/o TEMPORAL", or "Ours full" where nothing is taken away."""
    taken = check_ablations(names)
    return f"Ours w/o {', '.join(name.upper() for name in taken)}" if taken else "Ours full"


def ablated(model: ModelConfig, names: Iterable[str]) -> ModelConfig:
    """The network without these parts; `chdtf` and `syncloss` are matters of training and leave it as it is.

    Raises `UserError` for a name that is not known.
    """
    return dataclasses.replace(model, **{name: False for name in check_ablations(names) if name in _OF_THE_MODEL})
