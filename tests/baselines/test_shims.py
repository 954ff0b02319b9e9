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
# What upstream code does with CUDA; each fails without the shim, and gives tensors of the CPU with it.
CUDA = """
torch.zeros(3, device="cuda")
torch.ones(2).cuda(0)
torch.ones(2).to("cuda:0")
torch.ones(2).to(0)
torch.ones(2).to(device=torch.device("cuda", 0), dtype=torch.float64)
torch.ones(2).new_zeros(2, device="cuda")
torch.empty(2, device=torch.device("cuda"), pin_memory=True)
torch.nn.Linear(3, 3, device="cuda").weight
torch.nn.MultiheadAttention(4, 2, device=torch.device("cuda", 0)).in_proj_weight
torch.nn.Linear(3, 3).cuda().to("cuda").to(0).weight
torch.randn(2, generator=torch.Generator(device="cuda").manual_seed(3), device="cuda")
torch.cuda.FloatTensor([1.0])
torch.ones(2).type("torch.cuda.LongTensor")
torch.load(saved(), map_location="cuda", weights_only=True)
torch.load(saved(), map_location=lambda storage, place: storage.cuda(0), weights_only=True)
in_thread(lambda: torch.zeros(2, device="cuda"))
torch.jit.script(Own()).cuda()(torch.ones(2).cuda())
torch.zeros(torch.cuda.current_device())
torch.cuda.set_device(0) or torch.zeros(1)
torch.cuda.synchronize() or torch.zeros(1)
torch.zeros(1, device=torch.cuda.get_device_name(0) and "cpu")
timed()
""".strip().splitlines()
TRY = """
import copy, inspect, io, pickle, threading, torch
from own import Own
first = torch.rand(1)

def saved():
    file = io.BytesIO()
    torch.save(torch.ones(2), file)
    file.seek(0)
    return file

def in_thread(function):
    made = []
    thread = threading.Thread(target=lambda: made.append(function()))
    thread.start()
    thread.join()
    return made[0]

def timed():
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    with torch.cuda.stream(torch.cuda.Stream()):
        start.record()
    end.record()
    return torch.zeros(1, device="cuda") + start.elapsed_time(end)

threading.excepthook = lambda problem: None
for line in CUDA:
    try:
        print(eval(line).device.type)
    except Exception as problem:
        print(type(problem).__name__)
"""
OWN = """
import torch
class Own(torch.nn.Module):
    def forward(self, x):
        return x + torch.zeros_like(x) + torch.arange(2)
"""
# What the shim must leave as it is.
LEFT = """
with torch.autocast("cuda", dtype=torch.float16), torch.cuda.amp.autocast():
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
with torch.autocast("cpu", dtype=torch.bfloat16):
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
assert not torch.cuda.is_available() and torch.cuda.device_count() == 0
assert isinstance(torch.default_generator, torch.Generator) and isinstance(torch.Generator, type)
assert isinstance(torch.Generator("cuda"), torch.Generator)
assert "class Linear" in inspect.getsource(torch.nn.Linear)
pickle.loads(pickle.dumps(copy.deepcopy(torch.nn.Linear(2, 2, device="cuda"))))
assert torch.ones(2).type() == "torch.FloatTensor"
import torch._dynamo
torch.manual_seed(7)
assert torch.equal(torch.rand(1), first), "the shim `seeded` seeds when PyTorch is imported"
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
    for wrong in ("mel(1, 2, 3, 4)", "mel(1, 2, sr=3)"):
        done = run(f"import librosa.filters; librosa.filters.{wrong}", "librosa_positional", (tmp_path,))
        assert "TypeError: mel()" in done.stderr
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
def test_cuda_calls_stay_on_the_cpu(tmp_path: Path):
    (tmp_path / "own.py").write_text(OWN)
    tried = f"CUDA = {CUDA!r}\n{TRY}"
    without = run(tried, path=(tmp_path,)).stdout.split()
    assert len(without) == len(CUDA)
    assert "cpu" not in without, f"runs without the shim: {CUDA[without.index('cpu')]}"
    done = run(tried + LEFT, "cuda_on_cpu,seeded", (tmp_path,))
    assert done.returncode == 0, done.stderr
    assert dict(zip(CUDA, done.stdout.split(), strict=True)) == dict.fromkeys(CUDA, "cpu")


def test_random_and_numpy_are_seeded():
    code = "import random, numpy as np; print(random.random(), np.random.rand())"
    first = run(code, "seeded").stdout
    assert run(code, "seeded").stdout == first
    assert run(code, "seeded", seed="8").stdout != first
    assert run(code).stdout != first


@pytest.mark.parametrize(
    ("shims", "told"),
    [
        ("nonsense", "the shim nonsense failed, so nothing was run: ImportError: there is no shim nonsense"),
        ("seeded", "the shim seeded failed, so nothing was run: ValueError: DISENTBENCH_SEED is ''"),
    ],
)
def test_a_shim_that_cannot_be_installed_ends_the_process(shims: str, told: str):
    done = run("print('ran')", shims, seed="")
    assert done.returncode == 70
    assert told in done.stderr
    assert "ran" not in done.stdout.split()


def test_a_patch_that_fails_ends_the_process_although_upstream_catches_all(tmp_path: Path):
    (tmp_path / "yaml.py").write_text("load = load_all = None\n")  # without FullLoader
    code = "try:\n    import yaml\nexcept BaseException:\n    print('went on')"
    done = run(code, "yaml_load", (tmp_path,))
    assert (done.returncode, done.stdout) == (70, "")
    assert "the shim yaml_load failed, so nothing was run: patching yaml: AttributeError" in done.stderr


def test_latentsync_aligns_in_32_bits(tmp_path: Path):
    folder = tmp_path / "latentsync" / "utils"
    folder.mkdir(parents=True)
    (tmp_path / "torch.py").write_text("float16, float32 = 'half', 'full'\n")
    for place in (folder.parent, folder):
        (place / "__init__.py").write_text("")
    construct = "def __init__(self, points=3, dtype=torch.float16): self.made = points, dtype"
    (folder / "affine_transform.py").write_text(f"import torch\nclass AlignRestore:\n    {construct}\n")
    code = """
