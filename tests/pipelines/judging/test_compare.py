"""Comparison of all clips: planted duplicates are found, others are not, and a stranger stands out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from chdtf.encode import encode_audio
from chdtf.media import read_waveform
from chdtf.schema import SAMPLE_RATE_HZ
from pipelines.judging.compare import COMPARED, COMPARISON, Likeness, compare
from pipelines.scores.sound import sound_envelope


def voice(seconds: float, seed: int) -> np.ndarray:
    """Noise with the rhythm of speech, float32 (S,)."""
    random = np.random.default_rng(seed)
    level = gaussian_filter1d(random.normal(size=round(seconds * 100)), 6)
    level = np.interp(np.arange(round(seconds * SAMPLE_RATE_HZ)) / 160, np.arange(len(level)), level / level.std())
    return (0.02 * 10 ** (level / 2) * random.uniform(-1, 1, len(level))).clip(-1, 1).astype(np.float32)


def face(person: int, seed: int = 0) -> np.ndarray:
    """An identity near that of its person: float32 (32,) of length 1."""
    vector = np.random.default_rng(person).normal(size=32) + 0.4 * np.random.default_rng(1000 + seed).normal(size=32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def clip(name: str, wave: np.ndarray, speaker: str | None = None, **more: Any) -> dict[str, Any]:
    row = {"clip_id": name, "speaker_id": speaker or name, "sound_envelope": sound_envelope(wave)}
    return {**dict.fromkeys(COMPARED), **row, **more}


def duplicates(rows: list[dict[str, Any]], likeness: Likeness | None = None) -> dict[str, str]:
    found = compare(rows, likeness)
    assert found.schema.equals(COMPARISON)
    assert found["clip_id"].to_pylist() == [row["clip_id"] for row in rows]
    return {row["clip_id"]: row["duplicate_of"] for row in found.to_pylist() if row["duplicate_of"]}


def encoded(wave: np.ndarray) -> np.ndarray:
    """The sound after MP3 at the encoder's usual rate."""
    import io

    heard = read_waveform(io.BytesIO(encode_audio(wave, codec="mp3")))
    assert heard is not None
    return heard


