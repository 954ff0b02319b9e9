"""External models that the project may use but does not carry: where they come from, their hash, and where they lie.

Nothing is downloaded unless asked for; whatever needs absent weights says so and goes without.
"""

import dataclasses
import difflib
import functools
import http.client
import json
import logging
import os
import shutil
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from chdtf.errors import UserError, is_disk_full
from chdtf.files import atomic_path, sha256_file, write_text

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # bytes so far, bytes in all; files where a recipe puts them together
_CHUNK = 1 << 18
_TIMEOUT_S = 60.0
_VGG = "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/"
_VGG_LICENCE = "Creative Commons Attribution, for research purposes (its page's words)"


class Recipe(Protocol):
    """How a file is put together that its source does not offer as one."""

    def content_hash(self, path: Path) -> str:
        """Hex SHA-256 of what counts in such a file. Raises `UserError` if it is no such file."""

    def build(self, url: str, target: Path, parts: Path, progress: Progress | None = None) -> None:
        """Make the file from what lies at `url`, keeping in the folder `parts` what was downloaded."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """One external file. With a recipe `url` is the folder of its parts and `sha256` that of the content."""

    name: str
    filename: str
    url: str
    sha256: str
    size_bytes: int
    licence: str
    purpose: str
    recipe: Callable[[], Recipe] | None = None
    other_names: tuple[str, ...] = ()  # files that are looked for when `filename` is not there
    same_content: Callable[[Path], bool] | None = None  # tells another file that holds the same values


@dataclasses.dataclass(frozen=True)
class WeightsStatus:
    """What is known of one file: `state` is "ok", "missing" or "mismatch"."""

    weights: Weights
    path: Path
    state: str
    detail: str = ""


def _is_alexnet(path: Path) -> bool:
    from chdtf.alexnet import has_trained_features

    return has_trained_features(path)


def _ict_recipe() -> Recipe:
    from chdtf.morphable.models.ict_download import IctRecipe

    return IctRecipe()


WEIGHTS: Mapping[str, Weights] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Weights(
                name="syncnet_v2",
                filename="syncnet_v2.model",
                url=_VGG + "syncnet_v2.model",
                sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
                size_bytes=54_573_114,
                licence=_VGG_LICENCE,
                purpose="LSE-C, and offset of sound and lips: SyncNet (Chung and Zisserman 2016)",
            ),
            Weights(
                name="sfd_face",
                filename="sfd_face.pth",
                url=_VGG + "sfd_face.pth",
                sha256="d54a87c2b7543b64729c9a25eafd188da15fd3f6e02f0ecec76ae1b30d86c491",
                size_bytes=89_844_381,
                licence=_VGG_LICENCE,
                purpose="the S3FD face detector of SyncNet's original pipeline",
            ),
            Weights(
                name="light_asd",
                filename="light_asd_talkset.model",
                url="https://raw.githubusercontent.com/Junhua-Liao/Light-ASD/"
                "ed38c232de5efe0261dbd68627c0ade7cdfe14eb/weight/finetuning_TalkSet.model",
                sha256="efc375833887eefa9d209dc92810e18519b04c3c73ea35a549f2a7f40b7d94d5",
                size_bytes=4_175_289,
                licence="MIT (LICENSE of its repository)",
                purpose="active speaker: Light-ASD (Liao et al. 2023), fine-tuned on TalkSet",
            ),
            Weights(
                name="mobilefacenet",
                filename="mobilefacenet.onnx",
                url="https://raw.githubusercontent.com/foamliu/MobileFaceNet/"
                "a6cc9032a659b615f477833e1a70b5e7931bcccc/weights/MobileFaceNet.onnx",
                sha256="b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507",
                size_bytes=3_998_070,
                licence="Apache-2.0 (LICENSE of its repository); trained on MS-Celeb-1M",
                purpose="identity of a face: MobileFaceNet (Chen et al. 2018), 128-d",
            ),
            Weights(
                name="inception_fid",
                filename="pt_inception-2015-12-05-6726825d.pth",
                url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                "pt_inception-2015-12-05-6726825d.pth",
                sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                size_bytes=95_628_359,
                licence="Apache-2.0 (LICENSE of its repository)",
                purpose="FID: Inception v3 of 2015-12-05, converted by pytorch-fid",
            ),
            Weights(
                name="alexnet",
                filename="alexnet-owt-7be5be79.pth",
                url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
                size_bytes=244_408_911,
                licence="BSD-3-Clause (torchvision); trained on ImageNet",
                purpose="LPIPS: AlexNet (Krizhevsky 2014); its convolution layers alone, 10 MB, serve as well",
                other_names=("alexnet_features.pth",),
                same_content=_is_alexnet,
            ),
            Weights(
                name="ict",
                filename="ict_face_light_9409.npz",
                url="https://raw.githubusercontent.com/ICT-VGL/ICT-FaceKit/"
                "da5f95a607f5e6b37755b38d3385d7f2853732e5/FaceXModel",
                sha256="7ecb7ffb6afbbdb47d65eae34e4e73bc06a6c09430107420622559ba9d1672aa",
                size_bytes=9_775_317,
                licence="MIT (LICENSE of its repository)",
                purpose="face model ict: ICT-FaceKit's light version (Li et al. 2020), put together from 158 meshes",
                recipe=_ict_recipe,
            ),
        )
    }
)


def folder() -> Path:
    """Where weights lie: the environment variable DISENTBENCH_WEIGHTS, else ~/.cache/disentbench/weights."""
    named = os.environ.get("DISENTBENCH_WEIGHTS")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "disentbench" / "weights"


def get_weights(name: str, registry: Mapping[str, Weights] = WEIGHTS) -> Weights:
    """The entry of that name. Raises `UserError` with the nearest names."""
    if name not in registry:
        near = difflib.get_close_matches(name, registry, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"unknown weights {name!r}; {hint}all: {', '.join(registry)}")
    return registry[name]


def _digest(weights: Weights, path: Path) -> str:
    if weights.recipe:
        return weights.recipe().content_hash(path)
    digest = sha256_file(path)
    if digest != weights.sha256 and weights.same_content and weights.same_content(path):
        return weights.sha256
    return digest


@functools.lru_cache(maxsize=64)
def _hash(weights: Weights, path: Path, size: int, mtime_ns: int) -> str:
    """`_digest` of a file, computed once per size and time of change, also across runs: a note beside it remembers."""
    note = path.with_name(f".{path.name}.sha256.json")
    key = [size, mtime_ns]
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["key"] == key:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = _digest(weights, path)
    try:
        write_text(note, json.dumps({"key": key, "sha256": digest}) + "\n")
    except OSError:
        log.debug("%s: cannot note its hash there; it is computed again next time", path.parent)
    return digest


def check(name: str, registry: Mapping[str, Weights] = WEIGHTS) -> WeightsStatus:
    """Whether the file of that name is there and is what it should be."""
    weights = get_weights(name, registry)
    names = (weights.filename, *weights.other_names)
    path = next((folder() / name for name in names if (folder() / name).is_file()), folder() / weights.filename)
    if not path.is_file():
        return WeightsStatus(weights, path, "missing", f"run: disentbench weights fetch {name}")
    stat = path.stat()
    try:
        digest = _hash(weights, path, stat.st_size, stat.st_mtime_ns)
    except UserError as error:  # of a recipe: not even a file of that kind
        return WeightsStatus(weights, path, "mismatch", str(error).removeprefix(f"{path}: "))
    if digest != weights.sha256:
        return WeightsStatus(weights, path, "mismatch", f"sha256 is {digest}, expected {weights.sha256}")
    return WeightsStatus(weights, path, "ok")


def find(name: str, registry: Mapping[str, Weights] = WEIGHTS) -> Path | None:
    """Path of a verified file, or None when it is absent or is another file (`check` tells which)."""
    found = check(name, registry)
    if found.state == "mismatch":
        log.warning("%s: not used, %s", found.path, found.detail)
    return found.path if found.state == "ok" else None


def status(registry: Mapping[str, Weights] = WEIGHTS) -> list[WeightsStatus]:
    """State of every registered file."""
    return [check(name, registry) for name in registry]


def _refuse_wrong_hash(weights: Weights, path: Path) -> None:
    digest = _digest(weights, path)
    if digest != weights.sha256:
        raise UserError(
            f"{weights.url}: sha256 is {digest}, expected {weights.sha256} "
            f"({path.stat().st_size} of {weights.size_bytes} bytes); nothing was kept, try again"
        )


def _download(weights: Weights, target: Path, progress: Progress | None) -> None:
    request = urllib.request.Request(weights.url, headers={"User-Agent": "disentbench"})  # noqa: S310
    done = 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response, target.open("wb") as sink:  # noqa: S310
        while chunk := response.read(_CHUNK):
            sink.write(chunk)
            done += len(chunk)
            if done > weights.size_bytes:
                break  # not the file that is wanted; the hash will say so
            if progress:
                progress(done, weights.size_bytes)


def fetch(name: str, progress: Progress | None = None, registry: Mapping[str, Weights] = WEIGHTS) -> Path:
    """Download a registered file unless it is there, verify it, and return its path.

    Raises `UserError` when the network or the disk fails, or when the file has another hash (both hashes are named);
    nothing half-written remains.
    """
    found = check(name, registry)
    if found.state == "ok":
        return found.path
    weights, path = found.weights, folder() / found.weights.filename
    if weights.recipe:
        return _put_together(weights, weights.recipe(), path, progress)
    try:
        with atomic_path(path) as temporary:
            _download(weights, temporary, progress)
            _refuse_wrong_hash(weights, temporary)
    except (OSError, http.client.HTTPException) as error:
        if is_disk_full(error):
            raise UserError(f"{path.parent}: no space for {weights.size_bytes} bytes") from error
        if isinstance(error, PermissionError):
            raise UserError(f"{path.parent}: cannot write there; set DISENTBENCH_WEIGHTS") from error
        why = getattr(error, "reason", error)
        raise UserError(f"{weights.url}: {why}; download it yourself and put it at {path}") from error
    return path


def _put_together(weights: Weights, recipe: Recipe, path: Path, progress: Progress | None) -> Path:
    """Build a file by its recipe; what was downloaded is kept until the file is complete, or is another one."""
    parts = path.with_name(f".{weights.name}-parts")
    try:
        with atomic_path(path) as temporary:
            recipe.build(weights.url, temporary, parts, progress)
            shutil.rmtree(parts, ignore_errors=True)
            _refuse_wrong_hash(weights, temporary)
    except OSError as error:
        if is_disk_full(error):
            raise UserError(f"{path.parent}: no space for {weights.size_bytes} bytes") from error
        raise UserError(f"{path.parent}: cannot write there ({error}); set DISENTBENCH_WEIGHTS") from error
    return path