from latentsync.utils.affine_transform import AlignRestore
assert AlignRestore().made == (3, "full"), AlignRestore().made
print(*AlignRestore(5, "half").made)
"""
    assert both(code, "latentsync_align_fp32", (tmp_path,)) == "5 half"


def test_upstream_files_stay_as_they_are_and_are_found_as_ever(tmp_path: Path):
    folder = tmp_path / "yaml"
    folder.mkdir()
    source = "class FullLoader: pass\ndef load(stream, Loader): return Loader\nload_all = load\ndef other(): pass\n"
    (folder / "__init__.py").write_text(source)
    (folder / "words.txt").write_text("told")
    code = """
import importlib, importlib.resources, inspect, pickle, pkgutil
import yaml
assert yaml.load("a") is yaml.FullLoader and yaml.load("a", yaml.other) is yaml.other
assert importlib.resources.files("yaml").joinpath("words.txt").read_text() == "told"
assert pkgutil.get_data("yaml", "words.txt") == b"told"
assert inspect.getsource(yaml.other) == "def other(): pass\\n"
assert type(yaml.__loader__).__name__ == type(yaml.__spec__.loader).__name__ == "SourceFileLoader"
assert pickle.loads(pickle.dumps(yaml.FullLoader)) is yaml.FullLoader
assert importlib.reload(yaml).load("a") is yaml.FullLoader
print("as ever")
"""
    assert both(code, "yaml_load", (tmp_path,)) == "as ever"
    assert (folder / "__init__.py").read_text() == source


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


@pytest.mark.parametrize(
    "folder", sorted(path for path in STUBS.iterdir() if path.is_dir()), ids=lambda path: path.name
)
def test_a_stand_in_can_be_imported_and_brings_nothing_heavy(folder: Path):
    names = sorted(path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())
    assert names
    code = f"import sys, {', '.join(names)}; print(*{{'torch', 'mediapipe', 'cv2'}} & set(sys.modules))"
    done = run(code, "", (folder,))
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