WHOLE = voice(10, 1)
COPIES = {
    "the same": WHOLE,
    "quieter": 0.2 * WHOLE,
    "trimmed": WHOLE[round(1.234 * SAMPLE_RATE_HZ) : round(8.1 * SAMPLE_RATE_HZ)],
    "longer": np.concatenate([voice(2, 9), WHOLE, voice(3, 10)]),
    "noisy": WHOLE + np.random.default_rng(0).normal(0, 0.0005, len(WHOLE)).astype(np.float32),
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("with_faces", [True, False])
def test_a_copy_points_to_the_earlier_clip_under_whatever_name(copy: str, with_faces: bool) -> None:
    faces = [face(k, k) if with_faces else None for k in (1, 2, 1)]
    rows = [
        clip("a", WHOLE, identity_embedding=faces[0]),
        clip("b", voice(9, 2), identity_embedding=faces[1]),
        clip("c", COPIES[copy], identity_embedding=faces[2]),
    ]
    assert duplicates(rows) == {"c": "a"}
    assert duplicates([rows[2], rows[0]]) == {"a": "c"}


def test_a_copy_that_was_encoded_again_is_found() -> None:
    pytest.importorskip("av")
    rows = [clip("a", WHOLE), clip("b", 0.5 * encoded(WHOLE[5000:]), speaker="a")]
    assert duplicates(rows) == {"b": "a"}


def test_other_clips_of_one_speaker_are_none() -> None:
    rows = [clip(f"a{k}", voice(4 + k / 3, k), "a", identity_embedding=face(1, k)) for k in range(12)]
    assert duplicates(rows) == {}


def test_the_same_sound_under_another_face_is_none() -> None:
    """A dub, or the other half of a conversation; without identities the crops tell them apart."""
    rows = [clip("a", WHOLE, identity_embedding=face(1)), clip("b", WHOLE, identity_embedding=face(2))]
    assert duplicates(rows) == {}
    assert duplicates([{**row, "identity_embedding": None} for row in rows]) == {"b": "a"}
    left, right = np.array([0.0, 0, 0.4, 1]), np.array([0.6, 0, 1, 1])
    sides = [clip("a", WHOLE, source_sha256="s", box=left), clip("b", WHOLE, source_sha256="s", box=right)]
    assert duplicates(sides) == {}
    assert duplicates([sides[0], {**sides[1], "box": left}]) == {"b": "a"}


def test_little_overlap_is_none() -> None:
    rows = [clip("a", voice(10, 1), "a"), clip("b", np.concatenate([WHOLE[-3 * SAMPLE_RATE_HZ :], voice(7, 5)]), "a")]
    assert duplicates(rows) == {}
    assert duplicates(rows, Likeness(min_overlap_share=0.2)) == {"b": "a"}


def test_a_clip_points_to_one_that_stays() -> None:
    """b repeats a and c repeats b's end only: with b gone, c is the first with that footage."""
    long = voice(16, 3)
    second = SAMPLE_RATE_HZ
    rows = [clip("a", long[: 8 * second]), clip("b", long[3 * second : 12 * second]), clip("c", long[7 * second :])]
    assert duplicates([{**row, "speaker_id": "x"} for row in rows]) == {"b": "a"}


def test_silent_short_and_empty_clips_are_compared_with_nothing() -> None:
    still = np.zeros(5 * SAMPLE_RATE_HZ, np.float32)
    rows = [clip("a", still, "a"), clip("b", still, "a"), clip("c", WHOLE[:8000], "a"), clip("d", WHOLE[:8000], "a")]
    assert duplicates(rows) == {}
    assert duplicates([{**row, "sound_envelope": None} for row in rows]) == {}
    assert compare([]).num_rows == 0


def test_the_stranger_among_a_speakers_clips_has_the_lowest_similarity() -> None:
    rows = [clip(f"a{k}", voice(3, k), "a", identity_embedding=face(1, k)) for k in range(8)]
    rows += [clip(f"b{k}", voice(3, 20 + k), "b", identity_embedding=face(2, k)) for k in range(4)]
    rows.append(clip("stranger", voice(3, 40), "a", identity_embedding=face(2, 77)))
    rows.append(clip("alone", voice(3, 41), "c", identity_embedding=face(3)))
    rows.append(clip("faceless", voice(3, 42), "a"))
    found = {row["clip_id"]: row["speaker_similarity"] for row in compare(rows).to_pylist()}
    assert found["alone"] is None
    assert found["faceless"] is None
    others = [found[f"a{k}"] for k in range(8)] + [found[f"b{k}"] for k in range(4)]
    assert found["stranger"] < 0.5 < min(others)


def test_similarity_is_the_cosine_with_the_mean_of_the_others_and_copies_do_not_count() -> None:
    faces = [face(1, k) for k in range(4)]
    rows = [clip(f"a{k}", voice(3, k), "a", identity_embedding=faces[k]) for k in range(4)]
    rows.append(clip("copy", voice(3, 0), "a", identity_embedding=faces[0]))
    found = compare(rows).to_pylist()
    assert found[4]["duplicate_of"] == "a0"
    mean = np.mean(faces[1:], axis=0)
    assert found[0]["speaker_similarity"] == pytest.approx(faces[0] @ mean / np.linalg.norm(mean), abs=1e-6)


def test_large_groups_are_not_compared_each_with_each() -> None:
    rows = [clip(f"a{k}", voice(7, k), "a") for k in range(20)] + [clip("copy", 0.3 * voice(7, 4), "a")]
    assert duplicates(rows, Likeness(max_group=5)) == {"copy": "a4"}


def test_real_footage(shared: Path) -> None:
    """obama_uncrop.mp4 is the beginning of obama_vox.mov, in another crop; other clips of the speaker are others."""
    names = ["obama_uncrop.mp4", "obama_vox.mov", "obama_540p.mp4", "may_5s.mp4", "merkel_10.avi", "merkel_11.avi"]
    rows = []
    for name in names:
        wave = read_waveform(shared / "data" / "clips" / name)
        assert wave is not None
        rows.append(clip(name, wave[: 30 * SAMPLE_RATE_HZ], speaker=name.split("_")[0]))
    assert duplicates(rows) == {"obama_vox.mov": "obama_uncrop.mp4"}
