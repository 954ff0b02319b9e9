"""chdtf.engine.chain and chdtf.engine.shards: what is remade, what is kept, and that no row is lost."""

import dataclasses
import errno
import importlib
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chdtf.engine import shards
from chdtf.engine.chain import Chain, chain_is_complete, run_chain, run_shard
from chdtf.engine.journal import count_entries
from chdtf.engine.shards import content_hash, iter_rows, read_shard, stage_fingerprint, write_shard
from chdtf.errors import DiskFullError, UserError

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def toys() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("toy_stages")


def make_chain(toys: Any, root: Path, stages: Sequence[Any], names: Sequence[str] = NAMES) -> Chain:
    chain = Chain(root, 0, tuple(stages))
    write_shard(toys.input_table(names), chain.path(0), "by hand")
    return chain


def calls(root: Path) -> dict[str, list[str]]:
    """Clips that each stage worked on since the last call."""
    made = {}
    for log in root.glob("*.log"):
        made[log.stem] = sorted(log.read_text().split())
        log.unlink()
    return made


def trouble(root: Path, clip: str, kind: str) -> None:
    (root / clip).write_text(kind)


def test_a_second_run_calls_no_stage(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Add(folder=str(tmp_path)), toys.Again(folder=str(tmp_path))])
    assert not chain_is_complete(chain)
    assert [report.kept for report in run_chain(chain)] == [False, False]
    assert calls(tmp_path) == {"add": [*NAMES], "again": [*NAMES]}
    assert chain_is_complete(chain)
    assert [report.kept for report in run_chain(chain)] == [True, True]
    assert calls(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "remade"),
    [
        ((1, {"amount": 5}), {"again"}),  # the last: only it
        ((0, {"amount": 5}), {"add", "again"}),  # the first: what follows as well
        ((0, {"remark": "x"}), {"add"}),  # the first, with the same result: what follows is kept
        ((0, {"pause_s": 1e-9}), set()),  # not part of the fingerprint
    ],
)
def test_a_changed_field_remakes_what_depends_on_it(
    toys: Any, tmp_path: Path, change: tuple[int, dict[str, Any]], remade: set[str]
) -> None:
    stages = [toys.Add(folder=str(tmp_path)), toys.Again(folder=str(tmp_path))]
    run_chain(make_chain(toys, tmp_path, stages))
    calls(tmp_path)
    number, fields = change
    stages[number] = dataclasses.replace(stages[number], **fields)
    changed = make_chain(toys, tmp_path, stages)
    assert chain_is_complete(changed) == (not remade)
    run_chain(changed)
    assert set(calls(tmp_path)) == remade
    value = 1 + sum(stage.amount for stage in stages)
    assert read_shard(changed.result).column("value").to_pylist() == [value] * len(NAMES)


def test_only_rows_in_error_are_tried_again(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Add(folder=str(tmp_path)), toys.Again(folder=str(tmp_path))])
    trouble(tmp_path, "add-a", "transient")
    trouble(tmp_path, "again-b", "bug")
    trouble(tmp_path, "add-c", "reject")
    run_chain(chain)
    assert calls(tmp_path) == {"add": ["a", "b", "c"], "again": ["b"]}
    outcome = {row["clip_id"]: row for row in read_shard(chain.result).to_pylist()}
    assert outcome["a"]["error"] == "the network is away"
    assert outcome["b"]["error"] == "again: ZeroDivisionError: planted"
    assert outcome["c"]["reject"] == "ugly: score 7"
    (tmp_path / "add-a").unlink()
    (tmp_path / "again-b").unlink()
    (tmp_path / "add-c").unlink()
    run_chain(chain)
    assert calls(tmp_path) == {"add": ["a"], "again": ["a", "b"]}, "a decision stands, and what was done is kept"
    outcome = {row["clip_id"]: row for row in read_shard(chain.result).to_pylist()}
    assert [outcome[name]["error"] for name in NAMES] == [None] * 3
    assert [outcome[name]["value"] for name in "ab"] == [3, 3]


