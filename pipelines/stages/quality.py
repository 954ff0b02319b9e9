"""Quality: scores of a finished clip. Nothing is refused here; `pipelines.judging.thresholds` judges afterwards."""

import dataclasses
import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from chdtf import syncnet, weights
from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.media import frames, read_frames, read_waveform
from chdtf.schema import FPS, NUM_LANDMARKS
from pipelines.scores import identity, pose, sharpness, sound, speaker, sync
from pipelines.scores.footage import Footage

SYNC, SPEAKER, IDENTITY = "syncnet_v2", "light_asd", "mobilefacenet"


@dataclasses.dataclass(frozen=True)
class Models:
    """What the scores need that is not here is None."""

    syncnet: Any = None
    light_asd: Any = None
    recogniser: identity.Recogniser | None = None


def _hash_of(name: str) -> str:
    """Hash of registered weights that are here, else ""."""
    found = weights.check(name)
    return found.weights.sha256 if found.state == "ok" else ""


def _why_without(name: str) -> str:
    if name == IDENTITY and importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed"
    entry = weights.get_weights(name)
    return f"{entry.filename} is missing (disentbench weights fetch {name})"


@dataclasses.dataclass(frozen=True)
class Stage:
    """Scores sound, picture and face; rejects nothing.

    Which weights are here when the stage is made is part of its fingerprint: fetching some makes this stage again, and
    no other. A score that cannot be computed is null, with its reason in `unscored`.
    """

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 2
    timeout_s: ClassVar[float] = 600.0  # a clip of 30 s with SyncNet on one slow core
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("speech_share", pa.float64()),  # of 30 ms frames, 0 to 1
            ("loudness_dbfs", pa.float64()),  # root mean square, -120 to 0
            ("silence_share", pa.float64()),  # of 30 ms frames below -50 dBFS, 0 to 1
            ("clipping_share", pa.float64()),  # of samples in runs at full scale, 0 to 1
            ("face_size_px", pa.float64()),  # median distance of forehead (10) and chin (152) in the 256 px clip
            ("yaw_median_deg", pa.float64()),  # median of the absolute yaw
            ("yaw_max_deg", pa.float64()),  # 95th percentile of the absolute yaw
            ("pitch_median_deg", pa.float64()),  # median of the absolute pitch
            ("pitch_max_deg", pa.float64()),  # 95th percentile of the absolute pitch
            ("sharpness", pa.float64()),  # variance of the Laplacian over variance, in the face; 0 and more
            ("av_offset_frames", pa.float64()),  # by SyncNet, at 25 fps; positive: the sound is early
            ("av_confidence", pa.float64()),  # by SyncNet, 0 and more
            ("active_speaker", pa.float64()),  # probability that the face speaks while speech is heard, 0 to 1
            ("identity_embedding", pa.list_(pa.float32())),  # (D,) of length 1
            ("sound_envelope", pa.list_(pa.float32())),  # (T,) dBFS of each frame's sound
            ("unscored", pa.string()),  # "column: reason; ..." for scores that are null
        ]
    )

    vad_mode: int = 2  # aggressiveness of WebRTC's voice activity detector, 0 to 3
    identity_frames: int = 8  # that the identity is the mean of, spread over the clip
    # an ONNX file of the ArcFace family (112 px, such as insightface's w600k_r50.onnx); "": MobileFaceNet
    identity_model: str = dataclasses.field(default="", metadata={"fingerprint": False})
    syncnet_hash: str = dataclasses.field(init=False)
    light_asd_hash: str = dataclasses.field(init=False)
    identity_hash: str = dataclasses.field(init=False)  # of the file, wherever it lies

    def __post_init__(self) -> None:
        if self.identity_model and not Path(self.identity_model).is_file():
            raise UserError(f"identity_model {self.identity_model!r}: no such file; give an ONNX file or leave it out")
        has_runtime = importlib.util.find_spec("onnxruntime") is not None
        if self.identity_model and not has_runtime:
            raise UserError("identity_model needs onnxruntime: pip install 'disentbench[onnx]'")
        found = sha256_file(Path(self.identity_model)) if self.identity_model else _hash_of(IDENTITY)
        object.__setattr__(self, "syncnet_hash", _hash_of(SYNC))
        object.__setattr__(self, "light_asd_hash", _hash_of(SPEAKER))
        object.__setattr__(self, "identity_hash", found if has_runtime else "")

    def load(self) -> Models:
        """The networks whose weights are here, on one thread of the CPU. Raises `UserError` when a file has changed."""
        if self.syncnet_hash or self.light_asd_hash:
            import torch

            torch.set_num_threads(1)  # workers fill the cores; two threads on a busy machine are slower than one
        recogniser = None
        if self.identity_model:
            recogniser = identity.load_recogniser(Path(self.identity_model), identity.ARCFACE)
        elif self.identity_hash:
            recogniser = identity.load_recogniser(_path_of(IDENTITY), identity.IMAGENET)
        speaks = None
        if self.light_asd_hash:
            from pipelines.networks.light_asd import load_light_asd

            speaks = load_light_asd(_path_of(SPEAKER))
        return Models(syncnet.load_syncnet(_path_of(SYNC)) if self.syncnet_hash else None, speaks, recogniser)

    def apply(self, row: Row, model: Models, workspace: Workspace) -> list[Row]:
        """Return the row with its scores. Memory: the clip's 256 px frames and their crops, 0.4 MB a frame."""
        waveform = read_waveform(workspace.resolve(row["audio"]))
        assert waveform is not None
        landmarks = np.asarray(row["landmarks"], np.float32).reshape(-1, NUM_LANDMARKS, 3)
        video = workspace.resolve(row["video"])
        # without networks a frame a second is all that is wanted, and most of the cost of decoding is spared
        shown = frames(video, 1.0) if model == Models() else read_frames(video)
        images = np.stack(list(shown))
        few = images if model == Models() else images[::FPS]
        count = min(len(few), len(landmarks[::FPS]))
        scores: Row = {
            "speech_share": sound.speech_share(waveform, self.vad_mode),
            "loudness_dbfs": sound.loudness_dbfs(waveform),
            "silence_share": sound.silence_share(waveform),
            "clipping_share": sound.clipping_share(waveform),
            "sound_envelope": sound.sound_envelope(waveform),
            "sharpness": sharpness.sharpness(few[:count], landmarks[::FPS][:count]),
            **pose.scores(landmarks),
        }
        clip = Footage(images, landmarks, waveform, sound.voiced_frames(waveform, len(landmarks), self.vad_mode))
        return [{**row, **scores, **self._learned(clip, model)}]

    def _learned(self, clip: Footage, model: Models) -> Row:
        """Scores by networks; null with a reason where one is missing or cannot say."""
        families: tuple[tuple[str, tuple[str, ...], Any, Callable[..., Row]], ...] = (
            (SYNC, sync.COLUMNS, model.syncnet, sync.scores),
            (SPEAKER, speaker.COLUMNS, model.light_asd, speaker.scores),
            (
                IDENTITY,
                identity.COLUMNS,
                model.recogniser,
                functools.partial(identity.scores, count=self.identity_frames),
            ),
        )
        out: Row = {}
        reasons = []
        for name, columns, network, compute in families:
            try:
                if network is None:
                    raise ValueError(_why_without(name))
                out |= compute(network, clip)
            except ValueError as why:
                out |= dict.fromkeys(columns)
                reasons += [f"{column}: {why}" for column in columns]
        return {**out, "unscored": "; ".join(reasons) or None}


def _path_of(name: str) -> Path:
    path = weights.find(name)
    if path is None:
        raise UserError(f"{weights.check(name).path}: was here when the build began; run the same command again")
    return path
