"""Every wrapped method keeps the contract: pinned, told in full, run under old Pythons, nothing of upstream in it."""

import ast
import re
import sys
from pathlib import Path

import pytest

from baselines.inputs import get_input
from baselines.method import FOLDER, RUNTIME, Method, load_method, method_names
from baselines.wrapped import Wrapped
from benchmark.metric import GEOMETRIES
from benchmark.paper import printed_numbers

NAMES = [name for name in method_names() if load_method(name).wrapped is not None]
TEN = {
    "makeittalk",
    "audio2head",
    "avct",
    "iplap",
    "sadtalker",
    "styletalk",
    "pdfgc",
    "dreamtalk",
    "aniportrait",
    "hallo",
}
OURS = {path.stem for path in RUNTIME.glob("*.py")}
GIVEN = {"python", "name", "seed", "num_frames", "device", "output"}


def read(name: str) -> tuple[Method, Wrapped]:
    method = load_method(name)
    assert method.wrapped is not None
    return method, method.wrapped


def test_the_ten_baselines_of_the_paper_are_wrapped():
    assert set(NAMES) >= TEN


@pytest.mark.parametrize("name", NAMES)
def test_what_a_reader_must_know_is_stated(name: str):
    method, wrapped = read(name)
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", method.upstream)
    assert re.fullmatch(r"[0-9a-f]{40}", method.revision)
    assert method.paper
    assert method.license
    assert method.weights_license
    assert method.seed
    assert method.geometry in GEOMETRIES
    assert method.deviations, "a wrapped run differs from upstream's usual use in something: say in what"
    assert wrapped.weights
    assert all(re.match(r"https?://|mailto:", weight.url) for weight in wrapped.weights)


@pytest.mark.parametrize("name", NAMES)
def test_requirements_are_pinned_packages_of_an_index(name: str):
    method, wrapped = read(name)
    lines = method.requirements.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# Python {wrapped.run.python}"
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    for line in [*pins, *wrapped.run.build]:
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[\w.!+-]+( ?;.*)?", line), line


@pytest.mark.parametrize("name", NAMES)
def test_its_scripts_run_under_old_pythons_and_the_driver_imports_nothing_of_ours(name: str):
    for script in ("drive.py", "generated.py"):
        text = (FOLDER / name / script).read_text(encoding="utf-8")
        ast.parse(text, feature_version=(3, 8))
        assert len(text.splitlines()) < 300
    beside = {path.stem for path in (FOLDER / name).glob("*.py")}
    allowed = {*sys.stdlib_module_names, *OURS, *beside, "yaml"}  # of upstream's own environment
    assert _imported(FOLDER / name / "drive.py") <= allowed
    assert not _imported(FOLDER / name / "generated.py") & {"chdtf", "pipelines", "benchmark", "disenttalk_ref"}


def test_the_runtime_is_of_the_standard_library():
    for path in RUNTIME.glob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
        assert _imported(path) <= set(sys.stdlib_module_names) | OURS


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    given = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | given} - {"__future__"}


@pytest.mark.parametrize("name", NAMES)
def test_shims_stand_ins_inputs_and_placeholders_exist(name: str):
    _, wrapped = read(name)
    for shim in (*wrapped.run.shims, *wrapped.run.cpu_shims, *wrapped.generated.shims):
        assert (FOLDER / "shims" / f"{shim}.py").is_file(), shim
    for stub in (*wrapped.run.stubs, *wrapped.generated.stubs):
        assert (FOLDER / "stubs" / stub).is_dir(), stub
    for table in wrapped.inputs.values():
        get_input(table["kind"], {key: value for key, value in table.items() if key != "kind"})
    driver = (FOLDER / name / "drive.py").read_text(encoding="utf-8")
    command = [*wrapped.run.command, wrapped.run.output, *wrapped.run.cpu_arguments, *wrapped.generated.arguments]
    for key in re.findall(r"\{(\w+)\}", " ".join(command)):
        assert key in GIVEN | set(wrapped.inputs) or f'"{key}"' in driver, key


@pytest.mark.parametrize("name", sorted(TEN & set(NAMES)))
def test_the_paper_s_numbers_are_those_of_its_table(name: str):
    method, _ = read(name)
    printed: dict[str, dict[str, float]] = {}
    for row in printed_numbers():
        if row["table"] == "I" and row["method"] == name:
            printed.setdefault(row["dataset"], {})[row["metric"]] = float(row["value"])
            assert (method.category, method.input) == (row["category"], row["input"])
    assert method.paper_results == printed


def test_every_shim_and_stand_in_is_used():
    used = {"seeded"}
    for name in NAMES:
        _, wrapped = read(name)
        used |= {*wrapped.run.shims, *wrapped.run.cpu_shims, *wrapped.generated.shims}
        used |= {*wrapped.run.stubs, *wrapped.generated.stubs}
    shims = {path.stem for path in (FOLDER / "shims").glob("[a-z]*.py")}
    stubs = {path.name for path in (FOLDER / "stubs").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert shims | stubs <= used


def test_the_docs_say_of_every_wrapped_method_what_was_run_at_which_commit():
    text = (FOLDER.parent / "docs" / "baselines.md").read_text(encoding="utf-8")
    for name in NAMES:
        method, _ = read(name)
        place = method.upstream.removeprefix("https://github.com/")
        assert f"| `{name}` | {place} @ {method.revision[:7]} |" in text
        assert f"### {method.label}\n" in text
