"""What this machine has of what a build needs, and how to get the rest."""

import dataclasses
import datetime
import importlib.util
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from chdtf import weights
from chdtf.errors import Reject, Transient, UserError
from chdtf.site_id import site_id
from pipelines.acquire.fetch import Limits, Network, check_cookies, look

OK, MISSING, OLD, LOW, BROKEN = "ok", "missing", "old", "low", "broken"
PROJECT = "disentbench"
STALE_DAYS = 90  # sites change; yt-dlp itself begins to warn at that age
ENOUGH_BYTES = 20 << 30  # an hour of 1080p is 1 to 2 GB, and is kept while the dataset is built

_EXTRAS = {
    "ray": "work on several machines",
    "onnx": "face recognition, the SCRFD detector",
    "hubert": "HuBERT features for the reference model",
}
_RUNTIME_HELP = 'pip install "yt-dlp[default,deno]", or Node.js from https://nodejs.org'


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked for.

    Attributes:
        state: "ok", "missing", "old", "low" or "broken".
        name: what it is.
        found: what is there, such as a version.
        purpose: what it is for.
        remedy: how to get it; empty when nothing is wrong.
        needed: whether a build fails without it; else it only goes without something.

    """

    state: str
    name: str
    found: str
    purpose: str
    remedy: str = ""
    needed: bool = False

    @property
    def is_fatal(self) -> bool:
        """Whether what is needed is not there."""
        return self.needed and self.state != OK


def examine(
    urls: Sequence[str] = (), network: Network | None = None, folder: Path = Path(), today: datetime.date | None = None
) -> list[Check]:
    """All checks. `urls` are sources that a build would fetch: they decide whether YouTube's needs are needed.

    `folder` is where the dataset would lie. Nothing is contacted.
    """
    is_youtube = any(map(_is_youtube, urls))
    checks = [python(), *packages(), ffmpeg(), disk(folder), yt_dlp_age(today), *javascript(is_youtube)]
    if network and (network.cookies or network.cookies_from_browser):
        checks.append(cookies(network))
    return [*checks, *external_weights(), gpu()]


def preflight(urls: Iterable[str], network: Network | None = None, today: datetime.date | None = None) -> list[str]:
    """Warnings before a build that would fetch `urls`: what will fail, and how to mend it; empty when all is there.

    Raises `UserError` for a cookie file that cannot be used.
    """
    if network and network.cookies:
        check_cookies(Path(network.cookies))
    web = youtube = False
    for url in urls:
        web = web or not url.lower().startswith("file:")
        if _is_youtube(url):
            youtube = True
            break
    checks = [check for check in javascript(True) if check.needed] if youtube else []
    checks += [yt_dlp_age(today)] if web else []
    return [f"{check.name}: {check.found}; {check.remedy}" for check in checks if check.state != OK]


def _is_youtube(url: str) -> bool:
    return (site_id(url) or "").startswith("youtube:")


def python() -> Check:
    """The interpreter against the project's range."""
    wanted = metadata.metadata(PROJECT)["Requires-Python"]
    version = platform.python_version()
    state = OK if SpecifierSet(wanted).contains(version) else OLD
    remedy = "" if state == OK else f"install Python {wanted}"
    return Check(state, "Python", version, "runs everything", remedy, True)


def packages() -> Iterator[Check]:
    """Installed packages against the project's ranges: one line for all that is needed, one for each other."""
    wanted = [Requirement(text) for text in metadata.requires(PROJECT) or ()]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [check for one in needed if (check := package(one, "imported by the pipeline", True)).state != OK]
    if not wrong:
        yield Check(OK, "packages", f"{len(needed)} as required", "imported by the pipeline", needed=True)
    yield from wrong
    for extra, purpose in _EXTRAS.items():
        for one in wanted:
            if one not in needed and one.marker and one.marker.evaluate({"extra": extra}):
                yield package(one, purpose, False, f'pip install "{PROJECT}[{extra}]"')


def package(wanted: Requirement, purpose: str, needed: bool, remedy: str = "") -> Check:
    """One installed package against a requirement."""
    remedy = remedy or f'pip install "{wanted.name}{wanted.specifier}"'
    version = _version(wanted.name) or _version(f"{wanted.name}-headless")  # OpenCV's build for servers is as good
    if version is None:
        return Check(MISSING, wanted.name, "not installed", purpose, remedy, needed)
    if not wanted.specifier.contains(version, prereleases=True):
        return Check(OLD, wanted.name, f"{version}, wanted {wanted.specifier}", purpose, remedy, needed)
    return Check(OK, wanted.name, version, purpose, needed=needed)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def ffmpeg() -> Check:
    """The ffmpeg that comes with a package."""
    purpose = "joins a video's picture and sound"
    try:
        import imageio_ffmpeg

        return Check(OK, "ffmpeg", str(imageio_ffmpeg.get_ffmpeg_version()), purpose, needed=True)
    except (ImportError, RuntimeError, OSError) as error:
        remedy = "pip install --force-reinstall imageio-ffmpeg"
        return Check(MISSING, "ffmpeg", str(error).splitlines()[0], purpose, remedy, True)


