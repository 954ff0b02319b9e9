"""Make one video: a portrait, or a person in a video, speaks what a sound file says, with the reference model."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from benchmark.cli._generating import Plan


@dataclasses.dataclass(frozen=True)
class Command:
    """Make one 256x256 video with sound, marked as synthetic: a face speaks what an audio file says.

    From a picture, or a video's first frame, head motion and blinks are generated ("Ours-image"); with --video-driven
    the video keeps its own and gets new lips ("Ours-video"). Eyes and head motion can come from other videos, whatever
    their frame rate; where one is shorter than the speech, it plays forward and backward.
    """

    image: Path
    """The source: a picture of a face (PNG, JPEG, WebP, ...; the largest face is taken), or a video."""
    audio: Path
    """Speech: any audio or video file."""
    out: Path = Path("generated.mp4")
    """Where to write the video, .mp4."""
    video_driven: bool = False
    """Keep the source video's head motion, eyes and background, and exchange its lips alone."""
    eyes_from: Annotated[Path | None, tyro.conf.arg(metavar="VIDEO")] = None
    """Eyes of the person in this video, about that person's neutral face."""
    pose_from: Annotated[Path | None, tyro.conf.arg(metavar="VIDEO")] = None
    """Head motion of the person in this video, from the pose that the source shows."""
    lip_weight: float = 1.0
    """Factor of the lips' motion about the closed mouth: 0 keeps it closed, 1.2 opens it a fifth wider; up to 3."""
    pose: Literal["generated", "still"] = "generated"
    """Head motion when no video gives it."""
    pose_scale: float = 1.0
    """Factor of the head motion, generated or of --pose-from; 0 to 3."""
    crop: Literal["auto", "face", "whole"] = "auto"
    """Which square of the source is shown. auto: around the face, or all of a square picture that the face fills."""
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A trained checkpoint. Default: the committed one."""
    renderer: str = "mesh_warp"
    """What draws a picture's frames: a module of disenttalk_ref/render. --video-driven always warps."""
    sampler: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """A module of disenttalk_ref/diffusion/samplers. Default: that of the sampler configuration."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """How many times the network is asked. Default: that of the sampler configuration."""
    guidance: Annotated[float | None, tyro.conf.arg(metavar="FLOAT")] = None
    """s of Eq. 9, 0 to 10; 1: none. Default: that of the sampler configuration."""
    windows_at_once: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Windows that are denoised together: fewer take less memory. Default: that of the sampler configuration."""
    seed: int = 0
    """Seed of the noise that sampling starts from."""
    device: str = "cpu"
    """Where the network computes: cpu, cuda, cuda:1, mps."""
    watermark: bool = False
    """Draw a visible mark into every frame. The tag "synthetic" in the file's metadata is always there."""

    def run(self) -> int:
        """Generate and write the video."""
        from benchmark.cli import _generating

        _generating.check(self)
        with _generating.memory_guarded(self.device):
            plan: Plan = _generating.prepare(self)
            _generating.write(self, plan)
        return 0
