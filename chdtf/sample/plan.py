"""What the bundled sample consists of: twelve videos that the pipeline should accept and some that it should refuse."""

import dataclasses

from chdtf.sample.canvas import Framing

NTSC = 30_000 / 1_001
PUBLIC_DOMAIN = "public-domain"


@dataclasses.dataclass(frozen=True)
class SampleVideo:
    """One source video. `faces` stand side by side; each speaks the speech of the same place."""

    video_id: str
    speaker_id: str
    language: str  # BCP 47
    split: str
    speeches: tuple[str, ...]  # names in assets/speech/phonemes.json
    faces: tuple[Framing, ...]  # none: a landscape
    seed: int
    fps: float = 25.0
    num_blinks: int = 3
    lead_s: float = 0.4  # before the lips begin to move
    tail_s: float = 0.4
    longest_s: float = 60.0
    audio_rate_hz: int = 48_000
    audio_offset_frames: int = 0  # the sound comes this many frames (of this video's own rate) after the lips
    silent: bool = False  # the sound is digital silence
    expected: str = "accepted"  # or the reason of the reject


def _collins(width: int, height: int, centre_x: float, top: float, zoom: float, **light: float | bool) -> Framing:
    return Framing("eileen_collins", width, height, centre_x, top, zoom, **light)  # type: ignore[arg-type]


def _hopper(width: int, height: int, centre_x: float, top: float, zoom: float, **light: float | bool) -> Framing:
    return Framing("grace_hopper", width, height, centre_x, top, zoom, **light)  # type: ignore[arg-type]


def _train(
    speech: str,
    seed: int,
    framing: Framing,
    fps: float = 25.0,
    num_blinks: int = 3,
    lead_s: float = 0.4,
    audio_rate_hz: int = 48_000,
    audio_offset_frames: int = 0,
) -> SampleVideo:
    return SampleVideo(
        video_id=f"collins_{speech}",
        speaker_id="eileen_collins",
        language=speech.split("_", maxsplit=1)[0],
        split="train",
        speeches=(speech,),
        faces=(framing,),
        seed=seed,
        fps=fps,
        num_blinks=num_blinks,
        lead_s=lead_s,
        audio_rate_hz=audio_rate_hz,
        audio_offset_frames=audio_offset_frames,
    )


def _test(speech: str, seed: int, framing: Framing, fps: float = 25.0, num_blinks: int = 3) -> SampleVideo:
    return SampleVideo(
        video_id=f"hopper_{speech}",
        speaker_id="grace_hopper",
        language=speech.split("_", maxsplit=1)[0],
        split="test",
        speeches=(speech,),
        faces=(framing,),
        seed=seed,
        fps=fps,
        num_blinks=num_blinks,
    )


ACCEPTED = (
    _train("en_weather", 101, _collins(854, 480, 246, -4, 1.78)),
    _train("en_counting", 102, _collins(640, 640, 228, -12, 2.30, mirror=True, warmth=0.6), num_blinks=4),
    _train("en_garden", 103, _collins(720, 576, 222, -12, 2.10, gamma=0.85), fps=NTSC),
    _train("cmn_weather", 104, _collins(640, 480, 232, -10, 1.90, warmth=-0.6, gamma=0.9), num_blinks=2, lead_s=0.6),
    _train("cmn_counting", 105, _collins(854, 480, 256, -4, 1.70, mirror=True), fps=30.0, num_blinks=2),
    _train("cmn_market", 106, _collins(640, 640, 224, -10, 2.45, side_light=0.25), audio_offset_frames=3),
    _train("es_morning", 107, _collins(720, 480, 214, -10, 2.05, gamma=1.12, mirror=True), audio_rate_hz=44_100),
    _train("fr_sea", 108, _collins(640, 640, 236, -12, 2.20, warmth=0.3, gamma=0.95), audio_offset_frames=-2),
    _test("en_bridge", 201, _hopper(640, 640, 256, -20, 1.25)),
    _test("cmn_river", 202, _hopper(720, 576, 256, -20, 1.41, mirror=True), num_blinks=2),
    _test("es_bread", 203, _hopper(600, 600, 258, -18, 1.20, gamma=0.88, warmth=-0.3), fps=30.0),
    _test("de_bakery", 204, _hopper(640, 640, 254, -19, 1.30, gamma=0.93, side_light=-0.2), num_blinks=4),
)

REFUSED = (
    SampleVideo(
        video_id="two_faces",
        speaker_id="collins_and_hopper",
        language="en",
        split="train",
        speeches=("en_weather", "de_bakery"),
        faces=(_collins(480, 480, 230, -10, 1.75), _hopper(480, 480, 262, -18, 0.96)),
        seed=301,
        longest_s=4.0,
        num_blinks=2,
        expected="several_faces",
    ),
    SampleVideo(
        video_id="no_face",
        speaker_id="nobody",
        language="fr",
        split="train",
        speeches=("fr_sea",),
        faces=(),
        seed=302,
        longest_s=4.0,
        num_blinks=0,
        expected="no_face",
    ),
    SampleVideo(
        video_id="silence",
        speaker_id="eileen_collins",
        language="es",
        split="train",
        speeches=("es_bread",),
        faces=(_collins(640, 480, 230, -10, 1.90, gamma=0.92),),
        seed=303,
        longest_s=4.0,
        num_blinks=2,
        silent=True,
        expected="silence",
    ),
)

PLAN = ACCEPTED + REFUSED
