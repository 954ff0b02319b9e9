"""disentbench coeffs fit: what a build would have fitted, and a clip that cannot be fitted costs itself."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.cli import main
from chdtf.clip import read_clips
from chdtf.columns import rows_from_table
from chdtf.media import write_video
from chdtf.morphable.coefficients import from_row


def test_stored_landmarks_give_what_the_build_fitted(sample_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "fits.parquet"
    assert main(["coeffs", "fit", str(sample_dataset), "--smooth-s", "0.16", "--out", str(out)]) == 0
    rows = {row["clip_id"]: row for row in rows_from_table(pq.read_table(out))}
    clips = read_clips(sample_dataset)
    assert set(rows) == {clip.clip_id for clip in clips}
    for clip in clips[:3]:
        row, stored = rows[clip.clip_id], clip.coefficients()
        found = from_row(row)
        for name in ("identity", "expression", "rotation", "translation", "scale", "valid"):
            assert np.array_equal(getattr(found, name), getattr(stored, name)), name
        calm, raw = row["smooth_expression"], row["expression"]
        assert calm.shape == raw.shape
        assert np.square(np.diff(calm, 2, axis=0)).sum() < np.square(np.diff(raw, 2, axis=0)).sum()


def test_a_video_without_a_face_costs_itself(
    sample_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face, grey, out = tmp_path / "face.mp4", tmp_path / "grey.mp4", tmp_path / "fits.parquet"
    clip = read_clips(sample_dataset)[0]
    write_video(face, clip.frames()[:12])
    write_video(grey, np.full((12, 256, 256, 3), 128, np.uint8))
    assert main(["coeffs", "fit", str(face), str(grey), "--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "grey: not written, no_face: 0 of 12 frames" in said
    (row,) = rows_from_table(pq.read_table(out))
    assert (row["clip_id"], row["num_frames"], bool(row["valid"].all())) == ("face", 12, True)
    assert row["fit_error_px"] < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no video or dataset given"),
        (["none.mp4"], "none.mp4: no such file"),
        (["none.mp4", "--model", "flame"], "no face model 'flame'; use bfm, ict, mp468"),
        (["none.mp4", "--smooth-s", "-1"], "-1"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["coeffs", "fit", *arguments, "--out", str(tmp_path / "fits.parquet")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_two_clips_of_one_name_are_refused(sample_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    twice = [str(sample_dataset), str(sample_dataset)]
    assert main(["coeffs", "fit", *twice, "--out", str(tmp_path / "fits.parquet")]) == 2
    assert "a second clip called 'collins_en_weather_000'" in capsys.readouterr().err
