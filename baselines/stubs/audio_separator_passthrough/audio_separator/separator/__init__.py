"""Stands in for the package of the same name, whose separation network cannot be generated: sound passes unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


class Separator:
    """Writes the file it is given to `output_dir`, under the name that the package gives to vocals."""

    def __init__(self, output_dir: str | None = None, **unused: Any) -> None:
        self.output_dir = output_dir or "."
        self.model_instance: object | None = None

    def load_model(self, model_filename: str = "") -> None:
        """Nothing is loaded."""
        self.model_instance = self

    def separate(self, audio_file_path: str) -> list[str]:
        """Names of the files written, relative to `output_dir`."""
        source = Path(audio_file_path)
        name = f"{source.stem}_(Vocals)_unchanged{source.suffix}"
        Path(self.output_dir).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(source), str(Path(self.output_dir) / name))
        return [name]
