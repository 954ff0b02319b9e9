"""Every folder below baselines/ keeps the contract."""

import ast
import re
from pathlib import Path

import pytest

from baselines.method import FOLDER, load_method, method_names
from chdtf.errors import UserError


@pytest.mark.parametrize("name", method_names())
def test_method_reads_and_has_a_driver(name: str) -> None:
    method = load_method(name)
    assert method.name == name
    assert method.driver.is_file()
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert method.label
    assert method.license
    assert len(method.fingerprint()) == 64


@pytest.mark.parametrize("name", method_names())
def test_driver_takes_a_job_file_and_imports_no_other_method(name: str) -> None:
    tree = ast.parse((FOLDER / name / "drive.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert [argument.arg for argument in functions["main"].args.args] == ["job_file"]
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {module for module in imported if module and module.split(".")[0] in ("baselines", "benchmark")}


def test_ground_truth_and_controls_are_there() -> None:
    roles = {name: load_method(name).role for name in method_names()}
    assert roles["gt"] == "reference"
    assert roles["gt_shifted"] == roles["gt_shuffled"] == roles["still"] == "control"
    assert roles["disenttalk"] == "method"


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown method 'disentalk'; did you mean disenttalk"):
        load_method("disentalk")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('label = "x', "Unterminated|Expected|Illegal"),
        ('label = "x"\nspeed = 3\n', "speed"),
        ('label = "x"\n', "missing"),
    ],
)
def test_malformed_method_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "method.toml").write_text(text)
    monkeypatch.setattr("baselines.method.FOLDER", tmp_path)
    with pytest.raises(UserError, match=rf"method\.toml.*({said})"):
        load_method("odd")
