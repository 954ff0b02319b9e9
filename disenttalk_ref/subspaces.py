"""Lip, eye and global subspaces of the expression dimensions (Eq. 1-2 of the paper): the type, its choice, its file.

How |Delta_r^i| / sigma_i is measured is in `disenttalk_ref.disentangle`.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.errors import UserError
from chdtf.files import write_text
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model

K_LIP, K_EYE = 13, 8
ASSETS = Path(__file__).parent / "assets"
_MAKE = "make them with: disentbench disentangle DATA --out subspaces.json"
_FIRST_FIELDS = ("lip", "eye", "global_", "face_model_hash", "source")  # of the first version, which has no others


@dataclasses.dataclass(frozen=True)
class Subspaces:
    """D_lip, D_eye and D_global: indices of expression dimensions, ascending, together all of them once."""

    lip: tuple[int, ...]
    eye: tuple[int, ...]
    global_: tuple[int, ...]
    face_model_hash: str | None  # None: bfm coefficients, read without the model's file
    source: str  # one line: what they were measured on, and how
    face_model: str = ""  # empty in files of the first version, which hold the hash alone
    way: str = ""  # edited, animated, natural or pairs
    statistic: str = ""  # of Delta: rms or max
    sigma: str = ""  # within clips, or over all frames
    lip_ratios: tuple[float, ...] = ()  # |Delta_lip^i| / sigma_i of all dimensions
    eye_ratios: tuple[float, ...] = ()
    data: tuple[dict[str, Any], ...] = ()  # name, fingerprint, clips, frames, clip_ids and left_out of each source

    def __post_init__(self) -> None:
        everything = sorted((*self.lip, *self.eye, *self.global_))
        if everything != list(range(len(everything))):
            raise ValueError(f"subspaces must hold each dimension once: {self.lip}, {self.eye}, {self.global_}")

    @property
    def order(self) -> tuple[int, ...]:
        """Dimensions region by region: lip, eye, global."""
        return (*self.lip, *self.eye, *self.global_)

    def regions(self, at_least: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """Dimensions of eye, lip and global, in the order of `disenttalk_ref.model.REGIONS`.

        Raises `UserError` when a region has fewer than a network compresses it to (`ModelConfig.latents`).
        """
        found = {"eye": self.eye, "lip": self.lip, "global": self.global_}
        for (name, dimensions), count in zip(found.items(), at_least, strict=True):
            if len(dimensions) < count:
                raise UserError(f"subspaces of {len(dimensions)} {name} dimensions; this network needs {count} or more")
        return tuple(found.values())

    def to_json(self) -> str:
        """As JSON text; `Subspaces.from_json` reads it back."""
        lines = [
            f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
            for name, value in dataclasses.asdict(self).items()
        ]
        return "{\n" + ",\n".join(lines) + "\n}"

    @classmethod
    def from_json(cls, text: str) -> "Subspaces":
        """From `to_json`, or from the five fields of the first version.

        Raises:
            ValueError: if it is no JSON, a field is missing or unknown, or the dimensions are not a partition.

        """
        raw: Any = json.loads(text)
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(raw, dict) or set(raw) not in (names, set(_FIRST_FIELDS)):
            found = sorted(raw) if isinstance(raw, dict) else type(raw).__name__
            raise ValueError(f"subspaces have the fields {sorted(names)}, not {found}")
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        for name in ("lip", "eye", "global_"):
            if not isinstance(fields[name], tuple) or not all(type(i) is int for i in fields[name]):
                raise ValueError(f"{name} is a list of dimensions, not {raw[name]!r}")
        return cls(**fields)


def load_subspaces(model: FaceModel | None = None, path: Path | None = None) -> Subspaces:
    """The subspaces of `model` (default `mp468`) in a file of `disentbench disentangle`, or the bundled ones.

    Raises:
        UserError: if the file is missing or no such file, was made for another model (both are named), or no
            subspaces are bundled for this model.

    """
    model = model or load_model(DEFAULT_MODEL)
    path, given = path or ASSETS / f"{model.name}_subspaces.json", path
    if given is None and not path.is_file():
        raise UserError(f"no subspaces bundled for face model {model.name!r}; {_MAKE}")
    subspaces = read_subspaces(path)
    made = subspaces.face_model or model.name
    if made != model.name or subspaces.face_model_hash not in (model.hash, None):
        digest = (subspaces.face_model_hash or "")[:12] or "(its file was not at hand)"
        found = f"{subspaces.face_model} {digest}".strip()
        raise UserError(
            f"{path.name}: made for face model {found}, this one is {model.name} {model.hash[:12]}; {_MAKE}"
        )
    if len(subspaces.order) != model.num_expression:
        raise UserError(
            f"{path.name}: {len(subspaces.order)} dimensions, {model.name} has {model.num_expression}; {_MAKE}"
        )
    return subspaces


def read_subspaces(path: Path) -> Subspaces:
    """The subspaces in a file, of whatever model. Raises `UserError` if it is missing or holds something else."""
    try:
        return Subspaces.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a file of subspaces ({error}); {_MAKE}") from error


def save_subspaces(subspaces: Subspaces, path: Path) -> None:
    """Write subspaces as JSON, whole or not at all."""
    write_text(path, subspaces.to_json() + "\n")


def choose(
    lip: np.ndarray, eye: np.ndarray, k_lip: int = K_LIP, k_eye: int = K_EYE
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Eq. 1: D_lip and D_eye, the K_r dimensions of largest |Delta_r^i| / sigma_i, ascending.

    A dimension among the first of both regions goes to the one where its ratio is larger (to the lips if equal), and
    the other region takes its next; so each has exactly K_r.

    Args:
        lip: (N,) ratios |Delta_lip| / sigma.
        eye: (N,) ratios |Delta_eye| / sigma.
        k_lip: K_lip.
        k_eye: K_eye.

    Raises:
        ValueError: if the shapes differ, a ratio is no number, or N is smaller than K_lip + K_eye.

    """
    if lip.shape != eye.shape or lip.ndim != 1 or len(lip) < k_lip + k_eye:
        raise ValueError(f"ratios {lip.shape} and {eye.shape} cannot give {k_lip} and {k_eye} dimensions")
    if not (np.isfinite(lip).all() and np.isfinite(eye).all()):
        raise ValueError("ratios are not finite: a region was not measured")
    candidates = [(-ratio, region, i) for region, ratios in enumerate((lip, eye)) for i, ratio in enumerate(ratios)]
    room, taken = [k_lip, k_eye], {}
    for _, region, i in sorted(candidates):  # strongest claim first; ties by region, then by index
        if i not in taken and room[region]:
            taken[i] = region
            room[region] -= 1
    chosen = [tuple(sorted(i for i in taken if taken[i] == region)) for region in (0, 1)]
    return chosen[0], chosen[1]


def rest_of(num: int, *chosen: Sequence[int]) -> tuple[int, ...]:
    """Eq. 2: D_global, the dimensions of N that no region has."""
    taken = {i for dimensions in chosen for i in dimensions}
    return tuple(i for i in range(num) if i not in taken)


def select(
    lip: np.ndarray, eye: np.ndarray, face_model_hash: str | None, source: str, k_lip: int = K_LIP, k_eye: int = K_EYE
) -> Subspaces:
    """Eq. 1-2 on ratios (N,) each, as `choose`; `face_model_hash` and `source` are kept. Raises as `choose`."""
    chosen = choose(lip, eye, k_lip, k_eye)
    return Subspaces(*chosen, rest_of(len(lip), *chosen), face_model_hash, source)
