"""The reference model, video-driven: the clip itself with lips that the speech moves."""

import json
import sys
from pathlib import Path
from typing import Any

from chdtf.errors import UserError
from chdtf.media import read_waveform, write_video
from disenttalk_ref.generate.generator import Generator
from disenttalk_ref.generate.motion import SamplerConfig
from disenttalk_ref.render.watermark import METADATA


def main(job_file: Path) -> None:
    """Write one generated video for every item; a clip that shows no face costs itself alone."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    generator = Generator(Path(job["checkpoint"]), SamplerConfig(**job["settings"]))
    for item in job["items"]:
        try:
            _speak(generator, item)
        except UserError as error:
            Path(item["output"]).with_suffix(".error").write_text(str(error), encoding="utf-8")


def _speak(generator: Generator, item: dict[str, Any]) -> None:
    waveform = read_waveform(Path(item["audio"]))
    if waveform is None:
        raise UserError(f"{item['audio']}: no sound")
    dubbed = generator.prepare_video(Path(item["video"]), item["num_frames"], crop="whole")
    motion = generator.motion(waveform, item["num_frames"], item["seed"])
    frames = generator.dub(dubbed, motion)
    write_video(Path(item["output"]), frames, waveform, metadata=METADATA)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
