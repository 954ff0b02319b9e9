import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chdtf.errors import UserError
from disenttalk_ref.audio import from_json, key, parse, to_json
from disenttalk_ref.audio.chunks import Chunks
from disenttalk_ref.audio.extractors.hubert import Features, HubertRows
from disenttalk_ref.audio.pretrained import find_pretrained, import_transformers, load_network


def _noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(frames * 640).astype(np.float32) * 0.1


def _network(folder: Path) -> Any:
    return load_network(find_pretrained(str(folder)), "HubertModel")


@pytest.fixture(params=["base", "large"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_features_are_those_of_transformers_on_the_padded_normalised_waveform(folder: Path):
    """The extractor of transformers normalises, its network computes; two rows a frame, side by side."""
    features, waveform = parse(f"hubert:{folder}"), _noise(25) + 0.02
    normal = import_transformers("Wav2Vec2FeatureExtractor").from_pretrained(folder)(waveform, sampling_rate=16_000)
    padded = np.pad(np.asarray(normal["input_values"][0], np.float32), 40)
    with torch.inference_mode():
        expected = _network(folder)(torch.from_numpy(padded)[None]).last_hidden_state[0].numpy()
    assert expected.shape == (50, 16)
    found = features.extract(waveform)
    assert found.shape == (25, features.width)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.reshape(25, 32), atol=2e-4)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_a_layer_is_the_output_of_that_layer(folder: Path, layer: int):
    waveform = _noise(10)
    with torch.inference_mode():
        padded = torch.from_numpy(np.pad(waveform, 40))[None]
        network = _network(folder)
        outputs: list[torch.Tensor] = []
        network.encoder.layers[layer - 1].register_forward_hook(lambda *given: outputs.append(given[2]))
        last = network(padded).last_hidden_state[0]
    expected = last if layer == 3 else outputs[0][0]
    found = dataclasses.replace(Features(str(folder), layer).found(), normalise=False).extract(waveform)
    np.testing.assert_allclose(found.reshape(20, 16), expected.numpy(), atol=2e-4)
    assert parse(f"hubert:{folder}") == parse(f"hubert:{folder}@3")


def test_the_rows_of_a_frame_hear_samples_that_lie_symmetrically_about_it(large: Path):
    """Gradients of the convolutions in front tell to the sample what a row hears."""
    network = _network(large)
    waveform = torch.from_numpy(np.pad(_noise(6), 40)).requires_grad_()
    heard = network.feature_extractor(waveform[None])[0].T  # (12, channels)
    assert len(heard) == 12
    (gradient,) = torch.autograd.grad(heard[4:6].sum(), waveform)  # the two rows of frame 2
    samples = np.flatnonzero(gradient.numpy()) - 40
    assert (samples[0], samples[-1]) == (2 * 640 - 40, 3 * 640 + 39)
    assert (samples[0] + samples[-1]) / 2 == 2 * 640 + 319.5  # the middle of the frame


@pytest.mark.parametrize("frame", [4, 9, 15])
def test_where_a_tone_begins_the_features_change(folder: Path, frame: int):
    time = np.arange(20 * 640)  # two steady tones, whole periods to a row, so that rows of one tone are alike
    waveform = np.where(time < frame * 640, np.sin(time * 2 * np.pi / 40) * 1e-3, np.sin(time * 2 * np.pi / 32) * 0.1)
    rows = parse(f"hubert:{folder}").extract(waveform).reshape(40, 16)
    assert int(np.linalg.norm(np.diff(rows, axis=0), axis=1).argmax()) == 2 * frame - 1  # from 2 k - 1 to 2 k


def test_the_network_hears_the_future(large: Path):
    """It is bidirectional: what follows changes all rows. So it cannot be streamed."""
    waveform, features = _noise(20), parse(f"hubert:{large}")
    changed = waveform.copy()
    changed[-640:] = 0
    assert np.abs(features.extract(changed)[:10] - features.extract(waveform)[:10]).max() > 1e-3


@pytest.mark.parametrize("seed", [0, 1])
def test_chunks_agree_with_a_single_pass_and_show_no_seam(folder: Path, seed: int):
    network, padded = _network(folder), np.pad(_noise(300, seed), 40)
    padded[100_000:] *= 0.05  # parts of different loudness share the first layer's statistics
    whole = HubertRows(network, chunks=Chunks(700, 40, 10)).rows(padded)
    chunks = Chunks(200, 60, 15)
    parts = HubertRows(network, chunks=chunks).rows(padded)
    assert parts.shape == whole.shape == (600, 16)
    apart = np.sqrt(((parts - whole) ** 2).mean()) / whole.std()
    assert apart < 0.12  # an average over all rows, in random attention; the seams are what counts:
    jump, smooth = (np.linalg.norm(np.diff(rows, axis=0), axis=1) for rows in (parts, whole))
    seams = [row for start in chunks.starts(600)[1:] for row in range(start, start + chunks.overlap)]
    assert jump[seams].mean() < 1.02 * smooth[seams].mean()
    assert np.abs(jump - smooth).max() < 0.1 * smooth.mean()


def test_the_statistics_of_the_first_layer_are_gathered_in_blocks(base: Path, monkeypatch: pytest.MonkeyPatch):
    rows, padded = HubertRows(_network(base)), np.pad(_noise(30), 40)
    at_once = rows.rows(padded)
    monkeypatch.setattr("disenttalk_ref.audio.extractors.hubert._BLOCK_SAMPLES", 1003)
    np.testing.assert_allclose(rows.rows(padded), at_once, atol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 639, 640, 1600, 1919])
