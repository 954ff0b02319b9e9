"""Results per clip of every version of the layout stay readable.

data/scores_v1 holds what version 1 wrote of 12 frames of three clips of the bundled sample, encoded again at crf 38;
the third was left out. It is never made anew.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.clip_score import SCORES_VERSION, read_scores
from benchmark.metric import get_metric
from benchmark.summary import summarise
from chdtf.errors import UserError

GOLDEN = Path(__file__).parents[1] / "data" / "scores_v1" / "compressed.parquet"
CLIPS = ("hopper_en_bridge_000", "hopper_cmn_river_000", "hopper_es_bread_000")


def rewritten(target: Path, **metadata: str) -> Path:
    table = pq.read_table(GOLDEN)
    kept = {key.decode(): value.decode() for key, value in table.schema.metadata.items()} | metadata
    pq.write_table(table.replace_schema_metadata({key: value for key, value in kept.items() if value}), target)
    return target


def test_version_1_reads_as_it_was_written():
    scores = read_scores(GOLDEN)
    values = {(score.clip_id, score.metric): score.value for score in scores}
    assert len(scores) == len(values) == 18
    assert values[CLIPS[0], "psnr"] == 25.754462231388263
    assert values[CLIPS[1], "lmd"] == 0.5890089921291147
    assert values[CLIPS[0], "fps"] == 8.0
    by_metric = {score.metric: score for score in scores if score.clip_id == CLIPS[1]}
    assert by_metric["psnr"].values.shape == (12,)
    assert by_metric["psnr"].values.mean() == pytest.approx(by_metric["psnr"].value)
    assert by_metric["lmd"].values.shape == (12, 2)
    assert by_metric["lmd"].details["frames_scored"] == 12
    assert by_metric["lse_c"].reason.startswith("weights_missing: syncnet_v2.model")
    assert by_metric["psnr"].seconds > 0
    assert '"name": "psnr"' in by_metric["psnr"].metric_config
    missing = [score for score in scores if score.clip_id == CLIPS[2]]
    assert {score.reason for score in missing} == {"missing_video: hopper_es_bread_000.mp4"}
    assert (missing[0].speaker_id, missing[0].language, missing[0].split) == ("grace_hopper", "es", "test")
    assert all(score.values is None for score in missing)


def test_tables_can_be_made_of_version_1():
    (row,) = (row for row in summarise(read_scores(GOLDEN), [get_metric("psnr")], "sample", "") if row.subset == "all")
    assert row.value == pytest.approx(np.mean([25.754462231388263, 25.459769619029128]))
    assert (row.num_scored, row.num_expected) == (2, 3)


def test_a_later_version_is_refused_in_one_line(tmp_path: Path):
    later = rewritten(tmp_path / "m.parquet", scores_version=str(SCORES_VERSION + 1))
    with pytest.raises(
        UserError, match=r"m\.parquet: scores of layout version 2, this program reads up to 1; update it"
    ):
        read_scores(later)
    with pytest.raises(UserError, match="layout version soon"):
        read_scores(rewritten(tmp_path / "m.parquet", scores_version="soon"))


def test_the_version_of_datasets_is_of_no_account(tmp_path: Path):
    assert len(read_scores(rewritten(tmp_path / "m.parquet", schema_version="99"))) == 18
    assert len(read_scores(rewritten(tmp_path / "m.parquet", scores_version=""))) == 18  # before versions were written


def test_columns_that_were_added_later_may_be_missing(tmp_path: Path):
    table = pq.read_table(GOLDEN).drop_columns(["seconds", "geometry", "generation_s", "metric_config", "notes"])
    pq.write_table(table, tmp_path / "m.parquet")
    scores = read_scores(tmp_path / "m.parquet")
    assert [score.value for score in scores] == [score.value for score in read_scores(GOLDEN)]
    assert {(score.seconds, score.geometry, score.metric_config) for score in scores} == {(None, None, "{}")}


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and no more"])
def test_what_is_no_table_of_scores_is_one_line(tmp_path: Path, content: bytes | None):
    path = tmp_path / "m.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.parquet: not a readable table of scores"):
        read_scores(path)
    pq.write_table(pq.read_table(GOLDEN).select(["clip_id", "value"]), path)
    with pytest.raises(UserError, match=r"no scores per clip \(no column method, metric"):
        read_scores(path)
