"""Each shim makes old code run that fails without it, in a process of its own as upstream's is."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.method import FOLDER

SHIMS = FOLDER / "shims"
STUBS = FOLDER / "stubs"
TORCH = """
import inspect, pickle, torch
import torch._dynamo
assert torch.zeros(3, device="cuda").cuda().to("cuda:0").device.type == "cpu"
layer = torch.nn.Linear(3, 3, device=torch.device("cuda", 0)).cuda().to("cuda")
assert layer.weight.device.type == "cpu"
class Own(torch.nn.Linear): pass
pickle.dumps(Own(2, 2, device="cuda"))
assert "class Linear" in inspect.getsource(torch.nn.Linear)
generator = torch.Generator(device="cuda").manual_seed(3)
assert isinstance(generator, torch.Generator)
with torch.autocast("cuda", dtype=torch.float16):
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
assert torch.cuda.FloatTensor([1.0]).device.type == "cpu"
assert torch.cuda.current_device() == 0 and not torch.cuda.is_available()
torch.cuda.synchronize()
print(torch.rand(1).item())
"""


def run(code: str, shims: str = "", path: tuple[Path, ...] = (), seed: str = "7") -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DISENTBENCH_SHIMS": shims, "DISENTBENCH_SEED": seed}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, [SHIMS / "path", *path]))
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def both(code: str, shims: str, path: tuple[Path, ...] = ()) -> str:
    """What the code prints with the shims; without them it must fail."""
    assert run(code, "", path).returncode, "it runs without the shim, so the shim proves nothing"
    done = run(code, shims, path)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_that_numpy_took_away_are_back():
    code = "import numpy as np; print(np.zeros(2, np.float).dtype, np.int(3), np.bool is bool)"
    assert both(code, "numpy_aliases") == "float64 3 True"


def test_yaml_is_loaded_without_a_loader():
    assert both("import yaml; print(yaml.load('a: [1, 2]'))", "yaml_load") == "{'a': [1, 2]}"


def test_librosa_takes_arguments_by_position(tmp_path: Path):
    (tmp_path / "librosa").mkdir()
    (tmp_path / "librosa" / "__init__.py").write_text("")
    (tmp_path / "librosa" / "filters.py").write_text("def mel(*, sr, n_fft, n_mels=128): return sr, n_fft, n_mels\n")
    code = "import librosa.filters; print(librosa.filters.mel(16000, 800, n_mels=80))"
    assert both(code, "librosa_positional", (tmp_path,)) == "(16000, 800, 80)"


def test_face_alignment_has_its_old_names(tmp_path: Path):
    names = "class LandmarksType(enum.IntEnum):\n    TWO_D = 1\n    TWO_HALF_D = 2\n    THREE_D = 3\n"
    (tmp_path / "face_alignment.py").write_text(f"import enum\n{names}")
    code = "from face_alignment import LandmarksType as L; print(L._3D == L.THREE_D, L._2D == L.TWO_D)"
    assert both(code, "face_alignment_names", (tmp_path,)) == "True True"


def test_a_detector_without_a_face_gives_none(tmp_path: Path):
    folder = tmp_path / "facexlib" / "detection"
    folder.mkdir(parents=True)
    for place in (folder.parent, folder):
        (place / "__init__.py").write_text("")
    (folder / "retinaface.py").write_text(
        "class RetinaFace:\n    def detect_faces(self, image, threshold=0.8): return [[1]] if image else []\n"
    )
    code = """
from facexlib.detection.retinaface import RetinaFace
assert RetinaFace().detect_faces("") is None
print(RetinaFace().detect_faces("face", 0.5))
"""
    assert both(code, "no_face_is_none", (tmp_path,)) == "[[1]]"


@pytest.mark.slow
def test_cuda_calls_stay_on_the_cpu_and_unseeded_numbers_are_seeded():
    first = both(TORCH, "cuda_on_cpu,seeded")
    assert run(TORCH, "cuda_on_cpu,seeded").stdout.strip() == first
    assert run(TORCH, "cuda_on_cpu,seeded", seed="8").stdout.strip() != first


def test_random_and_numpy_are_seeded():
    code = "import random, numpy as np; print(random.random(), np.random.rand())"
    first = run(code, "seeded").stdout
    assert run(code, "seeded").stdout == first
    assert run(code, "seeded", seed="8").stdout != first
    assert run(code).stdout != first


def test_a_shim_that_is_not_there_ends_the_process():
    done = run("print('ran')", "nonsense")
    assert done.returncode == 70
    assert "the shim nonsense failed, so nothing was run" in done.stderr
    assert "ran" not in done.stdout.split()


def test_modules_imported_before_and_submodules_are_patched_once(tmp_path: Path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("count = 0\n")
    (tmp_path / "pack" / "inner.py").write_text("count = 0\n")
    code = """
import sys, importlib.resources
hooks = sys.modules["disentbench_shim__hooks"]
import pack
for name in ("pack", "pack.inner"):
    hooks.after_import(name, lambda module: setattr(module, "count", module.count + 1))
import pack.inner, pack.inner
assert importlib.resources.files("pack").joinpath("inner.py").is_file()
print(pack.count, pack.inner.count)
"""
    done = run(code, "numpy_aliases", (tmp_path,))
    assert done.stdout.strip() == "1 1", done.stderr


@pytest.mark.parametrize("path", sorted([*SHIMS.rglob("*.py"), *STUBS.rglob("*.py")]), ids=lambda path: path.stem)
def test_shims_and_stand_ins_are_read_by_old_pythons(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", sorted(SHIMS.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_shim_imports_the_standard_library_and_has_one_door(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {name.split(".")[0] for name in modules} <= {*sys.stdlib_module_names, "__future__"}
    assert "install" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