def test_rows_are_whole_frames_however_short(base: Path, samples: int):
    found = parse(f"hubert:{base}").extract(_noise(4)[:samples])
    assert found.shape == (samples // 640, 32)
    assert np.isfinite(found).all()


def test_silence_and_clipped_sound_give_numbers_and_nan_is_refused(folder: Path):
    features = parse(f"hubert:{folder}")
    for waveform in (np.zeros(6400, np.float32), np.sign(_noise(10))):
        assert np.isfinite(features.extract(waveform)).all()
    with pytest.raises(UserError, match="sample 7 "):
        features.extract(np.where(np.arange(6400) == 7, np.nan, 0).astype(np.float32))


def test_settings_are_complete_survive_a_header_and_name_the_weights(base: Path, large: Path):
    features = parse(f"hubert:{base}")
    assert isinstance(features, Features)
    assert (features.layer, features.hidden, features.normalise, features.revision) == (3, 16, False, "")
    assert features.sha256 == find_pretrained(str(base)).sha256
    assert from_json(json.loads(json.dumps(to_json(features)))) == features
    elsewhere = dataclasses.replace(features, model="elsewhere")
    assert key(elsewhere) == key(features)
    assert len({key(features), key(parse(f"hubert:{base}@2")), key(parse(f"hubert:{large}"))}) == 3


def test_other_weights_than_a_checkpoints_are_refused(base: Path, save_network: Any):
    trained = parse(f"hubert:{base}")
    other = dataclasses.replace(trained, model=str(save_network(seed=1)))
    with pytest.raises(UserError, match=rf"weights are \w+, the checkpoint.*{trained.sha256[:12]}.*disentbench train"):
        other.extract(_noise(1))


@pytest.mark.parametrize(
    ("rest", "match"),
    [("", "no network"), ("x/y@last", "no number of a layer"), ("{base}@4", "choose one of 1 to 3"), ("x@0", "x")],
)
def test_names_are_refused_with_what_to_write(base: Path, rest: str, match: str):
    with pytest.raises(UserError, match=match):
        parse("hubert:" + rest.format(base=base))


def test_networks_of_another_kind_or_rate_are_refused(save_network: Any):
    other = save_network()
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "wav2vec2"}))
    with pytest.raises(UserError, match="'wav2vec2', not hubert"):
        parse(f"hubert:{other}")
    (other / "config.json").write_text(json.dumps({**config, "conv_stride": [5, 2, 2, 2, 2, 2, 1]}))
    with pytest.raises(UserError, match="rows of 400 samples every 160"):
        parse(f"hubert:{other}")
