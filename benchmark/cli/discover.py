"""Search for videos by a recipe (manifests/chdtf.toml) and write them as a manifest of candidates."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from benchmark.cli._console import progress, say


@dataclasses.dataclass(frozen=True)
class Command:
    """Search YouTube and Bilibili by a recipe and write what is found as a manifest. Nothing is downloaded.

    Read the candidates and their details before you build: a name that finds a video need not be who speaks in it, and
    whether you may use it is for you to find out.
    """

    recipe: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """A recipe in TOML, such as manifests/chdtf.toml."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """Manifest of the candidates, .csv or .parquet; FILE.details.csv beside it holds titles, uploaders and queries."""
    limit: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Results of each search or channel that are looked at. Default: the recipe's per_query."""
    site: Literal["youtube", "bilibili", "both"] = "both"
    """Where to search."""
    details: bool = False
    """Open the page of every candidate for its licence and length (one request more for each)."""
    tombstones: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A further list of withdrawn sources; manifests/tombstones.csv and DISENTBENCH_TOMBSTONES always count."""
    cookies: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """A cookies.txt in Netscape format, for sites that want a login; it is only read."""
    proxy: Annotated[str, tyro.conf.arg(metavar="URL")] = ""
    """A proxy for all requests."""
    sleep_s: float = 1.0
    """Seconds between requests."""
    allow_local: bool = False
    """Let the recipe name channels elsewhere than at YouTube and Bilibili, and addresses that are not public."""

    def run(self) -> int:
        """Search, write, and print the account; 1 when a list could not be read or nothing was found."""
        from chdtf import tombstones
        from chdtf.errors import UserError
        from pipelines.acquire.fetch import Network, check_cookies
        from pipelines.sources.candidates import write_candidates
        from pipelines.sources.discover import discover
        from pipelines.sources.listing import SEARCHES
        from pipelines.sources.recipe_file import read_recipe

        if self.limit is not None and self.limit < 1:
            raise UserError(f"--limit {self.limit}: give a number above 0")
        if self.out.suffix.lower() not in (".csv", ".parquet"):
            raise UserError(f"--out {self.out}: name it .csv or .parquet")
        if self.cookies:
            check_cookies(Path(self.cookies))
        recipe = read_recipe(self.recipe)
        withdrawn = tombstones.find(*([self.tombstones] if self.tombstones else []))
        network = Network(self.allow_local, self.cookies, proxy=self.proxy, sleep_s=self.sleep_s)
        sites = tuple(SEARCHES) if self.site == "both" else (self.site,)
        with progress("Searching") as report:
            found = discover(recipe, network, sites, self.limit, self.details, withdrawn, report)
        say(found.text())
        if found.candidates:
            details = write_candidates(found, self.out)
            say(f"manifest: {self.out}")
            say(f"titles, uploaders, queries: {details}")
        return 1 if found.problems or not found.candidates else 0
