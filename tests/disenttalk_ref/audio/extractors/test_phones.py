import itertools
import json
import struct
from pathlib import Path

import numpy as np
import pocketsphinx
import pytest
import torch
from scipy.special import logsumexp

from chdtf.errors import UserError
from chdtf.media import read_waveform
from disenttalk_ref.audio import from_json, parse, to_json
from disenttalk_ref.audio.extractors import _sphinx
from disenttalk_ref.audio.extractors._sphinx import cepstra, read_acoustics
from disenttalk_ref.audio.extractors.phones import PHONES, Features
from disenttalk_ref.audio.streaming import FeatureStream

SPEECH = Path(__file__).parents[4] / "chdtf" / "assets" / "speech"
NAMES = ("AA", "M", "SIL")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    waveform = read_waveform(SPEECH / "en_garden.ogg")
    assert waveform is not None
    return waveform[: 640 * 100]


@pytest.fixture(scope="module")
def rows(speech: np.ndarray) -> np.ndarray:
    return parse("phones").extract(speech)


def _gaussian_file(table: np.ndarray) -> bytes:
    codebooks, streams, codewords, length = table.shape
    numbers = struct.pack("<Iiii", 0x11223344, codebooks, streams, codewords) + struct.pack(
        f"<{streams}i", *[length] * streams
    )
    return b"s3\nversion 1.0\n      endhdr\n" + numbers + struct.pack("<i", table.size) + table.astype("<f4").tobytes()


def _string(text: bytes) -> bytes:
    return struct.pack("<i", len(text) + 1) + text + b"\0"


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray, np.ndarray]:
    """A model of three phones with 8 codewords, written as sphinxtrain does, and its tables."""
    rng = np.random.default_rng(0)
    means, variances = rng.normal(0, 5, (3, 3, 8, 13)), rng.uniform(4, 20, (3, 3, 8, 13))
    steps = rng.integers(0, 80, (3, 8, 12)).astype(np.uint8)  # 9 states of the phones, then 3 of triphones
    (tmp_path / "means").write_bytes(_gaussian_file(means))
    (tmp_path / "variances").write_bytes(_gaussian_file(variances))
    weights = _string(b"a header") + struct.pack("<i", 0) + struct.pack("<ii", 8, 12) + steps.tobytes()
    (tmp_path / "sendump").write_bytes(weights)
    text = b"a description\n\0"
    numbers = struct.pack("<10i", 3, 9, 3, 9, 12, 3, 12, 3, 0, 2)
    names = b"".join(name.encode() + b"\0" for name in NAMES)
    (tmp_path / "mdef").write_bytes(b"BMDF" + struct.pack("<ii", 1, len(text)) + text + numbers + names)
    return tmp_path, means.astype(np.float32), variances.astype(np.float32), steps


