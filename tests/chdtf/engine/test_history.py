"""Whatever happened before, a build ends as a fresh one of the last manifest, settings and tombstones would.

Videos added, removed, moved and changed, settings changed and changed back, tombstones set, lifted and reworded, rows
that fail, runs that are stopped anywhere, journals that lost their end.
"""

import contextlib
import dataclasses
import importlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chdtf.engine.chain import Chain, chain_is_complete, run_chain
from chdtf.engine.plan import PLAN, make_plan
from chdtf.engine.shards import read_shard
from chdtf.manifest import ManifestRow, manifest_table

STAGES = ("value", "split", "film")


@pytest.fixture(scope="module")
def toys() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("toy_stages")


@dataclasses.dataclass(frozen=True)
class Withdrawn:
    """Tombstones for some videos, in words that may change."""

    words: tuple[tuple[str, str], ...]

    def blocks(self, row: Any) -> str | None:
        return next((f"tombstoned: {words}" for name, words in self.words if name == row["video_id"]), None)


@dataclasses.dataclass(frozen=True)
class State:
    """What a build is asked for."""

    videos: tuple[tuple[str, int, str], ...]  # id, seconds, language
    amounts: tuple[int, int, int]
    withdrawn: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Run:
    """A build of a state, and what goes wrong in it: kind of trouble, stage, clip; share of journals that is kept."""

    state: State
    trouble: tuple[str, int, str]
    kept: float


NAMES = ("a", "b", "c")
VIDEOS = st.permutations(NAMES).flatmap(
    lambda names: st.lists(
        st.tuples(st.sampled_from((0, 1, 2, 7)), st.sampled_from(("en", "zh"))), min_size=1, max_size=len(names)
    ).map(lambda rest: tuple((name, *more) for name, more in zip(names, rest, strict=False)))
)
STATES = st.builds(
    State,
    VIDEOS,
    st.tuples(*[st.sampled_from((0, 1))] * 3),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("on request", "by law"))), max_size=2).map(tuple),
)
TROUBLE = st.tuples(
    st.sampled_from(("", "stop", "transient", "bug")),
    st.integers(0, 2),
    st.builds("{}{}".format, st.sampled_from(NAMES), st.sampled_from(("", "_000", "_001"))),
)
KEPT = st.sampled_from((1.0, 0.9, 0.4))
# few states, so that one is gone back to
RUNS = st.lists(STATES, min_size=1, max_size=2).flatmap(
    lambda states: st.lists(st.builds(Run, st.sampled_from(states), TROUBLE, KEPT), min_size=2, max_size=4)
)
ONE = State((("a", 1, "en"), ("b", 1, "en")), (1, 1, 1), ())
FINE = ("", 0, "")


def after_a_change_that_was_stopped(**change: Any) -> list[Run]:
    """The state before it is gone back to."""
    other = dataclasses.replace(ONE, **change)
    return [Run(ONE, FINE, 1.0), Run(other, ("stop", 2, "b_000"), 1.0), Run(ONE, FINE, 1.0)]


def chains(toys: Any, root: Path, state: State) -> list[Chain]:
    kinds = (toys.Value, toys.Split, toys.Film)
    stages = tuple(kind(amount=n, folder=str(root)) for kind, n in zip(kinds, state.amounts, strict=True))
    table = manifest_table(
        ManifestRow(name, "https://x.example/v", float(start), None, name, language, split="train")
        for name, start, language in state.videos
    )
    withdrawn = Withdrawn(state.withdrawn) if state.withdrawn else None
    return [Chain(root, shard.index, stages, withdrawn, shard.content) for shard in make_plan(root, table, 2)]


def build(toys: Any, root: Path, state: State) -> list[Chain]:
    """Whole."""
    made = chains(toys, root, state)
    for chain in made:
        if not chain_is_complete(chain):
            run_chain(chain)
    return made


def build_with_trouble(toys: Any, root: Path, run: Run) -> None:
    kind, stage, clip = run.trouble
    trouble = root / f"{STAGES[stage]}-{clip}"
    if kind:
        trouble.write_text(kind)
    with contextlib.suppress(KeyboardInterrupt):
        build(toys, root, run.state)
    trouble.unlink(missing_ok=True)
    for journal in root.rglob("*.journal"):
        data = journal.read_bytes()
        journal.write_bytes(data[: int(len(data) * run.kept)])


def result(root: Path, made: Sequence[Chain]) -> dict[str, bytes]:
    """Shards of all stages, and the files that finished rows name."""
    paths = [chain.path(step) for chain in made for step in range(len(chain.stages) + 1)]
    rows = [row for chain in made for row in read_shard(chain.result).to_pylist()]
    paths += [root / row["video"] for row in rows if row["video"]]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@settings(max_examples=20, deadline=None)
@given(RUNS)
@example(after_a_change_that_was_stopped(videos=(("a", 1, "zh"), ("b", 1, "en"))))
@example(after_a_change_that_was_stopped(amounts=(0, 1, 1)))
@example([Run(dataclasses.replace(ONE, withdrawn=(("a", words),)), FINE, 1.0) for words in ("by law", "on request")])
def test_a_build_equals_a_fresh_one_of_the_last_state(toys: Any, runs: list[Run]) -> None:
    """Byte for byte, given the same division into shards: every stage's shards, and every file that a row names."""
    last = runs[-1].state
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        used, fresh = Path(one), Path(two)
        for run in runs:
            build_with_trouble(toys, used, run)
        after = build(toys, used, last)
        assert all(map(chain_is_complete, after))
        (fresh / PLAN).parent.mkdir()
        shutil.copyfile(used / PLAN, fresh / PLAN)  # it says which video is in which shard
        wanted = build(toys, fresh, last)
        assert result(used, after) == result(fresh, wanted)
        rows = [row for chain in after for row in read_shard(chain.result, ["video_id"]).to_pylist()]
        assert {row["video_id"] for row in rows} == {name for name, *_ in last.videos}
