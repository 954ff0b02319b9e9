"""Size of the network and which of the paper's parts it has."""

import itertools
from dataclasses import dataclass

from chdtf.morphable.head_motion import NUM_POSE
from chdtf.schema import NUM_EXPRESSION

REGIONS = ("eye", "lip", "global")  # R of Eq. 4, in the order of latents and channels


@dataclass(frozen=True)
class ModelConfig:
    """Size of the network; `PRESETS` names two. The booleans are four of Table IV's ablations: False takes a part away.

    Latents are ordered eye, lip, global, pose. Head pose is no region of Eq. 4: its latents travel with the global
    ones. Raises `ValueError` for sizes that do not fit together.
    """

    eye_latent: int = 8  # K_eye of the paper: all that the region has
    lip_latent: int = 13  # K_lip
    global_latent: int = 43  # N - K_eye - K_lip
    eye_width: int = 32
    lip_width: int = 64
    global_width: int = 32
    blocks: int = 4
    heads: int = 4
    local_window: int = 5  # k of the paper
    audio_width: int = 320  # A: that of the extractor
    audio_lookahead_frames: int = 4  # lips move before the sound that they make is heard
    audio_context_frames: int = 50
    dropout: float = 0.1
    pose_latent: int = NUM_POSE  # 0: the head is not generated, and motion is expression alone
    temporal: bool = True  # Eq. 5; without: F_temp = F_spatial
    disentangle: bool = True  # Eq. 1-2; without: one region of all dimensions, in codec and attention
    hierarchical: bool = True  # Eq. 4; without: one attention over all channels, the codec keeps its regions
    local: bool = True  # F_conv of Eq. 6; without: F_final = W_o F_attn + b_o

    def __post_init__(self) -> None:
        if not 0 <= self.pose_latent <= NUM_POSE:
            raise ValueError(f"pose_latent {self.pose_latent} is not between 0 and {NUM_POSE}")
        if any(width % self.heads for width in self.widths):
            raise ValueError(f"widths {self.widths} cannot be shared by {self.heads} heads")
        if self.local_window % 2 == 0:
            raise ValueError(f"local_window {self.local_window} has no middle frame; choose an odd one")

    @property
    def latents(self) -> tuple[int, ...]:
        """Latent dimensions of each of `REGIONS`."""
        return (self.eye_latent, self.lip_latent, self.global_latent)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each of `REGIONS`."""
        return (self.eye_width, self.lip_width, self.global_width)

    @property
    def width(self) -> int:
        """D, all regions together."""
        return sum(self.widths)

    @property
    def num_latent(self) -> int:
        """K: regions and pose."""
        return sum(self.latents) + self.pose_latent

    @property
    def num_motion(self) -> int:
        """M, numbers a frame of motion: expression 64, and head pose 6 unless `pose_latent` is 0."""
        return NUM_EXPRESSION + (NUM_POSE if self.pose_latent else 0)

    @property
    def latent_slices(self) -> dict[str, slice]:
        """Where each region lies among the latents, and "pose"; all of expression is "global" without `disentangle`."""
        names = (*(REGIONS if self.disentangle else REGIONS[-1:]), "pose")
        counts = (*(self.latents if self.disentangle else (sum(self.latents),)), self.pose_latent)
        edges = [0, *itertools.accumulate(counts)]
        return {name: slice(edges[i], edges[i + 1]) for i, name in enumerate(names) if counts[i]}

    @property
    def streams(self) -> tuple[tuple[int, int], ...]:
        """(latents, channels) of each part that enters the network apart; pose goes with the last."""
        if not self.disentangle:
            return ((self.num_latent, self.width),)
        eye, lip, rest = self.latents
        return tuple(zip((eye, lip, rest + self.pose_latent), self.widths, strict=True))

    @property
    def attended(self) -> tuple[int, ...]:
        """Channels of each attention of Eq. 4."""
        return self.widths if self.disentangle and self.hierarchical else (self.width,)

    def codec_blocks(self, regions: tuple[tuple[int, ...], ...]) -> list[tuple[tuple[int, ...], int]]:
        """(motion dimensions, latents) of each block of the codec; `regions` holds those of `REGIONS`."""
        pose = [(tuple(range(NUM_EXPRESSION, NUM_EXPRESSION + NUM_POSE)), self.pose_latent)] if self.pose_latent else []
        if not self.disentangle:
            return [(tuple(sorted(i for region in regions for i in region)), sum(self.latents)), *pose]
        return [*zip(regions, self.latents, strict=True), *pose]


PRESETS = {
    "tiny": ModelConfig(
        eye_latent=8, lip_latent=8, global_latent=12, eye_width=32, lip_width=48, global_width=16, blocks=3
    ),
    "paper": ModelConfig(eye_width=128, lip_width=256, global_width=128, blocks=8, heads=8),
}
