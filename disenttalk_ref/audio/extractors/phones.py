"""Phone posteriors: how likely each of 42 English phones is, 50 times a second, by an acoustic model of many hours.

The acoustic model is the en-us one inside pocketsphinx's wheel (BSD licence, 7 MB, no download of its own). It is read
as documented by CMUSphinx, and computed here: phonetically tied Gaussian mixtures over 13 cepstra and their first and
second differences. The cepstra are pocketsphinx's own but for its noise removal, which needs the sound from the
start. Only its context-independent states are taken; no word, grammar or dictionary plays a part, so that
any language is heard through English phones. Footage of minutes cannot teach how sounds look in every voice; with
posteriors it only has to teach how phones look.

A row hears 33 ms beyond its frame, and for the mean cepstrum 3 s back. Nothing depends on the whole clip but loudness.
"""

import functools
import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.schema import SAMPLES_PER_FRAME
from disenttalk_ref.audio.extractors._sphinx import HOP_SAMPLES, WINDOW_SAMPLES, Acoustics, cepstra, read_acoustics
from disenttalk_ref.audio.loudness import checked, normalise_loudness

_NAMES = (
    "+NSN+ +SPN+ AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH SIL T TH UH UW V W Y Z "
    "ZH"
)
PHONES = tuple(_NAMES.split())  # in the order of the acoustic model; NSN is noise, SPN a noise of the speaker
ROWS = 2  # posteriors a video frame
_STRIDE = SAMPLES_PER_FRAME // ROWS // HOP_SAMPLES  # cepstral frames from one to the next
_NEAR_SAMPLES = 8 * HOP_SAMPLES  # heard to either side of a posterior, more than enough
_DIFFERENCE = 3  # cepstral frames to either side that the second difference takes
_PRIOR = (60.73, 3.38, 0.37, 2.40, -5.73, -0.26, -6.65, -0.44, -3.19, 1.51, -1.24, -1.18, -0.42)  # mean of speech
_QUIET = 40.0  # cepstral frames whose first number lies this much under the prior's are silence
_BLOCK = 32  # posteriors computed at a time: their 5,376 densities stay in the processor's cache


