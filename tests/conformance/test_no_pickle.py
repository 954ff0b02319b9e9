"""A file from somebody else is data: nothing that is read can run code."""

import ast
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from chdtf.errors import UserError
from chdtf.morphable.model import load_model
from chdtf.syncnet import load_syncnet

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("chdtf", "pipelines", "benchmark", "baselines", "disenttalk_ref")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def faults(path: Path) -> list[str]:
    """Calls that would unpickle, or leave it to a default that does."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            if names in (
                ["UnpicklingError", "pickle"],
                ["dumps", "pickle"],
            ):  # to catch it; to write what upstream reads
                continue
            found += [f"import {name}" for name in names if name in ("pickle", "joblib", "dill", "shelve")]
        if isinstance(node, ast.Call):
            said = {word.arg: ast.unparse(word.value) for word in node.keywords}
            match ast.unparse(node.func):
                case "np.load" | "numpy.load" if said.get("allow_pickle") != "False":
                    found.append(ast.unparse(node))
                case "torch.load" if said.get("weights_only") != "True":
                    found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_unpickles(path: Path) -> None:
    assert faults(path) == []


def test_a_pickle_in_an_array_file_is_refused_and_not_run(tmp_path: Path) -> None:
    target, model = tmp_path / "ran", tmp_path / "model.npz"
    np.savez(model, name=np.array([Bomb(target)], dtype=object))
    with pytest.raises(UserError, match=r"\.npz: not a face model"):
        load_model(model)
    assert not target.exists()
    np.load(model, allow_pickle=True)["name"]
    assert target.exists(), "the bomb works where it is let"


def test_a_pickle_in_weights_is_refused_and_not_run(tmp_path: Path) -> None:
    target, weights = tmp_path / "ran", tmp_path / "syncnet.model"
    weights.write_bytes(pickle.dumps(Bomb(target), protocol=2))
    with pytest.raises(pickle.UnpicklingError):
        load_syncnet(weights)
    assert not target.exists()


def test_matlab_files_hold_no_code() -> None:
    """SciPy's reader knows arrays, structs and objects' data; it never unpickles."""
    sink = io.BytesIO()
    scipy.io.savemat(sink, {"coeff": np.zeros((3, 257)), "note": "x"})
    sink.seek(0)
    assert scipy.io.loadmat(sink)["coeff"].shape == (3, 257)
    with pytest.raises(ValueError, match="Unknown mat file type"):
        scipy.io.loadmat(io.BytesIO(pickle.dumps({"coeff": 1}).ljust(200, b".")))
