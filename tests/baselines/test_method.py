"""A method with another checkpoint is the same method under another name."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from baselines.method import REPOSITORY, Method, load_method, method_names
from chdtf.errors import UserError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def own() -> Method:
    return load_method("disenttalk")


def test_every_folder_s_driver_and_files_are_there():
    for name in method_names():
        method = load_method(name)
        assert method.driver.is_file()
        assert len(method.fingerprint()) == 64


def test_another_checkpoint_keeps_the_driver_and_changes_the_fingerprint(own: Method, checkpoint: Path):
    other = own.with_checkpoint(checkpoint, "disenttalk_mine", "Mine")
    assert (other.driver, other.name, other.label) == (own.driver, "disenttalk_mine", "Mine")
    prints = {own.fingerprint(), other.fingerprint()}
    checkpoint.write_bytes(b"other weights")
    assert len(prints | {other.fingerprint()}) == 3


def test_where_a_checkpoint_lies_does_not_matter_but_settings_do(own: Method, checkpoint: Path, tmp_path: Path):
    first = own.with_checkpoint(checkpoint, "disenttalk_mine", "Mine")
    copy = Path(shutil.copy(checkpoint, tmp_path / "copy.safetensors"))
    assert own.with_checkpoint(copy, "disenttalk_mine", "Mine").fingerprint() == first.fingerprint()
    slower = own.with_checkpoint(checkpoint, "disenttalk_mine", "Mine", {"steps": 50})
    assert slower.fingerprint() != first.fingerprint()


def test_a_method_without_a_checkpoint_keeps_the_fingerprint_it_had():
    """Fields that a method does not use are no part of its fingerprint: its videos are not made again for them."""
    still = load_method("still")
    assert still.fingerprint() == dataclasses.replace(still, settings={}, folder="", checkpoint="").fingerprint()
    assert still.fingerprint() != dataclasses.replace(still, settings={"steps": 3}).fingerprint()


def test_mistakes_are_named(own: Method, checkpoint: Path, tmp_path: Path):
    with pytest.raises(UserError, match="still takes no checkpoint"):
        load_method("still").with_checkpoint(checkpoint, "x", "X")
    with pytest.raises(UserError, match=r"absent\.safetensors: no such checkpoint"):
        own.with_checkpoint(tmp_path / "absent.safetensors", "x", "X")
    with pytest.raises(UserError, match="'gt' is a method's name already"):
        own.with_checkpoint(checkpoint, "gt", "X")
    gone = dataclasses.replace(own, checkpoint="nowhere.safetensors")
    with pytest.raises(UserError, match=f"{REPOSITORY / 'nowhere.safetensors'}: needed by method disenttalk"):
        gone.fingerprint()
