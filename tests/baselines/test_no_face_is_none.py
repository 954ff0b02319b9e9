"""The shim for detectors of generated weights: no face is None, a face stays what it was."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from baselines.method import FOLDER, load_method
from baselines.shims import _hooks, no_face_is_none

MODULE = "facexlib.detection.retinaface"
SOURCE = """
import numpy

class RetinaFace:
    def detect_faces(self, image, conf_threshold=0.8):
        return numpy.ones((image, 15)) * conf_threshold
"""


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of that name and shape, imported after the shim was installed."""
    for name in ("facexlib", "facexlib.detection", MODULE):
        monkeypatch.delitem(sys.modules, name, raising=False)
    folder = tmp_path / "facexlib" / "detection"
    folder.mkdir(parents=True)
    for path in (folder / "__init__.py", folder.parent / "__init__.py"):
        path.write_text("")
    (folder / "retinaface.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "disentbench_shim__hooks", _hooks)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(_hooks, "_wanted", {})
    no_face_is_none.install()
    module: ModuleType = __import__(MODULE, fromlist=["RetinaFace"])
    return module


def test_no_face_is_none(detector: ModuleType) -> None:
    assert detector.RetinaFace().detect_faces(0, 0.97) is None


def test_faces_come_as_they_were_found(detector: ModuleType) -> None:
    found = detector.RetinaFace().detect_faces(2, conf_threshold=0.97)
    assert np.array_equal(found, np.full((2, 15), 0.97))


def test_only_generated_weights_get_it() -> None:
    """With real weights a face that is not found stays upstream's failure."""
    about = load_method("sadtalker").wrapped
    assert about is not None
    assert "no_face_is_none" in about.generated.shims
    assert "no_face_is_none" not in (*about.run.shims, *about.run.cpu_shims)


def test_sadtalker_never_asks_for_the_enhancer_that_is_a_stub() -> None:
    about = load_method("sadtalker").wrapped
    assert about is not None
    assert not any("enhancer" in part for part in about.run.command)
    assert (FOLDER / "stubs" / about.run.stubs[0] / "gfpgan.py").is_file()
