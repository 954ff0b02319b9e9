"""Phonemes: where they come from, and what AVCT and StyleTalk read of them."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.inputs import Unavailable, get_input, recognise
from baselines.inputs.mandarin import TABLE, mandarin_table
from baselines.inputs.phoneme_words import words_of
from baselines.inputs.phones import CMU, Interval, phones_at, phones_of, read_intervals, without_gaps
from chdtf.errors import UserError
from chdtf.media import read_waveform

Make = Callable[..., object]
SPEECH = Path(recognise.__file__).parents[2] / "chdtf" / "assets" / "speech"
LIST = "start_s,end_s,phone\n0.1,0.2,HH\n0.2,0.36,AH0\n0.5,0.6,sil\n0.6,0.9,OW1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of intervals."""
    place = tmp_path / "phones"
    place.mkdir()
    (place / "v0_000.csv").write_text(LIST, encoding="utf-8")
    monkeypatch.setenv("DISENTBENCH_PHONES", str(place))
    return place


def spoken(name: str) -> tuple[np.ndarray, list[float], list[tuple[float, bool]]]:
    """A sentence of the sample, when its sounds begin, and whether each is one."""
    told = json.loads((SPEECH / "phonemes.json").read_text(encoding="utf-8"))[name]
    waveform = read_waveform(SPEECH / f"{name}.ogg", 16000)
    assert waveform is not None
    marks = [(start, bool(sound)) for start, sound in told["phonemes"]]
    return waveform, [start for start, sound in marks if sound], marks


def near(found: list[Interval], starts: list[float]) -> float:
    """Share of true beginnings that have a boundary within 40 ms."""
    bounds = np.array([one.start_s for one in found[1:]])
    return float(np.mean(np.abs(np.array(starts)[:, None] - bounds).min(1) < 0.04))


def test_the_phones_of_a_sentence_begin_when_it_was_synthesised_to():
    waveform, starts, _ = spoken("en_weather")
    found = phones_of("x", "en-GB", waveform)
    assert near(found, starts) > 0.85
    assert abs(len(found) - len(starts)) < 12
    # w and m of "warm", f of "from": at the right moment
    instants = {1.53: "W", 1.20: "M", 4.02: "F"}
    assert phones_at(found, np.array(list(instants))) == list(instants.values())
    assert found[0].start_s == 0
    assert found[-1].end_s == len(waveform) / 16000
    assert all(one.end_s == other.start_s for one, other in itertools.pairwise(found))
    assert {one.phone for one in found} <= set(CMU)


def test_mandarin_is_heard_by_phones_not_by_english_words(monkeypatch: pytest.MonkeyPatch):
    waveform, starts, _ = spoken("cmn_weather")
    monkeypatch.setattr(recognise, "_by_words", lambda _pcm: pytest.fail("words were looked for"))
    assert near(phones_of("x", "cmn-Hans-CN", waveform), starts) > 0.6


def test_where_nothing_is_heard_the_clip_has_no_phonemes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recognise, "_by_words", lambda _pcm: [])
    with pytest.raises(Unavailable, match="no_phonemes: the recogniser"):
        phones_of("x", "en", np.zeros(16000, np.float32))


def test_noises_are_silence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recognise, "_by_words", lambda _pcm: [("+NSN+", 0, 30), ("SIL", 30, 50), ("AA", 50, 80)])
    found = phones_of("x", "und", np.zeros(16000, np.float32))
    assert found == [(0, 0.5, "SIL"), (0.5, 0.8, "AA"), (0.8, 1.0, "SIL")]


def test_a_users_intervals_are_taken_with_gaps_silent_and_stress_dropped(folder: Path):
    found = phones_of("v0_000", "en", np.zeros(16000, np.float32))
    assert found == [
        (0, 0.1, "SIL"),
        (0.1, 0.2, "HH"),
        (0.2, 0.36, "AH"),
        (0.36, 0.6, "SIL"),
        (0.6, 0.9, "OW"),
        (0.9, 1.0, "SIL"),
    ]
    with pytest.raises(Unavailable, match=r"no_phonemes: .*\(DISENTBENCH_PHONES\) has no other\.csv"):
        phones_of("other", "en", np.zeros(16000, np.float32))


def test_another_interval_makes_another_version_so_that_nothing_old_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    first = get_input("phoneme_words", {}).version
    (folder / "v0_000.csv").write_text(LIST.replace("HH", "K"), encoding="utf-8")
    assert get_input("phoneme_words", {}).version != first
    monkeypatch.delenv("DISENTBENCH_PHONES")
    assert get_input("phoneme_words", {}).version == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("start,end,phone\n", "its first line is"),
        ("start_s,end_s,phone\n0,x,AA\n", "line 2: 'x' is no time"),
        ("start_s,end_s,phone\n0,nan,AA\n", "line 2: 'nan' is no time"),
        ("start_s,end_s,phone\n0,0.5,AA\n0.4,0.6,B\n", "line 3: 0.4 to 0.6 s does not follow"),
        ("start_s,end_s,phone\n0.5,0.4,AA\n", "line 2: 0.5 to 0.4 s"),
        ("start_s,end_s,phone\n0,1.8,AA\n", "within the clip's 1 s"),
        ("start_s,end_s,phone\n0,0.5,ang1\n", "phone 'ang1' is not among"),
        ("start_s,end_s,phone\n0,0.5\n0.5,0.6,XX\n", "line 3: phone 'XX'"),
    ],
)
def test_a_malformed_list_is_told_with_its_line(folder: Path, text: str, told: str):
    path = folder / "v0_000.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_intervals(path, 1.0, "en")
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_PHONES", "/no/such/folder")
    with pytest.raises(UserError, match="DISENTBENCH_PHONES=/no/such/folder: no such folder"):
        phones_of("x", "en", np.zeros(640, np.float32))


