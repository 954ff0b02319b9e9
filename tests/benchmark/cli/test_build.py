"""The verb `build`: what is given to it arrives at the build."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import build as verb
from benchmark.cli import main
from pipelines.stages import cut

ROW = "video_id,url,speaker_id,language,license\na,https://example.org/a.mp4,s,zh,unknown\n"
RECIPE = """
format = 1
name = "mine"
language = "zh"
license = "unknown"
wanted = {hours = 1.0, videos = 1}
[build]
min_clip_s = 4.0
[thresholds]
min_source_height = 720
min_speech_share = 0.5
[[speaker]]
id = "a"
name = "a"
queries = ["a"]
"""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the verb hands to the build, which is not run."""
    seen: dict[str, Any] = {}

    def build(manifest: Path, out: Path, allow_local: bool, **options: Any) -> int:
        seen.update(options, manifest=manifest, out=out, allow_local=allow_local)
        return 0

    monkeypatch.setattr(verb, "build", build)
    return seen


def test_a_recipe_gives_its_settings_and_its_thresholds(tmp_path: Path, given: dict[str, Any]) -> None:
    (tmp_path / "list.csv").write_text(ROW)
    (tmp_path / "mine.toml").write_text(RECIPE)
    command = ["build", "--manifest", str(tmp_path / "list.csv"), "--out", str(tmp_path / "out")]
    assert main([*command, "--recipe", str(tmp_path / "mine.toml"), "--set", "cut.max_clip_s=12"]) == 0
    stage = next(stage for stage in given["stages"] if isinstance(stage, cut.Stage))
    assert (stage.min_clip_s, stage.max_clip_s) == (4.0, 12.0)
    assert (given["thresholds"].min_source_height, given["thresholds"].min_speech_share) == (720, 0.5)
    assert main(command) == 0
    assert given["thresholds"] is None  # those of the dataset, or the defaults


def test_a_wrong_setting_is_said_before_the_sample_is_drawn(
    tmp_path: Path, given: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "--out", str(tmp_path / "out"), "--set", "cut.max_clip_s=-1"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "disentbench: --set 'cut.max_clip_s=-1': give a number of 0.04 or more"
    ]
    assert not (tmp_path / "out").exists()
    assert not given
