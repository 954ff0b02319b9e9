"""The verb `weights verify`: exit status 1 exactly when something named is missing, or anything is another file."""

from pathlib import Path

import pytest

from benchmark.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def test_what_is_not_here_is_a_fault_only_when_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify"]) == 0
    assert "light_asd      missing   run: disentbench weights fetch light_asd" in capsys.readouterr().out
    assert main(["weights", "verify", "light_asd"]) == 1


def test_another_file_is_a_fault_with_both_hashes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mobilefacenet.onnx").write_bytes(b"something else")
    assert main(["weights", "verify"]) == 1
    out = capsys.readouterr().out
    assert "mobilefacenet  mismatch  sha256 is " in out
    assert "expected b7120c09" in out


def test_the_right_file_is_fine(folder: Path, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "light_asd_talkset.model").symlink_to(shared / "weights" / "light_asd_talkset.model")
    assert main(["weights", "verify", "light_asd"]) == 0
    assert "light_asd      ok" in capsys.readouterr().out


def test_an_unknown_name_is_a_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify", "light"]) == 2
    assert "did you mean light_asd" in capsys.readouterr().err
