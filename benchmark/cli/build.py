"""Build a dataset from a manifest: download, cut, track, resample, fit, score, publish as Parquet."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from benchmark.cli._console import progress, say

SAMPLE = Path("data/sample")


@dataclasses.dataclass(frozen=True)
class Command:
    """Build a dataset from a manifest: download, cut, track, resample, landmarks, fit, quality, publish.

    Without --manifest it draws and builds the bundled synthetic sample. Run the same command again to continue after
    an interruption; what is done is kept.
    """

    manifest: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """CSV or Parquet list of videos (columns: manifests/README.md), or the lock of a dataset (lock.csv), which is then
    made again. Default: the bundled sample."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder for the dataset. Default: data/NAME-OF-THE-MANIFEST."""
    workers: int = os.cpu_count() or 1
    """Processes; with --engine ray the CPUs of a fresh cluster."""
    allow_local: bool = False
    """Let the manifest name files of this machine, and addresses that are not public."""
    cookies: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A cookies.txt (Netscape format) for sites that ask for a login or take this for a robot; it is only read."""
    cookies_from_browser: str = ""
    """A browser of this machine whose cookies are used, such as firefox or chrome:PROFILE."""
    proxy: str = ""
    """URL of a proxy. Default: what the environment says."""
    sleep_s: float = 0.0
    """Seconds between requests to a site, of each worker."""
    rate_limit_bytes_s: int = 0
    """Bytes per second of each download; 0: no limit."""
    engine: Literal["local", "ray"] = "local"
    """Where the work runs: processes of this machine, or a Ray cluster."""
    ray_address: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Address of a Ray cluster, or "auto" for the one of this machine. Default: a fresh one."""
    recipe: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A recipe (manifests/chdtf.toml) whose settings and thresholds are used; its list comes from discover."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="STAGE.FIELD=VALUE")] = ()
    """A setting of a stage, such as cut.max_clip_s=20; again for more. disentbench stages lists them."""
    tombstones: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FILE")] = ()
    """A list of withdrawn sources, beside manifests/tombstones.csv and the dataset's own; again for more."""

    def run(self) -> int:
        """Build, and print the account of all rows."""
        from pipelines.acquire.fetch import Network
        from pipelines.build import Engine
        from pipelines.recipes import chdtf_recipe, configured
        from pipelines.sources.recipe_file import read_recipe

        out = self.out or (Path("data") / self.manifest.stem if self.manifest else SAMPLE)
        allow_local = self.allow_local or not self.manifest
        network = Network(
            allow_local=allow_local,
            cookies=str(self.cookies.absolute()) if self.cookies else "",
            cookies_from_browser=self.cookies_from_browser,
            proxy=self.proxy,
            rate_limit_bytes_s=self.rate_limit_bytes_s,
            sleep_s=self.sleep_s,
        )
        recipe = read_recipe(self.recipe) if self.recipe else None
        settings = (*(recipe.settings if recipe else ()), *self.set)
        folder = (self.manifest.parent if self.manifest else out).absolute()
        stages = configured(chdtf_recipe(folder, allow_local, network), settings)
        engine = Engine("ray" if self.ray_address else self.engine, max(1, self.workers), self.ray_address)
        failed = build(
            self.manifest or draw(out, self.workers),
            out,
            allow_local,
            stages=stages,
            engine=engine,
            thresholds=recipe.thresholds if recipe else None,
            tombstones=self.tombstones,
            network=network,
        )
        if not self.manifest:
            say("This is the bundled synthetic sample. For real videos: make chdtf MANIFEST=list.csv OUT=folder")
        return 1 if failed else 0


def draw(folder: Path, workers: int) -> Path:
    """Draw the bundled sample's source videos below `folder`; returns their manifest."""
    from chdtf.sample import draw_sample

    with progress("Drawing the sample") as report:
        return draw_sample(folder, processes=workers, progress=report)


def build(manifest: Path, out: Path, allow_local: bool, **options: Any) -> int:
    """Build and print the account; returns how many rows failed."""
    from pipelines.build import build as build_dataset

    with progress("Building the dataset") as report:
        summary = build_dataset(manifest, out, allow_local=allow_local, progress=report, **options)
    say(summary.text())
    return summary.failed