def disk(folder: Path) -> Check:
    """Free space where the dataset would lie."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.0f} GB free in {place}"
    if free >= ENOUGH_BYTES:
        return Check(OK, "disk", found, "keeps the sources while a dataset is built")
    remedy = f"free some, or give a folder elsewhere (--out); {ENOUGH_BYTES >> 30} GB and more for some hours of 1080p"
    return Check(LOW, "disk", found, "keeps the sources while a dataset is built", remedy, free < 1 << 30)


def yt_dlp_age(today: datetime.date | None = None) -> Check:
    """Whether yt-dlp is recent enough for sites that change often."""
    purpose = "downloads"
    try:
        version = metadata.version("yt-dlp")
        year, month, day = (int(part) for part in version.split(".")[:3])
        age = ((today or datetime.date.today()) - datetime.date(year, month, day)).days
    except (metadata.PackageNotFoundError, ValueError):
        return Check(MISSING, "yt-dlp", "not installed, or of unknown age", purpose, "pip install yt-dlp", True)
    if age > STALE_DAYS:
        return Check(OLD, "yt-dlp", f"{version}, {age} days old", purpose, 'pip install -U "yt-dlp[default]"')
    return Check(OK, "yt-dlp", version, purpose)


def javascript(needed: bool) -> list[Check]:
    """The JavaScript runtimes that yt-dlp may use for YouTube, and the scripts that it runs in them."""
    from yt_dlp.globals import supported_js_runtimes

    from pipelines.acquire.downloader import JS_RUNTIMES

    purpose = "YouTube's formats; without it few or none are found"
    used, told = "", []
    for name in JS_RUNTIMES:
        kind = supported_js_runtimes.value[name]
        info = kind().info
        if info is None:
            told.append(f"{name} not found")
        elif not info.supported:
            told.append(f"{name} {info.version} is older than {'.'.join(map(str, kind.MIN_SUPPORTED_VERSION))}")
        else:
            told.append(f"{name} {info.version}" + ("" if used else " (used)"))
            used = used or name
    state = OK if used else OLD if any("older" in one for one in told) else MISSING
    one = Check(state, "JavaScript", ", ".join(told), purpose, "" if used else _RUNTIME_HELP, needed)
    return [one, solver(needed)]


def solver(needed: bool) -> Check:
    """yt-dlp's challenge solver scripts: a package of their own, of the very version that yt-dlp asks for."""
    wanted = next(
        (one for text in metadata.requires("yt-dlp") or () if (one := Requirement(text)).name == "yt-dlp-ejs"),
        Requirement("yt-dlp-ejs"),
    )
    return package(wanted, "the scripts that the JavaScript runtime runs", needed, 'pip install -U "yt-dlp[default]"')


def cookies(network: Network) -> Check:
    """The cookies that were given."""
    purpose = "age-restricted videos, and sites that ask who is there"
    if not network.cookies:
        return Check(OK, "cookies", f"from {network.cookies_from_browser}", purpose)
    try:
        check_cookies(Path(network.cookies))
    except UserError as error:
        return Check(BROKEN, "cookies", str(error), purpose, "export a cookies.txt in Netscape format", True)
    return Check(OK, "cookies", network.cookies, purpose, needed=True)


def external_weights() -> Iterator[Check]:
    """The external model files."""
    for found in weights.status():
        name, purpose = found.weights.name, found.weights.purpose
        remedy = "" if found.state == OK else f"disentbench weights fetch {name}"
        state = BROKEN if found.state == "mismatch" else found.state
        told = {OK: str(found.path), MISSING: "not there"}.get(found.state, found.detail)
        yield Check(state, name, told, purpose, remedy)


def gpu() -> Check:
    """Whether torch sees a GPU."""
    purpose = "faster training and SyncNet; nothing needs it"
    if importlib.util.find_spec("torch") is None:
        return Check(MISSING, "GPU", "torch is not installed", purpose, "pip install torch")
    import torch

    if torch.cuda.is_available():
        return Check(OK, "GPU", torch.cuda.get_device_name(0), purpose)
    return Check(MISSING, "GPU", "none", purpose, "a CUDA build of torch, where there is a GPU")


def address(url: str, network: Network) -> Check:
    """Ask the site about one video; nothing is downloaded."""
    limits = Limits(1080, 1 << 40, 1e9, 20.0, 120.0, 0)
    try:
        site = look(url, limits, network)
    except (Reject, Transient) as error:
        word, _, detail = str(error).partition(":")
        return Check(BROKEN, "the address", word, url, detail.strip() or word, True)
    return Check(OK, "the address", site.title or site.site_id or "a file", url, needed=True)