def test_likelihoods_of_a_planted_model_are_those_of_its_mixtures(
    planted: tuple[Path, np.ndarray, np.ndarray, np.ndarray],
):
    folder, means, variances, steps = planted
    acoustics = read_acoustics(folder)
    assert acoustics.phones == NAMES
    x = np.random.default_rng(1).normal(0, 5, (5, 3, 13))
    found = acoustics.log_likelihood(torch.from_numpy(x.astype(np.float32))).numpy()
    for frame in range(5):
        for state in range(9):
            total = 0.0
            for stream in range(3):
                mean, variance = means[state // 3, stream].astype(float), variances[state // 3, stream].astype(float)
                density = -0.5 * (np.log(2 * np.pi * variance) + (x[frame, stream] - mean) ** 2 / variance).sum(1)
                weight = -1.0 * steps[stream, :, state] * 1024 * np.log(1.0001)
                total += logsumexp(density + weight)
            assert found[frame, state // 3, state % 3] == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("name", ["means", "variances", "sendump", "mdef"])
def test_a_file_that_is_cut_off_is_refused_by_name(planted: tuple[Path, np.ndarray, np.ndarray, np.ndarray], name: str):
    folder = planted[0]
    (folder / name).write_bytes((folder / name).read_bytes()[:60])
    with pytest.raises(UserError, match="acoustic model"):
        read_acoustics(folder)


def test_rows_are_posteriors(rows: np.ndarray):
    assert rows.shape == (100, 84)
    np.testing.assert_allclose(np.square(rows).reshape(100, 2, 42).sum(2), 1, atol=1e-4)


def test_phones_are_heard_when_the_synthesiser_spoke_them(rows: np.ndarray):
    likely = np.square(rows).reshape(200, 42)
    index = {name: place for place, name in enumerate(PHONES)}
    groups = {
        "vowels": ("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW", "aeiouæɑɐʌəɛɜɪɔʊ"),
        "hisses": ("S SH Z ZH F TH CH JH", "szfʃʒθ"),
        "nasals": ("M N NG", "mnŋ"),
    }
    for phones, symbols in groups.values():
        heard = likely[:, [index[phone] for phone in phones.split()]].sum(1)
        middles = [middle for symbol, middle in _spoken() if symbol[:1] and symbol[0] in symbols]
        others = [middle for symbol, middle in _spoken() if not symbol or symbol[0] not in symbols]
        assert heard[middles].mean() > 2 * heard[others].mean()


def test_digital_silence_is_heard_as_silence():
    likely = np.square(Features().extract(np.zeros(16_000, np.float32))).reshape(50, 42)
    assert (likely[:, PHONES.index("SIL")] > 0.5).all()


def test_a_row_hears_33_ms_ahead_and_no_more(speech: np.ndarray):
    features, frame = Features(), 60
    last = (frame + 1) * 640 + features.reach_samples
    waveform = torch.from_numpy(speech)[None]
    changed = waveform.clone()
    changed[:, last:] = 0.3 * torch.randn(changed[:, last:].shape, generator=torch.Generator().manual_seed(0))
    before, after = features.features(waveform)[0], features.features(changed)[0]
    torch.testing.assert_close(before[: frame + 1], after[: frame + 1])
    changed[:, last - 205 :] = 0
    assert (features.features(changed)[0, frame] - before[frame]).abs().max() > 0.01


def test_a_stream_gives_the_rows_of_the_whole(speech: np.ndarray):
    features = Features()
    stream = FeatureStream(features)
    parts = [stream.push(part) for part in np.split(speech, [100, 4000, 4100, 30_000])]
    found = np.concatenate([*parts, stream.finish()])
    np.testing.assert_allclose(found, features.features(torch.from_numpy(speech)[None])[0].numpy(), atol=1e-4)


def test_loudness_hardly_matters(speech: np.ndarray, rows: np.ndarray):
    assert np.abs(Features().extract(speech * 0.1) - rows).max() < 0.01


def test_cepstra_follow_the_definition():
    waveform = np.random.default_rng(0).normal(0, 0.05, 410)
    x = waveform * 32768
    x = np.concatenate([x[:1], x[1:] - 0.97 * x[:-1]]) * np.hamming(410)
    power = np.abs(np.fft.rfft(x, 512)) ** 2
    mel = np.linspace(2595 * np.log10(1 + 130 / 700), 2595 * np.log10(1 + 6800 / 700), 27)
    corners = np.round(700 * (10 ** (mel / 2595) - 1) / 31.25) * 31.25
    hz = np.arange(257) * 31.25
    bands = [np.interp(hz, corners[k : k + 3], [0, 2 / (corners[k + 2] - corners[k]), 0]) for k in range(25)]
    energies = np.log(np.array(bands) @ power)
    expected = [
        (1 + 11 * np.sin(np.pi * k / 22))
        * (np.sqrt(2 / 25) if k else np.sqrt(1 / 25))
        * (energies * np.cos(np.pi * k * (np.arange(25) + 0.5) / 25)).sum()
        for k in range(13)
    ]
    np.testing.assert_allclose(
        cepstra(torch.from_numpy(waveform.astype(np.float32))[None])[0, 0], expected, rtol=1e-3, atol=1e-2
    )


@pytest.fixture(scope="module")
def decoded(speech: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """What pocketsphinx makes of the speech: cepstra (n, 13), and the phone (n,) of its decoder, -1 for none.

    Its noise removal, which `phones` does without, is switched off in a copy of the model's settings.
    """
    folder, logs = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("cepstra")
    for path in Path(pocketsphinx.get_model_path("en-us/en-us")).iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "feat.params").unlink()
    settings = Path(pocketsphinx.get_model_path("en-us/en-us/feat.params")).read_text(encoding="utf-8")
    assert "-remove_noise yes" in settings
    (folder / "feat.params").write_text(settings.replace("-remove_noise yes", "-remove_noise no"), encoding="utf-8")
    decoder = pocketsphinx.Decoder(
        hmm=str(folder),
        allphone=pocketsphinx.get_model_path("en-us/en-us-phone.lm.bin"),
        lm=None,
        dict=None,
        allphone_ci=True,
        lw=2.0,
        mfclogdir=str(logs),
        loglevel="FATAL",
    )
    decoder.start_utt()
    decoder.process_raw(_integers(speech).tobytes(), full_utt=True)
    decoder.end_utt()
    (log,) = logs.iterdir()
    table = np.frombuffer(log.read_bytes()[4:], ">f4").reshape(-1, 13)
    phones = np.full(len(table), -1)
    for segment in decoder.seg():
        if segment.word in PHONES:
            phones[segment.start_frame : segment.end_frame + 1] = PHONES.index(segment.word)
    return table, phones


def _integers(speech: np.ndarray) -> np.ndarray:
    return np.clip(np.round(speech * 32768), -32768, 32767).astype("<i2")


def test_cepstra_are_those_of_pocketsphinx(
    speech: np.ndarray, decoded: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    """But for the floor under the energies, which is lowered here to where theirs is."""
    monkeypatch.setattr(_sphinx, "_FLOOR", 1e-4)
    waveform = torch.from_numpy(_integers(speech).astype(np.float32) / 32768)[None]
    found = cepstra(waveform)[0].numpy()
    assert len(decoded[0]) - len(found) in (0, 1)  # theirs fills up the last window
    np.testing.assert_allclose(found, decoded[0][: len(found)], atol=0.03)


def test_the_best_phones_are_mostly_those_of_pocketsphinx_own_decoder(
    rows: np.ndarray, decoded: tuple[np.ndarray, np.ndarray]
):
    """It has a phone language model and durations besides, so not always. Chance: 2 %, and 7 % among the best three."""
    likely = np.square(rows).reshape(200, 42)[:-3]
    theirs = decoded[1][np.round((160 + 320 * np.arange(len(likely)) - 205) / 160).clip(0).astype(int)]
    best = np.argsort(likely, axis=1)[:, ::-1]
    known = theirs >= 0
    assert known.mean() > 0.9
    assert (best[known, 0] == theirs[known]).mean() > 0.3
    assert (best[known, :3] == theirs[known, None]).any(1).mean() > 0.6


def test_another_acoustic_model_is_refused(speech: np.ndarray):
    with pytest.raises(UserError, match=r"acoustic model of .* made with 000000000000"):
        Features(sha256="0" * 64).extract(speech)


def test_the_header_keeps_the_acoustic_model():
    features = parse("phones")
    assert len(to_json(features)["sha256"]) == 64
    assert from_json(json.loads(json.dumps(to_json(features)))) == features
    with pytest.raises(UserError, match="takes nothing"):
        parse("phones:de")


def _spoken() -> list[tuple[str, int]]:
    """What the synthesiser spoke: (symbol, posterior in its middle), the first four seconds."""
    phonemes = json.loads((SPEECH / "phonemes.json").read_text(encoding="utf-8"))["en_garden"]["phonemes"]
    pairs = [(now[1], int((now[0] + then[0]) / 2 * 50)) for now, then in itertools.pairwise(phonemes)]
    return [(symbol, middle) for symbol, middle in pairs if middle < 200]