def test_an_error_of_an_earlier_stage_is_not_tried_again_by_a_later_one(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Split(folder=str(tmp_path)), toys.Add(folder=str(tmp_path))])
    trouble(tmp_path, "add-a_000", "transient")
    run_chain(chain)
    calls(tmp_path)
    run_chain(chain)
    assert calls(tmp_path) == {"add": ["a_000"]}
    trouble(tmp_path, "add-a_000", "")
    trouble(tmp_path, "split-b", "transient")
    write_shard(toys.input_table([*NAMES, "d"]), chain.path(0), "by hand")
    run_chain(chain)
    assert calls(tmp_path) == {"split": ["d"], "add": ["a_000", "d_000", "d_001"]}


def test_only_videos_whose_input_changed_are_worked_on(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Split(folder=str(tmp_path)), toys.Add(folder=str(tmp_path))])
    run_chain(chain)
    calls(tmp_path)
    table = pa.concat_tables([toys.input_table("ac"), toys.input_table("b", 2), toys.input_table("d")])
    write_shard(table, chain.path(0), "by hand")
    run_chain(chain)
    assert calls(tmp_path) == {"split": ["b", "d"], "add": ["b_000", "b_001", "b_002", "d_000", "d_001"]}
    assert read_shard(chain.result).column("video_id").to_pylist() == [*"aaccbbbdd"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(["", "transient", "reject", "bug"]), min_size=3, max_size=3), max_size=5))
