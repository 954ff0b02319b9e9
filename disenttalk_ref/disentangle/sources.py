"""Material from whatever the user names: datasets, or folders of BFM coefficients with their videos."""

from collections.abc import Sequence
from pathlib import Path

from chdtf.clip import read_description
from chdtf.errors import UserError
from disenttalk_ref.disentangle.bfm import MODEL, from_folder
from disenttalk_ref.disentangle.datasets import from_dataset
from disenttalk_ref.disentangle.material import Material, merge


def material_of(data: Sequence[Path], model: str | None = None, split: str | None = "train") -> Material:
    """All clips of all data together.

    Args:
        data: folders: datasets, or .mat files with their videos.
        model: face model to use; None: the one that the data are in.
        split: of datasets; None: all.

    Raises:
        UserError: if a folder is missing or holds neither, if two models meet (both are named), or a model cannot be
            fitted to what is there.

    """
    if not data:
        raise UserError(
            "no data; name a dataset made by disentbench build, or a folder of .mat files with their videos"
        )
    parts = []
    for folder in data:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name a dataset made by disentbench build")
        if read_description(folder) is not None:
            parts.append(from_dataset(folder, model, split))
        elif model not in (None, MODEL):
            raise UserError(
                f"{folder}: holds bfm coefficients, and --model {model} cannot be fitted to them; leave it out"
            )
        else:
            parts.append(from_folder(folder))
    return merge(parts)
