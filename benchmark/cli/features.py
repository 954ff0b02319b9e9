"""Compute the audio features of built datasets once, for training with HuBERT."""

import dataclasses
from pathlib import Path

from benchmark.cli._console import progress, say


@dataclasses.dataclass(frozen=True)
class Command:
    """Compute the audio features of every clip of built datasets, and keep them in DATASET/features.

    A run that was stopped continues when the same command is given again; clips whose sound and extractor are as before
    are kept. Training with the same --audio reads them.
    """

    data: tuple[Path, ...]
    """Datasets made by disentbench build."""
    audio: str = "hubert:facebook/hubert-base-ls960"
    """The extractor: hubert:<hub id or folder>, with @9 behind it for layer 9 of the network. Nothing is downloaded:
    hf download ID puts a network where it is found. logmel needs no cache."""
    device: str = "cpu"
    """cpu, or a CUDA device such as cuda:0."""

    def run(self) -> int:
        """Compute, and say where they lie."""
        from disenttalk_ref.audio import parse
        from disenttalk_ref.audio.cache import write

        features = parse(self.audio)
        for root in self.data:
            with progress("Features") as report:
                made = write(root, features, self.device, report)
            say(f"{made.folder}: {made.computed} clips computed, {made.kept} kept; {features.width} numbers a frame")
        return 0
