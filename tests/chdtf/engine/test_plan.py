"""chdtf.engine.plan: every video is in one shard, and stays there."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.engine.plan import PLAN, make_plan, planned_rows, read_planned, videos_per_shard
from chdtf.errors import UserError
from chdtf.manifest import ManifestRow, manifest_table


def manifest(names: list[str]) -> pa.Table:
    return manifest_table(
        ManifestRow(name, f"https://x.example/{name}", speaker_id="s", split="train") for name in names
    )


def where(root: Path) -> dict[str, int]:
    return {
        str(row["video_id"]): shard.index for shard in read_planned(root) for row in planned_rows(root, shard.index)
    }


NAMES = st.lists(st.sampled_from([f"v{i}" for i in range(30)]), unique=True, min_size=1)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, st.integers(1, 5))
def test_a_video_stays_in_its_shard(before: list[str], after: list[str], size: int) -> None:
    """Rows added, removed or moved: every video has one shard, known ones keep theirs, none holds too many."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_plan(root, manifest(before), size)
        first = where(root)
        assert list(first) == before
        planned = make_plan(root, manifest(after), size)
        second = where(root)
        assert set(second) == set(after)
        assert all(second[name] == first[name] for name in first if name in second)
        assert [shard.num_videos for shard in planned] == [
            list(second.values()).count(shard.index) for shard in planned
        ]
        assert all(0 < shard.num_videos <= size for shard in planned)


@settings(max_examples=20, deadline=None)
@given(NAMES)
def test_the_same_manifest_gives_the_same_plan(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        plans = [make_plan(Path(folder), manifest(names), 3) for folder in (one, two, one)]
        assert plans[0] == plans[1] == plans[2]


def test_shards_grow_before_they_become_too_many() -> None:
    assert [videos_per_shard(n) for n in (1, 16_384, 100_000, 1_000_000, 10_000_000)] == [4, 4, 25, 245, 256]


def test_a_folder_without_a_plan_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no build has begun there; build one with: make chdtf OUT="):
        read_planned(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_broken_plan_is_named_with_the_remedy(tmp_path: Path, share: float) -> None:
    make_plan(tmp_path, manifest(["a", "b"]))
    path = tmp_path / PLAN
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    for read in (lambda: read_planned(tmp_path), lambda: make_plan(tmp_path, manifest(["a", "b"]))):
        with pytest.raises(UserError, match=f"^{path}: not a readable plan; rm {path} and run the same command again$"):
            read()
