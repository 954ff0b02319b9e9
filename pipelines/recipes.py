"""The order of stages, stated once."""

from pathlib import Path

from chdtf.shards import Stage


def chdtf_recipe(manifest_folder: Path = Path(), allow_local: bool = False) -> tuple[Stage, ...]:
    """The stages of a CHDTF-style dataset with their default settings, in order.

    `manifest_folder` is what relative `file:` URLs count from; `allow_local` lets a manifest name files of this
    machine.
    """
    from pipelines.stages import cut, download, fit, landmarks, quality, resample, track

    return (
        download.Stage(manifest_folder=str(manifest_folder), allow_local=allow_local),
        cut.Stage(),
        track.Stage(),
        resample.Stage(),
        landmarks.Stage(),
        fit.Stage(),
        quality.Stage(),
    )
