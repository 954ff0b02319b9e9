"""What the three SyncNet metrics share, with a fake encoder; the network itself is in tests/chdtf/test_syncnet.py."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmark import lip_sync
from benchmark.footage import Footage, Unscored
from benchmark.lip_sync import LipSync, Networks
from benchmark.metrics import av_offset, lse_c, lse_d
from benchmark.score import identity
from chdtf import syncnet, weights
from chdtf.schema import SAMPLES_PER_FRAME
from chdtf.weights import WeightsStatus

METRICS = (lse_c.Metric, lse_d.Metric, av_offset.Metric)


def sound(num_frames: int) -> np.ndarray:
    """Noise whose loudness changes from frame to frame, float32 in [-1, 1]."""
    random = np.random.default_rng(0)
    loudness = np.repeat(np.exp(random.uniform(-6, -1, num_frames)), SAMPLES_PER_FRAME)
    return (loudness * random.uniform(-1, 1, len(loudness))).astype(np.float32)


class Loudness:
    """Features are the loudness of the five frames: read from the cepstra, and from the brightness of the lips."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def lips(self, crops: np.ndarray) -> np.ndarray:
        self.seen.append(crops)
        levels = crops.mean(axis=(1, 2, 3), dtype=np.float32) - 130
        return np.lib.stride_tricks.sliding_window_view(levels, 5)

    def sounds(self, cepstra: np.ndarray) -> np.ndarray:
        return 10 * cepstra[:, 0].reshape(-1, 5, 4).mean(axis=2) - 130


def lit_by(waveform: np.ndarray, size: int = 256) -> np.ndarray:
    """Frames as bright as the sound is loud."""
    energy = np.pad(syncnet.mfcc(waveform)[0], (0, 8), mode="edge")[: len(waveform) // 160]
    level = np.clip(np.round(10 * energy.reshape(-1, 4).mean(axis=1)), 0, 255).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (len(level), size, size, 3)).copy()


@pytest.fixture
def clip(footage: Callable[..., Footage]) -> Footage:
    """60 frames with sound that is 4 frames early, and a face."""
    landmarks = np.random.default_rng(0).uniform(60, 200, (60, 478, 3))
    return footage(lit_by(sound(60)), np.roll(sound(60), -4 * SAMPLES_PER_FRAME), landmarks)


def test_three_metrics_take_one_pass_of_the_network(clip: Footage) -> None:
    encoder = Loudness()
    (confidence,), (distance,), (offset,) = (made().measure(clip, None, encoder) for made in METRICS)
    assert len(encoder.seen) == 1
    assert offset[0] == 4
    np.testing.assert_array_equal(distance, confidence[[1, 0, 2]])
    np.testing.assert_array_equal(offset, confidence[[2, 0, 1]])
    lse_c.Metric(vshift=10).measure(clip, None, encoder)
    assert len(encoder.seen) == 2, "other options, other numbers"


def test_a_failure_is_found_once(clip: Footage) -> None:
    calls = []
    without = dataclasses.replace(clip, _kept={})
    without.__dict__["landmarks"] = np.full((60, 478, 3), np.nan)
    clip_once = without.once
    object.__setattr__(
        without, "once", lambda name, compute: clip_once(name, lambda: (calls.append(name), compute())[1])
    )
    for made in METRICS:
        with pytest.raises(Unscored, match="no_face: found in 0 of 60 frames"):
            made().measure(without, None, Loudness())
    assert len(calls) == 1


def test_short_gaps_are_filled_and_long_ones_refused(footage: Callable[..., Footage]) -> None:
    landmarks = np.random.default_rng(0).uniform(60, 200, (60, 478, 3))
    landmarks[[0, 20, 21, 59]] = np.nan
    frames = np.zeros((60, 256, 256, 3), np.uint8)
    assert np.isfinite(lse_c.Metric().measure(footage(frames, sound(60), landmarks), None, Loudness())).all()
    landmarks[10:36] = np.nan
    with pytest.raises(Unscored, match="no_face: missing in 26 frames in a row"):
        lse_c.Metric().measure(footage(frames, sound(60), landmarks), None, Loudness())


@pytest.mark.parametrize("made", METRICS)
def test_the_shortest_clip_meets_sound_at_every_shift(made: type[LipSync], footage: Callable[..., Footage]) -> None:
    landmarks = np.random.default_rng(0).uniform(60, 200, (21, 478, 3))
    frames = np.zeros((21, 256, 256, 3), np.uint8)
    assert made().measure(footage(frames, sound(21), landmarks), None, Loudness()).shape == (1, 3)
    with pytest.raises(Unscored, match="too_short: 20 frames and 13440 samples give 15 windows, more than 15 needed"):
        made().measure(footage(frames[:20], sound(21), landmarks[:20]), None, Loudness())
    with pytest.raises(Unscored, match="too_short: 21 frames and 13000 samples give 15 windows"):
        made().measure(footage(frames, sound(21)[:13_000], landmarks), None, Loudness())
    with pytest.raises(Unscored, match="no_audio"):
        made().measure(footage(frames, None, landmarks), None, Loudness())


