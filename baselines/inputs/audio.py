"""`audio`: the clip's speech as a 16-bit WAV, 16 kHz mono."""

import dataclasses
from pathlib import Path

from baselines.inputs import Input
from baselines.inputs.source import Source
from chdtf.media import encode_audio
from chdtf.schema import SAMPLE_RATE_HZ


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """S = 640 T samples, those of the dataset."""

    version = 1  # without an annotation: no option

    @property
    def suffix(self) -> str:
        """.wav."""
        return ".wav"

    def derive(self, source: Source, out: Path) -> None:
        """Write the sound."""
        out.write_bytes(encode_audio(source.waveform, SAMPLE_RATE_HZ, codec="wav"))