def test_rows_never_disappear(toys: Any, kinds: list[list[str]]) -> None:
    """Whatever rows do in three stages, every video comes out, complete or with its reason; mended, all that may."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = [f"v{i}" for i in range(len(kinds))]
        for name, (first, second, third) in zip(names, kinds, strict=True):
            trouble(root, f"add-{name}", first)
            trouble(root, f"split-{name}", second)
            trouble(root, f"again-{name}_001", third)
        stages = [toys.Add(folder=folder), toys.Split(folder=folder), toys.Again(folder=folder)]
        chain = make_chain(toys, root, stages, names)
        for is_mended in (False, True):
            run_chain(chain)
            rows = read_shard(chain.result).to_pylist()
            assert [name for name, _ in itertools.groupby(row["video_id"] for row in rows)] == names
            for name, all_kinds in zip(names, kinds, strict=True):
                own = [row for row in rows if row["video_id"] == name]
                first = next((kind for kind in all_kinds[:2] if kind and not (is_mended and kind != "reject")), None)
                assert len(own) == (1 if first else 3)
                last = first or ("" if is_mended and all_kinds[2] != "reject" else all_kinds[2])
                assert sum(bool(row["reject"]) for row in own) == (last == "reject")
                assert sum(bool(row["error"]) for row in own) == (last in ("transient", "bug"))
            for path in root.glob("*-v*"):
                if path.read_text() != "reject":
                    path.write_text("")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_shard_is_named_with_the_remedy(toys: Any, tmp_path: Path, share: float) -> None:
    chain = make_chain(toys, tmp_path, [toys.Add(folder=str(tmp_path))])
    run_chain(chain)
    whole = chain.result.read_bytes()
    chain.result.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=f"^{chain.result}: .*; rm {chain.result} and run the same command again$"):
        run_chain(chain)
    chain.result.unlink()
    run_chain(chain)
    assert chain.result.read_bytes() == whole


def test_a_flipped_byte_of_the_data_is_found_or_changes_nothing(toys: Any, tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    table = toys.input_table([f"video{i}" for i in range(50)])
    write_shard(table, path, "print")
    whole = path.read_bytes()
    found = 0
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")  # Parquet has no checksum of its footer
    for place in range(footer):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            back = read_shard(path)
        except UserError:
            found += 1
        else:
            assert content_hash(back) == content_hash(table), place
    assert found > footer / 2


def test_another_schema_version_is_refused_with_the_remedy(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Add(folder=str(tmp_path))])
    run_chain(chain)
    table = pq.read_table(chain.result)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"schema_version": b"0"}), chain.result)
    with pytest.raises(UserError, match=r"schema version 0, this version reads 2; rebuild it with: rm "):
        run_chain(chain)
    pq.write_table(table.replace_schema_metadata(None), chain.result)
    with pytest.raises(UserError, match="schema version unknown"):
        run_chain(chain)


def test_a_full_disk_ends_the_run_and_leaves_nothing(
    toys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = make_chain(toys, tmp_path, [toys.Add(folder=str(tmp_path))])

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shards.pq.ParquetWriter, "write_table", full)
        with pytest.raises(DiskFullError, match="free some and run the same command again"):
            run_chain(chain)
    assert [path.suffix for path in chain.result.parent.iterdir()] == [".journal"], "what was done is kept"
    calls(tmp_path)
    run_chain(chain)
    assert calls(tmp_path) == {}
    assert [path.suffix for path in chain.result.parent.iterdir()] == [".parquet"]
    assert read_shard(chain.result).num_rows == len(NAMES)


def test_a_model_that_cannot_be_loaded_ends_the_run_not_its_rows(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Add(folder=str(tmp_path))])

    def broken() -> None:
        raise ZeroDivisionError("weights")

    with pytest.raises(ZeroDivisionError, match="weights"):
        run_shard(chain.stages[0], broken, chain.path(0), chain.path(1), tmp_path)
    assert not chain.result.exists()


def test_fingerprint_follows_every_field_but_those_left_out(toys: Any) -> None:
    prints = [
        stage_fingerprint(stage, parent)
        for stage in (toys.Add(), toys.Add(amount=2), toys.Add(remark="r"), toys.Again())
        for parent in ("p", "q")
    ]
    assert len(set(prints)) == len(prints)
    assert stage_fingerprint(toys.Add(folder="elsewhere", pause_s=3.0), "p") == prints[0]


def test_rows_go_depth_first_so_that_memory_is_shared_with_the_next_stage(toys: Any, tmp_path: Path) -> None:
    """What a generator leaves in `scratch` for a row is there when the next stage sees that row, and gone after it."""
    chain = make_chain(toys, tmp_path, [toys.Decode(folder=str(tmp_path)), toys.Use(folder=str(tmp_path))], ["a", "b"])
    run_chain(chain)
    assert read_shard(chain.result).column("found").to_pylist() == ["memory"] * 6
    assert (tmp_path / "order.log").read_text().split() == [
        *("decode-a0", "use-a_000", "decode-a1", "use-a_001", "decode-a2", "use-a_002"),
        *("decode-b0", "use-b_000", "decode-b1", "use-b_001", "decode-b2", "use-b_002"),
    ]


def test_a_generator_that_breaks_off_leaves_what_it_made_and_the_reason(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Decode(folder=str(tmp_path)), toys.Use(folder=str(tmp_path))], ["a"])
    trouble(tmp_path, "decode-a", "reject after 2")
    run_chain(chain)
    rows = read_shard(chain.result).to_pylist()
    assert [row["clip_id"] for row in rows] == ["a_000", "a_001", "a"]
    assert [row["reject"] for row in rows] == [None, None, "unreadable: the rest"]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.99])
def test_a_torn_journal_is_continued_to_the_same_bytes(toys: Any, tmp_path: Path, share: float) -> None:
    """Whatever part of a journal reached the disk: whole entries are not made again, and the shard is the same."""
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for root in (whole, torn):
        root.mkdir()
    stages = [toys.Add(folder=str(torn))]
    run_chain(make_chain(toys, whole, [toys.Add(folder=str(whole))]))
    chain = make_chain(toys, torn, stages)
    trouble(torn, "add-c", "stop")
    with pytest.raises(KeyboardInterrupt):
        run_chain(chain)
    (torn / "add-c").unlink()
    (journal,) = torn.rglob("*.journal")
    data = journal.read_bytes()
    assert count_entries(journal) == 2
    journal.write_bytes(data[: int(len(data) * share)])
    left = count_entries(journal)
    calls(torn)
    run_chain(chain)
    assert calls(torn) == {"add": list(NAMES[left:])}
    assert chain.result.read_bytes() == (whole / "work/01_add/shard-00000.parquet").read_bytes()
    assert not list(torn.rglob("*.journal"))


def stopped(toys: Any, root: Path) -> tuple[Chain, Path]:
    """A chain of one stage that was stopped after two of three rows, and its journal."""
    chain = make_chain(toys, root, [toys.Add(folder=str(root))])
    trouble(root, "add-c", "stop")
    with pytest.raises(KeyboardInterrupt):
        run_chain(chain)
    (root / "add-c").unlink()
    calls(root)
    (journal,) = root.rglob("*.journal")
    return chain, journal


@pytest.mark.parametrize(
    "garbage", [b"\0" * 4096, b"5\n", b"{}\n", b"\xff\xfe\n", b'{"key": 1, "size": -3}\n', b"null\n"]
)
@pytest.mark.parametrize("keep", [True, False])
def test_garbage_in_a_journal_costs_what_follows_it(toys: Any, tmp_path: Path, garbage: bytes, keep: bool) -> None:
    """As a disk may leave it that lost power."""
    chain, journal = stopped(toys, tmp_path)
    journal.write_bytes((journal.read_bytes() if keep else b"") + garbage)
    assert count_entries(journal) == (2 if keep else 0)
    run_chain(chain)
    assert calls(tmp_path) == {"add": ["c"] if keep else list(NAMES)}
    assert read_shard(chain.result).column("value").to_pylist() == [2, 2, 2]


def test_a_flipped_byte_of_a_journal_s_rows_is_never_taken_for_data(toys: Any, tmp_path: Path) -> None:
    chain, journal = stopped(toys, tmp_path)
    whole = journal.read_bytes()
    first = whole.index(b"\n") + 1
    found = 0
    for place in range(first, whole.index(b'{"key"', first), 7):
        journal.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            run_chain(chain)
        except UserError as error:
            found += 1
            assert str(error) == f"{journal}: corrupt journal; rm {journal} and run the same command again"  # noqa: PT017
        else:
            assert read_shard(chain.result).column("value").to_pylist() == [2, 2, 2]
            chain.result.unlink()
    assert found


def test_many_shards_leave_no_file_open(toys: Any, tmp_path: Path) -> None:
    stages = [toys.Add(folder=str(tmp_path)), toys.Split(folder=str(tmp_path)), toys.Again(folder=str(tmp_path))]
    opened = []
    for index in range(12):
        chain = dataclasses.replace(make_chain(toys, tmp_path, stages), index=index)
        write_shard(toys.input_table(NAMES), chain.path(0), "by hand")
        run_chain(chain)
        run_chain(dataclasses.replace(chain, stages=(toys.Add(folder=str(tmp_path), amount=2), *stages[1:])))
        opened.append(len(list(Path("/proc/self/fd").iterdir())))
    assert len(set(opened[1:])) == 1


@dataclasses.dataclass(frozen=True)
class Blocking:
    """Tombstones for some clip ids."""

    ids: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.ids)

    def blocks(self, row: dict[str, Any]) -> str | None:
        return "tombstoned: on request" if row["video_id"] in self.ids else None


def test_a_tombstone_ends_its_rows_and_only_those(toys: Any, tmp_path: Path) -> None:
    chain = make_chain(toys, tmp_path, [toys.Add(folder=str(tmp_path)), toys.Split(folder=str(tmp_path))])
    run_chain(chain)
    before = chain.result.read_bytes()
    calls(tmp_path)
    blocked = dataclasses.replace(chain, tombstones=Blocking(("b",)))
    assert not chain_is_complete(blocked)
    run_chain(blocked)
    assert calls(tmp_path) == {}, "no stage sees it, and the others are kept"
    rows = list(iter_rows(blocked.result))
    assert [row["clip_id"] for row in rows] == [*("a_000", "a_001", "a_002"), "b", *("c_000", "c_001", "c_002")]
    assert [row["reject"] for row in rows if row["reject"]] == ["tombstoned: on request"]
    assert rows[3]["part"] is None
    assert chain_is_complete(blocked)
    assert not chain_is_complete(chain)
    run_chain(chain)
    assert chain.result.read_bytes() == before
    assert calls(tmp_path) == {"add": ["b"], "split": ["b"]}, "what was blocked is made again, as it was"