def test_pinyin_and_ipa_become_cmu_phones_side_by_side(folder: Path):
    path = folder / "v0_000.csv"
    path.write_text("start_s,end_s,phone\n0,0.1,x\n0.1,0.4,iang4\n0.4,0.5,j\n0.5,0.6,ü3\n", encoding="utf-8")
    found = read_intervals(path, 0.6, "cmn-Hans-CN")
    assert [one.phone for one in found] == ["SH", "Y", "AA", "NG", "JH", "UW"]
    assert found[2].start_s == pytest.approx(0.2)
    path.write_text("start_s,end_s,phone\n0,0.1,x\n0.1,0.4,j\n0.4,0.5,ɑŋ˥˩\n0.5,0.6,tɕʰ\n", encoding="utf-8")
    assert [one.phone for one in read_intervals(path, 0.6, "zh")] == ["HH", "Y", "AA", "NG", "CH"]


def test_the_mandarin_table_holds_all_of_pinyin_and_only_cmu_phones():
    initials = "b p m f d t n l g k h j q x zh ch sh r z c s"
    finals = "a o e ai ei ao ou an en ang eng ong er i ia ie iao iu ian in iang ing iong u ua uo uai ui uan un uang"
    names = [*initials.split(), *finals.split(), "ueng", "ü", "üe", "üan", "ün"]
    table = mandarin_table(names)
    assert set(names) <= set(table)
    assert {phone for phones in table.values() for phone in phones} <= set(CMU)
    names = [name for line in TABLE.read_text(encoding="utf-8").splitlines()[1:] for name in line.split(",")[0].split()]
    assert len(names) == len(set(names))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 0.4), st.sampled_from(CMU)), max_size=8), st.floats(0.04, 3))
def test_intervals_are_whole_and_follow_each_other(given_spans: list[tuple[float, float, str]], duration_s: float):
    now, spans = 0.0, []
    for gap, length, phone in given_spans:
        spans.append(Interval(now + gap, now + gap + length, phone))
        now += gap + length
    found = without_gaps(spans, duration_s)
    assert found[0].start_s == 0
    assert found[-1].end_s == pytest.approx(duration_s, abs=1e-5)
    for one, other in itertools.pairwise(found):
        assert one.start_s < one.end_s
        assert one.end_s == other.start_s
        assert not one.phone == other.phone == "SIL"


def as_avct_expands(words: list[dict]) -> list[str]:
    """A phone for every frame of 25 a second: the one whose end, 1/100 s, lies after four times the frame's number."""
    phones = [phone for word in words for phone in word["phones"]]
    count = int(phones[-1]["ed"] / 100 * 25)
    return [next((one["ph"] for one in phones if 4 * frame < one["ed"]), phones[-1]["ph"]) for frame in range(count)]


@given(st.integers(1, 900), st.integers(0, 10_000))
def test_avct_reads_as_many_phones_as_the_clip_has_frames_and_the_right_ones(num_frames: int, seed: int):
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.integers(1, 30, num_frames)) / 100
    starts = np.concatenate([[0], ends[:-1]])
    names = rng.choice(CMU, num_frames)
    spans = [Interval(*one) for one in zip(starts.tolist(), ends.tolist(), names.tolist(), strict=True)]
    intervals = without_gaps(spans, num_frames / 25)
    words = words_of(intervals, num_frames)
    assert as_avct_expands(words) == phones_at(intervals, np.arange(num_frames) / 25)
    phones = [phone for word in words for phone in word["phones"]]
    assert all(one["ed"] == other["bg"] for one, other in itertools.pairwise(phones))
    assert phones[0]["bg"] == 0
    assert all(type(one["bg"]) is int and type(one["ed"]) is int for one in phones)
    assert all((word["word"] == "sil") == (phone["ph"] == "SIL") for word in words for phone in word["phones"])


def test_styletalk_gets_a_number_for_every_thirtieth_of_a_second(
    folder: Path, faces: Make, make_source: Make, tmp_path: Path
):
    source = make_source(faces(np.zeros((25, 3))))
    get_input("phoneme_sequence", {}).derive(source, tmp_path / "x.json")
    numbers = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert len(numbers) == 30
    silent, heard = CMU.index("SIL"), {3: "HH", 5: "HH", 6: "AH", 10: "AH", 18: "OW", 26: "OW"}
    assert silent == 31
    assert [CMU[numbers[frame]] for frame in heard] == list(heard.values())
    assert [numbers[frame] for frame in (0, 2, 11, 17, 27, 29)] == [silent] * 6
    get_input("phoneme_sequence", {"fps": 25}).derive(source, tmp_path / "y.json")
    assert len(json.loads((tmp_path / "y.json").read_text(encoding="utf-8"))) == 25


def test_avcts_file_is_its_list_of_words(folder: Path, faces: Make, make_source: Make, tmp_path: Path):
    get_input("phoneme_words", {}).derive(make_source(faces(np.zeros((25, 3)))), tmp_path / "x.json")
    words = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert [word["word"] for word in words] == ["sil", "speech", "sil", "speech", "sil"]
    assert words[1]["phones"] == [{"ph": "HH", "bg": 10, "ed": 20}, {"ph": "AH", "bg": 20, "ed": 36}]
    assert words[-1]["phones"][-1]["ed"] == 101
