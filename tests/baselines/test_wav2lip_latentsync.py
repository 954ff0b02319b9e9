"""Wav2Lip's generated detector and LatentSync's narrow configuration fit what upstream's code makes of them."""

import ast
from typing import Any

from baselines.method import FOLDER, load_method


def constant(method: str, script: str, name: str) -> Any:
    tree = ast.parse((FOLDER / method / script).read_text(encoding="utf-8"))
    values = [one.value for one in tree.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == name]
    return ast.literal_eval(values[0])


def test_generated_networks_of_latentsync_are_those_that_its_driver_asks_for():
    assert constant("latentsync", "drive.py", "SMALL") == constant("latentsync", "generated.py", "SMALL")
    assert constant("latentsync", "drive.py", "CONFIG") == constant("latentsync", "generated.py", "CONFIG")
    assert constant("latentsync", "generated.py", "DIMENSIONS")["n_audio_state"] == 384  # cross_attention_dim


def test_upstream_tells_pictures_from_videos_by_the_first_dot_of_a_path():
    wrapped = load_method("wav2lip").wrapped
    assert wrapped is not None
    video = wrapped.run.command[wrapped.run.command.index("--face") + 1]
    assert video == "{video}"  # relative to the overlay: inputs/video/clip.mp4
    assert wrapped.inputs["video"].get("suffix", ".mp4") == ".mp4"


def test_both_replace_only_the_face_and_are_no_rows_of_the_paper():
    for name in ("wav2lip", "latentsync"):
        method = load_method(name)
        assert (method.geometry, method.eye_blink, method.paper_results) == ("pasted_back", "from reference", {})
