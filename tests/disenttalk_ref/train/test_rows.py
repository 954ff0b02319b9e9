import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from chdtf.dataset import MotionClip
from chdtf.errors import UserError
from disenttalk_ref.audio import cache
from disenttalk_ref.train.rows import ClipFeatures, moved, read_features


class Table(Mapping[str, np.ndarray]):
    """Ten frames of three numbers for each clip; counts what it is asked for."""

    def __init__(self, *names: str) -> None:
        self.names, self.asked = names, list[str]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, clip_id: str) -> np.ndarray:
        self.asked.append(clip_id)
        return np.arange(30, dtype=np.float32).reshape(10, 3) + ord(clip_id)


def test_nothing_is_read_before_it_is_asked_for_and_the_last_ones_are_kept():
    first, second = Table("a", "b"), Table("c")
    rows = ClipFeatures([first, second], kept_bytes=2 * 10 * 3 * 2)  # two clips as float16
    assert set(rows) == {"a", "b", "c"}
    assert "c" in rows
    assert not first.asked + second.asked
    for name in "abaca":
        assert rows[name][0, 0] == ord(name)
    assert first.asked == ["a", "b"]
    rows["b"]  # the one that was asked for longest ago had to go
    assert (first.asked, second.asked) == (["a", "b", "b"], ["c"])
    with pytest.raises(KeyError):
        rows["d"]


def test_a_clip_larger_than_the_limit_is_given_and_not_kept():
    table = Table("a")
    rows = ClipFeatures([table], kept_bytes=10)
    assert rows["a"].shape == rows["a"].shape == (10, 3)
    assert table.asked == ["a", "a"]


@pytest.mark.parametrize("frames", [-3, 0, 4, 10, 25, -25])
def test_moved_rows_hold_their_ends_and_never_come_round(frames: int):
    place = np.arange(10)[:, None] * np.ones(2)
    found = moved(place, frames)
    np.testing.assert_array_equal(found, np.clip(place + frames, 0, 9))


def test_offsets_apply_to_their_clips_alone():
    rows = ClipFeatures([Table("a", "b")]).in_sync({"a": 2, "x": 5})
    assert (rows["a"][:, 0] - ord("a")).tolist() == [6, 9, 12, 15, 18, 21, 24, 27, 27, 27]
    assert (rows["b"][:, 0] - ord("b")).tolist() == list(range(0, 30, 3))


def test_threads_that_ask_at_once_get_the_same():
    table = Table(*"abcdefgh")
    rows, wrong = ClipFeatures([table], kept_bytes=3 * 60), []

    def ask(seed: int) -> None:
        for name in np.random.default_rng(seed).choice(list("abcdefgh"), 300):
            if rows[name][9, 2] != 29 + ord(name):
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Heard:
    """Not quick: its features lie in a cache."""

    quick: ClassVar[bool] = False


class Quick:
    """Computed at once: the mean of each frame."""

    quick: ClassVar[bool] = True

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        found: np.ndarray = np.abs(waveform.reshape(-1, 640)).mean(1, keepdims=True)
        return found


def test_a_clip_of_no_dataset_is_named(clips: list[MotionClip], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "cached", lambda root, features: {clips[0].clip_id: np.zeros((50, 1), np.float32)})
    assert read_features([Path("a")], Heard(), clips[:1])["clip_0"].shape == (50, 1)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="clip clip_1: no features of it in a, b; name the dataset"):
        read_features([Path("a"), Path("b")], Heard(), clips)  # type: ignore[arg-type]


def test_quick_features_need_no_cache(clips: list[MotionClip]):
    rows = read_features([], Quick(), clips)  # type: ignore[arg-type]
    np.testing.assert_allclose(rows["clip_1"], Quick().extract(clips[1].waveform), atol=1e-3)