@dataclass(frozen=True)
class Features:
    """How speech becomes posteriors: float32 (T, 84), two rows of 42 phones a video frame, square roots, each 0 to 1.

    Log likelihoods of a state count `sharpness` times, as in decoders (neighbouring frames are not independent), and a
    phone counts as its best state. The square root keeps what is unlikely audible.
    """

    on_the_fly: ClassVar[bool] = False  # windows would lack the 3 s before them, and learn worse from it
    quick: ClassVar[bool] = True
    free: ClassVar[frozenset[str]] = frozenset()

    kind: str = "phones"
    sharpness: float = 0.4
    mean_frames: int = 300  # cepstral frames (10 ms) back that the mean cepstrum is taken over
    prior_frames: int = 100  # how much the mean of training speech counts in it
    sha256: str = ""  # of the acoustic model's files; filled by `of`

    def __post_init__(self) -> None:
        if self.kind != "phones":
            raise UserError(f"audio features {self.kind!r} are not phones; name extractors with parse")

    @classmethod
    def of(cls, rest: str) -> "Features":
        """The extractor that `phones` names.

        Raises `UserError` when something follows the name, or the acoustic model is not at hand.
        """
        if rest:
            raise UserError(f"audio features 'phones:{rest}': phones takes nothing behind its name; write phones")
        return cls(sha256=_model()[1])

    @property
    def name(self) -> str:
        """phones; the settings of the defaults."""
        return self.kind

    @property
    def parts(self) -> int:
        """Rows of posteriors side by side in the row of a video frame: 2."""
        return ROWS

    @property
    def width(self) -> int:
        """Features a video frame: 84."""
        return ROWS * len(PHONES)

    @property
    def context_samples(self) -> int:
        """Samples to either side of the frames that `rows` takes."""
        return self.mean_frames * HOP_SAMPLES + _NEAR_SAMPLES

    @property
    def reach_samples(self) -> int:
        """Samples beyond a frame that its row hears: 525, 33 ms."""
        last = SAMPLES_PER_FRAME - _STRIDE * HOP_SAMPLES // 2  # the centre of a frame's last posterior
        return last + _DIFFERENCE * HOP_SAMPLES + WINDOW_SAMPLES // 2 - SAMPLES_PER_FRAME

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Features of one clip, mono 16 kHz: (S,) -> float32 (S // 640, 84), after `normalise_loudness`.

        Raises `UserError` for NaN, when pocketsphinx is missing or its acoustic model is another one than that of
        `sha256`; `ValueError` for another shape.
        """
        normal = torch.from_numpy(normalise_loudness(checked(waveform))).to(device)
        with torch.inference_mode():
            found: np.ndarray = self.features(normal[None])[0].cpu().numpy()
        return found

    def features(self, waveforms: torch.Tensor, warp: float = 1.0) -> torch.Tensor:
        """Features of waveforms whose loudness is normalised already: (B, S) -> float32 (B, S // 640, 84).

        `warp` multiplies the frequencies of the mel filters (training augmentation).
        """
        frames = waveforms.shape[1] // SAMPLES_PER_FRAME
        around = (_NEAR_SAMPLES, _NEAR_SAMPLES)  # silence has no part in the mean: more of it would change nothing
        padded = torch.nn.functional.pad(waveforms[:, : frames * SAMPLES_PER_FRAME], around)
        return self._rows(padded, _NEAR_SAMPLES, frames, warp)

    def rows(self, waveforms: torch.Tensor, warp: float = 1.0) -> torch.Tensor:
        """Features of n whole frames with `context_samples` before and after them: (B, C + 640 n + C) -> (B, n, 84)."""
        frames = (waveforms.shape[1] - 2 * self.context_samples) // SAMPLES_PER_FRAME
        return self._rows(waveforms, self.context_samples, frames, warp)

    def _rows(self, waveforms: torch.Tensor, context: int, frames: int, warp: float) -> torch.Tensor:
        """Features of the frames that begin at sample `context`, a multiple of the hop."""
        if frames <= 0:
            return waveforms.new_zeros(len(waveforms), 0, self.width)
        # cepstral frame j is centred on sample 160 (j - before) of the frames; posterior i on 160 + 320 i
        before = context // HOP_SAMPLES - 2
        end = context + SAMPLES_PER_FRAME * frames + self.reach_samples
        heard = cepstra(waveforms[:, 2 * HOP_SAMPLES - WINDOW_SAMPLES // 2 : end], warp)
        wanted = before + 1 + _STRIDE * torch.arange(ROWS * frames, device=heard.device)
        acoustics = self._acoustics()
        x = self._differences(heard, wanted).flatten(0, 1)
        likely = torch.cat([acoustics.log_likelihood(part).amax(2) for part in x.split(_BLOCK)])
        posteriors = (likely * self.sharpness).softmax(1).sqrt()
        return posteriors.view(len(waveforms), frames, self.width)

    def _acoustics(self) -> Acoustics:
        acoustics, sha256 = _model()
        if self.sha256 and self.sha256 != sha256:
            raise UserError(
                f"audio features phones: the acoustic model of pocketsphinx is {sha256[:12]}, checkpoint or cache were "
                f"made with {self.sha256[:12]}; install that version of pocketsphinx, or train again with: "
                "disentbench train --audio phones"
            )
        return acoustics

    def _differences(self, heard: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Cepstra less their mean, first and second differences: (B, n, 13) at (m,) -> (B, m, 3, 13)."""

        def at(offset: int) -> torch.Tensor:
            return heard[:, wanted + offset]

        first = at(2) - at(-2)
        second = (at(3) - at(-1)) - (at(1) - at(-3))
        return torch.stack([at(0) - self._mean(heard, wanted), first, second], 2)

    def _mean(self, heard: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Mean of the last `mean_frames` cepstra that are not silence, and of the prior: (B, m, 13)."""
        prior = heard.new_tensor(_PRIOR)
        counted = (heard[..., :1] > prior[0] - _QUIET).to(heard)
        sums = torch.cat([heard * counted, counted], 2).double().cumsum(1)
        sums = torch.nn.functional.pad(sums, (0, 0, 1, 0))  # before the first
        last = sums[:, wanted + 1] - sums[:, (wanted + 1 - self.mean_frames).clamp_min(0)]
        total, count = last[..., :-1].to(heard), last[..., -1:].to(heard)
        return (total + self.prior_frames * prior) / (count + self.prior_frames)


@functools.lru_cache(maxsize=1)
def _model() -> tuple[Acoustics, str]:
    """The acoustic model inside pocketsphinx's wheel, and a hash of its files."""
    try:
        pocketsphinx = importlib.import_module("pocketsphinx")
    except ImportError as error:
        raise UserError("audio features phones: pocketsphinx is not installed; pip install pocketsphinx") from error
    folder = Path(pocketsphinx.get_model_path("en-us/en-us"))
    acoustics = read_acoustics(folder)
    digest = hashlib.sha256()
    for name in ("mdef", "means", "sendump", "variances"):
        digest.update((folder / name).read_bytes())
    return acoustics, digest.hexdigest()
