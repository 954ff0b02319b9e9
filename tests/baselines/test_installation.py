"""What is missing of a method is told, with the command that gets it; what was changed is told too."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from baselines.environment import find_environment, make_environment
from baselines.generated_weights import generate_weights
from baselines.installation import declared_panel, examine
from baselines.wrapped import PinnedFile
from chdtf.errors import UserError


def words(upstream: Any, method: Any, generated: bool = False) -> list[str]:
    return [problem.word for problem in upstream.examine(method, generated).problems]


def remedies(upstream: Any, method: Any) -> str:
    return "\n".join(line for problem in upstream.examine(method).problems for line in problem.remedy)


def with_run(method: Any, **changes: Any) -> Any:
    run = dataclasses.replace(method.wrapped.run, **changes)
    return dataclasses.replace(method, wrapped=dataclasses.replace(method.wrapped, run=run))


def test_all_there_is_ready(upstream: Any):
    found = upstream.examine(upstream.commit())
    assert (found.state, found.problems) == ("ready", ())


def test_nothing_there_names_all_with_the_commands(upstream: Any, tmp_path: Path):
    method = upstream.commit()
    found = examine(method, root=tmp_path / "empty home")
    assert [problem.word for problem in found.problems] == ["no_checkout", "no_environment", "missing_weights"]
    clone, env, weight = (problem.remedy for problem in found.problems)
    place = f"'{tmp_path}/empty home/odd/upstream'"
    assert clone == (f"git clone https://example.org/odd {place}", f"git -C {place} checkout {method.revision}")
    assert env[0].startswith("disentbench methods env odd --python ")
    assert weight[0].startswith("https://example.org/net.bin -> ")
    assert upstream.run(method)  # and where it is there it runs
    assert [made.reason for made in upstream_at(upstream, tmp_path / "empty home").run(method)] == [
        "no_checkout: disentbench methods doctor NAME says what is missing"
    ] * 2


def upstream_at(upstream: Any, home: Path) -> Any:
    return dataclasses.replace(upstream, home=home)


def test_another_revision_is_refused_and_local_changes_are_told(upstream: Any):
    method = upstream.commit()
    assert words(upstream, dataclasses.replace(method, revision="0" * 40)) == ["wrong_revision"]
    own = upstream.examine(method).fingerprint()
    (upstream.checkout / "make.py").write_text("print('edited')")
    changed = upstream.examine(method)
    assert changed.problems == ()
    assert changed.state == "ready [1 files of the checkout were changed]"
    assert changed.account()["changed_files"] == ["make.py"]
    assert changed.fingerprint() != own
    (upstream.checkout / "notes.txt").write_text("an untracked file changes nothing")
    assert upstream.examine(method).fingerprint() == changed.fingerprint()


def test_a_folder_that_is_no_checkout_is_told(upstream: Any):
    method = upstream.commit()
    (upstream.checkout / ".git").rename(upstream.home / "away")
    problem = upstream.examine(method).problems[0]
    assert "is no git checkout, so its revision cannot be told" in str(problem)


def test_weights_are_held_against_their_declared_hash(upstream: Any):
    right = hashlib.sha256(b"weights").hexdigest()
    assert words(upstream, upstream.commit(sha256=right)) == []
    method = upstream.commit(sha256="0" * 64)
    problem = upstream.examine(method).problems[0]
    assert problem.word == "wrong_weights"
    assert f"sha256 is {right}, expected {'0' * 64}" in problem.what
    assert [made.reason.split(":")[0] for made in upstream.run(method)] == ["wrong_weights"] * 2


def test_the_first_weights_used_are_trusted_and_others_are_not_taken_after_them(upstream: Any):
    method = upstream.commit()
    upstream.weight.write_text("first")
    upstream.examine(method)  # looking is not using
    upstream.weight.write_text("second")
    upstream.run(method)
    noted = json.loads((upstream.home / "odd" / "weights.json").read_text())["checkpoints/net.bin"]
    assert noted["trusted"] == hashlib.sha256(b"second").hexdigest()
    upstream.weight.write_text("third!")
    problem = upstream.examine(method).problems[0]
    assert problem.word == "wrong_weights"
    assert "when first used" in problem.what


def test_weights_may_lie_in_the_checkout_as_upstream_s_readme_says(upstream: Any):
    method = upstream.commit()
    target = upstream.checkout / "checkpoints" / "net.bin"
    target.parent.mkdir()
    upstream.weight.rename(target)
    assert words(upstream, method) == []
    target.unlink()
    assert words(upstream, method) == ["missing_weights"]


def test_generated_weights_lie_apart_and_never_pass_for_real_ones(upstream: Any):
    method = upstream.commit()
    assert words(upstream, method, generated=True) == ["no_generated_weights"]
    code = "import pathlib, sys\np = pathlib.Path(sys.argv[1], 'checkpoints')\np.mkdir()\n"
    code += "(p / 'net.bin').write_text('random')\n"
    (upstream.folder / "odd" / "generated.py").write_text(code)
    folder = generate_weights(method, upstream.home)
    assert (folder / "checkpoints" / "net.bin").read_text() == "random"
    assert upstream.examine(method, generated=True).state == "ready [weights: generated]"
    assert upstream.examine(method).state == "ready"
    real, made = upstream.run(method)[0], upstream.run(method, generated=True)[0]
    assert real.reason is None
    assert made.reason is None
    assert upstream.examine(method).fingerprint() != upstream.examine(method, generated=True).fingerprint()
    upstream.weight.write_text("random")  # copied among the real ones
    (upstream.home / "odd" / "weights.json").unlink()
    problem = upstream.examine(method).problems[0]
    assert problem.word == "wrong_weights"
    assert "no trained model" in problem.what


def test_a_generator_that_fails_or_forgets_a_file_leaves_nothing(upstream: Any):
    method = upstream.commit()
    script = upstream.folder / "odd" / "generated.py"
    with pytest.raises(UserError, match=r"has no generated\.py"):
        generate_weights(method, upstream.home)
    script.write_text("raise ValueError('bad shape')")
    with pytest.raises(UserError, match="exit status 1: ValueError: bad shape"):
        generate_weights(method, upstream.home)
    script.write_text("pass")
    with pytest.raises(UserError, match=r"made no checkpoints/net\.bin"):
        generate_weights(method, upstream.home)
    assert words(upstream, method, generated=True) == ["no_generated_weights"]


def test_a_pinned_clip_must_be_the_one_that_tables_name(upstream: Any):
    (upstream.checkout / "style.mat").write_text("style")
    method = upstream.commit()
    right = PinnedFile("style.mat", hashlib.sha256(b"style").hexdigest())
    assert words(upstream, with_run(method, pinned=(right,))) == []
    assert words(upstream, with_run(method, pinned=(PinnedFile("style.mat", "0" * 64),))) == ["wrong_pinned_file"]


def test_a_method_for_gpus_only_says_so_where_there_is_none(upstream: Any, monkeypatch: pytest.MonkeyPatch):
    method = with_run(upstream.commit(), devices=("cuda",))
    monkeypatch.setattr("baselines.installation.has_gpu", lambda: False)
    assert words(upstream, method) == ["no_gpu"]
    monkeypatch.setattr("baselines.installation.has_gpu", lambda: True)
    assert words(upstream, method) == []


def test_shims_and_arguments_for_a_machine_without_a_gpu_are_for_such_a_machine(
    upstream: Any, monkeypatch: pytest.MonkeyPatch
):
    method = with_run(upstream.commit(), shims=("yaml_load",), cpu_shims=("cuda_on_cpu",))
    for there, wanted in ((True, ("yaml_load",)), (False, ("yaml_load", "cuda_on_cpu"))):
        monkeypatch.setattr("baselines.installation.has_gpu", lambda there=there: there)
        assert upstream.examine(method).shims == wanted


def test_a_reduced_configuration_may_have_a_panel_of_its_own(upstream: Any):
    method = dataclasses.replace(upstream.commit(), panel=(8, 8, 64, 64))
    smaller = dataclasses.replace(method.wrapped.generated, panel=(2, 2, 8, 8))
    method = dataclasses.replace(method, wrapped=dataclasses.replace(method.wrapped, generated=smaller))
    assert declared_panel(method, generated=False) == (8, 8, 64, 64)
    assert declared_panel(method, generated=True) == (2, 2, 8, 8)


def test_an_environment_belongs_to_its_requirements(upstream: Any):
    method = upstream.commit()
    assert words(upstream, method) == []
    (upstream.folder / "odd" / "requirements.txt").write_text("numpy==1.23.5\n")
    assert words(upstream, method) == ["no_environment"]


def test_an_environment_whose_interpreter_is_gone_is_none(upstream: Any):
    method = upstream.commit()
    find_environment(method, upstream.home).python.unlink()
    assert words(upstream, method) == ["no_environment"]
    assert [made.reason.split(":")[0] for made in upstream.run(method)] == ["no_environment"] * 2


def test_another_python_and_none_are_refused(upstream: Any):
    method = with_run(upstream.commit(), python="3.6")
    with pytest.raises(UserError, match=r"is Python 3\.\d+\.\d+; odd is pinned for 3\.6"):
        make_environment(method, sys.executable, upstream.home)
    with pytest.raises(UserError, match="nowhere/python: cannot be started"):
        make_environment(method, "nowhere/python", upstream.home)
    with pytest.raises(UserError, match="needs none"):
        make_environment(dataclasses.replace(method, wrapped=None), sys.executable, upstream.home)


@pytest.mark.slow
def test_an_environment_holds_the_pinned_package_and_a_failed_one_is_not_taken(
    upstream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "ANSWER = 42\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr("baselines.environment.shutil.which", lambda name: None)  # pip, whatever is installed here
    method = upstream.commit()
    (upstream.folder / "odd" / "requirements.txt").write_text("absent==1.0\n")
    with pytest.raises(UserError, match="environment of odd could not be made"):
        make_environment(method, sys.executable, upstream.home)
    assert words(upstream, method) == ["no_environment"]
    (upstream.folder / "odd" / "requirements.txt").write_text("tiny==1.0\n")
    made = make_environment(method, sys.executable, upstream.home)
    assert made == find_environment(method, upstream.home) == make_environment(method, sys.executable, upstream.home)
    code = "import tiny; print(tiny.ANSWER)"
    assert subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True).stdout == "42\n"