def test_whole_frames_when_told_so(footage: Callable[..., Footage]) -> None:
    encoder = Loudness()
    frames = lit_by(sound(40))
    frames[:, :128] //= 2
    lse_c.Metric(crop="none").measure(footage(frames, sound(40)), None, encoder)
    np.testing.assert_array_equal(encoder.seen[0][7], cv2.resize(frames[7], (224, 224)))


class KnownFaces:
    """A detector that was told where the faces are."""

    def __init__(self, boxes: list[list[list[float]]]) -> None:
        self.boxes = iter(boxes)

    def detect_faces(self, image: np.ndarray, conf_th: float, scales: list[float]) -> np.ndarray:
        assert (conf_th, scales) == (0.9, [0.25])
        return np.array(next(self.boxes)).reshape(-1, 5)


def test_s3fd_scores_the_longest_track_with_its_own_sound(footage: Callable[..., Footage]) -> None:
    """A face from frame 10 on, missed in three frames; before it another, shorter one."""
    early, late = [30.0, 30, 150, 150, 0.95], [90.0, 60, 210, 180, 0.99]
    boxes = [[early] if i < 25 else [] if 40 <= i < 43 else [late] for i in range(80)]
    waveform = sound(80)
    frames = lit_by(waveform)
    shifted = np.roll(waveform, 3 * SAMPLES_PER_FRAME)
    encoder = Loudness()
    metric = av_offset.Metric(crop="s3fd", min_track_frames=20)
    found = metric.measure(footage(frames, shifted), None, Networks(encoder, KnownFaces(boxes)))
    assert found[0, 0] == -3, "frames 25 to 79 are compared with the sound of these frames"
    assert encoder.seen[0].shape == (54, 224, 224, 3)
    expected = syncnet.box_crops(frames[25:], np.tile([90.0, 60, 210, 180], (55, 1)))
    np.testing.assert_array_equal(encoder.seen[0], expected[:54])


def test_s3fd_without_a_track_says_so(footage: Callable[..., Footage]) -> None:
    small = [[[100.0, 100, 180, 180, 0.95]]] * 60
    for boxes in (small, [[]] * 60):
        with pytest.raises(Unscored, match="no_face: no track of more than 50 frames and 100 px by S3FD"):
            lse_c.Metric(crop="s3fd").measure(
                footage(np.zeros((60, 256, 256, 3), np.uint8), sound(60)), None, Networks(Loudness(), KnownFaces(boxes))
            )


def test_options_are_recorded_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    said = identity(lse_d.Metric(crop="s3fd", vshift=10))
    assert '"crop": "s3fd", "vshift": 10, "max_gap_frames": 25, "min_track_frames": 50' in said
    assert '"sfd_face": "missing"' in said
    assert '"scenedetect": "0.6' in said
    assert "sfd_face" not in identity(lse_d.Metric())
    with pytest.raises(ValueError, match="crop is 'face'; one of landmarks, none, s3fd"):
        lse_c.Metric(crop="face")
    with pytest.raises(ValueError, match="vshift is 0; at least 1"):
        lse_c.Metric(vshift=0)


def test_without_weights_they_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    for made in METRICS:
        with pytest.raises(Unscored) as caught:
            made().load()
        assert caught.value.reason == "weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2"
    (tmp_path / weights.WEIGHTS["syncnet_v2"].filename).write_bytes(b"not it")
    with pytest.raises(Unscored, match=r"weights_mismatch: syncnet_v2\.model: sha256 is .{64}, expected 961e8696"):
        lse_c.Metric().load()


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """What is loaded, with files that are taken for the right ones; no network is made."""
    files: list[Path] = []
    (tmp_path / "syncnet_v2.model").touch()

    def ok(name: str) -> WeightsStatus:
        path = tmp_path / weights.WEIGHTS[name].filename
        if path.exists():
            return WeightsStatus(weights.WEIGHTS[name], path, "ok")
        return WeightsStatus(weights.WEIGHTS[name], path, "missing", f"run: disentbench weights fetch {name}")

    def load(path: Path) -> Any:
        files.append(path)
        return Loudness()

    monkeypatch.setattr(weights, "check", ok)
    monkeypatch.setattr(syncnet, "load_syncnet", load)
    monkeypatch.setattr("benchmark.face_tracks.load_s3fd", load)
    yield files
    lip_sync._loaded.cache_clear()


def test_one_network_is_loaded_for_all_three(loaded: list[Path], tmp_path: Path) -> None:
    networks = [made().load() for made in METRICS]
    assert len({id(network.encoder) for network in networks}) == 1
    assert networks[0].detector is None
    assert loaded == [tmp_path / "syncnet_v2.model"]


def test_s3fd_needs_its_own_file(loaded: list[Path], tmp_path: Path) -> None:
    with pytest.raises(Unscored, match=r"weights_missing: sfd_face\.pth; run: disentbench weights fetch sfd_face"):
        lse_c.Metric(crop="s3fd").load()
    (tmp_path / "sfd_face.pth").touch()
    assert lse_c.Metric(crop="s3fd").load().detector is not None
    assert [path.name for path in loaded][-1] == "sfd_face.pth"
