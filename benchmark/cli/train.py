"""Train the reference model on built datasets."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import progress, say
from chdtf.clip import Clip, read_clips
from disenttalk_ref.train import TrainConfig

_SAMPLES, _SAMPLE_FRAMES = 2, 150  # videos a time, and the most frames of each


@dataclasses.dataclass(frozen=True)
class Command:
    """Train the reference model on the train split of built datasets.

    Continues the run found in --out; the result is the same as without the interruption. Uses a GPU if there is one;
    several, on one machine or more, by: accelerate launch -m benchmark.cli train ..., and several CPUs by:
    torchrun --nproc-per-node=N -m benchmark.cli train ... --cpu
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        """Train, and say where the checkpoints lie."""
        from accelerate import PartialState

        from disenttalk_ref.train import train

        if not PartialState(cpu=self.config.cpu).is_main_process:
            train(self.config)
            return 0
        samples = self._samples if self.config.samples_every else None
        with progress("Training") as report:
            path = train(self.config, lambda done, total, shown: report(done, total, _line(shown)), samples)
        say(f"checkpoint: {path}")
        if (best := path.with_name("best.safetensors")).exists():
            say(f"best in validation: {best}")
        return 0

    def _samples(self, checkpoint: Path, step: int) -> None:
        """Short videos of clips that were not trained on, or of the first ones where there are none."""
        from chdtf.encode import write_video
        from chdtf.schema import SAMPLES_PER_FRAME
        from disenttalk_ref.generate.generator import Generator
        from disenttalk_ref.render.watermark import METADATA

        generator = Generator(checkpoint)
        for clip in self._shown():
            waveform = clip.waveform()[: _SAMPLE_FRAMES * SAMPLES_PER_FRAME]
            frames = generator.frames(clip.frames()[0], waveform, len(waveform) // SAMPLES_PER_FRAME)
            path = self.config.out / "samples" / f"step-{step:06d}_{clip.clip_id}.mp4"
            write_video(path, frames, waveform, metadata=METADATA)

    def _shown(self) -> list[Clip]:
        found = [
            clip for split in ("val", "test", "train") for root in self.config.data for clip in read_clips(root, split)
        ]
        return found[:_SAMPLES]


def _line(shown: dict[str, float]) -> str:
    names = ("noise", "sync", "windows_per_s", "data_wait")
    return ", ".join(f"{name} {shown[name]:.3g}" for name in names if name in shown)
