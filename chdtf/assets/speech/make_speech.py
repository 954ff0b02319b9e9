"""Makes the sample's speech: one Ogg Opus file a sentence, and phonemes.json with the time of every phoneme.

For development only: it needs the espeak-ng library (1.51 made the committed files; another version may speak
differently). Run `python chdtf/assets/speech/make_speech.py`; the sample needs only the files that it leaves.
"""

import ctypes
import ctypes.util
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent
RATE_HZ = 24_000
BIT_RATE = 32_000


@dataclass(frozen=True)
class Sentence:
    """What is said, and how. `pitch` is 0-99, `words_per_minute` as espeak-ng counts them."""

    name: str
    language: str  # BCP 47
    voice: str
    text: str
    words_per_minute: int = 160
    pitch: int = 50


SENTENCES = (
    Sentence("en_weather", "en", "en-us+f2", "Good morning. Tomorrow will be warm and sunny, with a mild breeze from "
             "the west.", 165, 55),
    Sentence("en_counting", "en", "gmw/en+f4", "Let me count the boats: one, two, three, four, five. "
             "And the last one makes six.", 170, 48),
    Sentence("en_garden", "en", "en-us+f3", "My neighbour planted apple trees behind the barn. By May, the garden was "
             "full of blossoms and bees.", 165, 42),
    Sentence("en_bridge", "en", "en-us+f5", "Welcome aboard. Our next stop is the main bridge. "
             "Please remember your umbrella.", 160, 45),
    Sentence("cmn_weather", "cmn", "sit/cmn-Latn-pinyin+f2", "大家早上好。今天天气很好，晚上有小雨，请带上雨伞。",
             200, 55),
    Sentence("cmn_counting", "cmn", "sit/cmn-Latn-pinyin+f3", "一，二，三，四，五，六，七，八。八本书都放在门旁边。",
             205, 60),
    Sentence("cmn_market", "cmn", "sit/cmn-Latn-pinyin+f4", "妈妈早上去市场，买了苹果、葡萄和面包。爸爸在家泡茶。",
             200, 46),
    Sentence("cmn_river", "cmn", "sit/cmn-Latn-pinyin+f5", "春天河边很漂亮，许多朋友在这里跑步、拍照、听音乐。",
             200, 42),
    Sentence("es_morning", "es", "es+f2", "Buenos días a todos. Hoy vamos a hablar de los pájaros y de las montañas "
             "que vemos desde la ventana.", 170, 52),
    Sentence("es_bread", "es", "es-419+f4", "En mi pueblo, la panadería abre a las seis. Por la mañana compramos pan "
             "y mermelada.", 165, 44),
    Sentence("fr_sea", "fr", "roa/fr+f3", "Bonjour à tous. Ce matin, le bateau part pour la petite île. "
             "On peut voir beaucoup de poissons.", 155, 50),
    Sentence("de_bakery", "de", "de+f2", "Guten Abend. Morgen Mittag besuchen wir meine Oma am Bodensee. Wir bringen "
             "Brot und Butter mit.", 165, 50),
)  # fmt: skip

_PHONEME = 7  # espeakEVENT_PHONEME
_SENTENCE_END = 5


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """espeak-ng's C interface: sentences become samples and phoneme events."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise SystemExit("espeak-ng's library is not installed (Debian: apt install espeak-ng)")
        self._library: Any = ctypes.CDLL(name)
        synchronous, phoneme_events, ipa = 2, 1, 2
        self.rate_hz: int = self._library.espeak_Initialize(synchronous, 0, None, phoneme_events | ipa)
        self._samples: list[np.ndarray] = []
        self._events: list[tuple[float, str]] = []
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _PHONEME:
                self._events.append((event.sample / self.rate_hz, bytes(event.string).decode("utf-8", "ignore")))
            index += 1
        return 0

    def speak(self, sentence: Sentence) -> tuple[np.ndarray, list[tuple[float, str]]]:
        """(S,) float32 at `rate_hz` and the phonemes as (start_s, IPA name); an empty name is a pause."""
        self._samples, self._events = [], []
        if self._library.espeak_SetVoiceByName(sentence.voice.encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {sentence.voice}")
        rate, pitch = 1, 3
        self._library.espeak_SetParameter(rate, sentence.words_per_minute, 0)
        self._library.espeak_SetParameter(pitch, sentence.pitch, 0)
        text = sentence.text.encode()
        utf8 = 1
        self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, utf8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._samples).astype(np.float32) / 32768, self._events


def _frames(waveform: np.ndarray, rate_hz: int) -> Iterator[av.AudioFrame]:
    for begin in range(0, len(waveform), 1024):
        frame = av.AudioFrame.from_ndarray(waveform[None, begin : begin + 1024], format="flt", layout="mono")
        frame.sample_rate = rate_hz
        frame.pts = begin
        frame.time_base = Fraction(1, rate_hz)
        yield frame


def write_opus(path: Path, waveform: np.ndarray, rate_hz: int) -> None:
    """Encode mono float32 (S,) as Ogg Opus."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        stream.bit_rate = BIT_RATE
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        for frame in _frames(waveform, rate_hz):
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        for part in resampler.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def main() -> None:
    """Make every file."""
    espeak = Espeak()
    out: dict[str, Any] = {}
    for sentence in SENTENCES:
        waveform, events = espeak.speak(sentence)
        peak = float(np.abs(waveform).max())
        write_opus(FOLDER / f"{sentence.name}.ogg", waveform * (0.7 / peak), espeak.rate_hz)
        out[sentence.name] = {
            "language": sentence.language,
            "voice": sentence.voice,
            "text": sentence.text,
            "duration_s": round(len(waveform) / espeak.rate_hz, 4),
            "phonemes": [[round(start_s, 4), name] for start_s, name in events],
        }
        log.info("%s %.2f s", sentence.name, len(waveform) / espeak.rate_hz)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in out.items())
    (FOLDER / "phonemes.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
