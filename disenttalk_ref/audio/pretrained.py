"""Pretrained speech networks of the Hugging Face hub: where they lie, what they are, and which weights they hold.

Nothing is downloaded: a network is a local folder, or lies in the hub's cache because the user put it there.
"""

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chdtf import weights
from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.schema import SAMPLE_RATE_HZ

INSTALL = 'pip install "disentbench[hubert]"'
_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # whole, or in several files; the first kind that is there


@dataclass(frozen=True)
class Pretrained:
    """A network's folder: its configuration, how it wants its waveform, and the hash of its weights."""

    name: str  # hub id or folder, as it was asked for
    folder: Path
    revision: str  # commit of the hub, empty for a local folder
    config: dict[str, Any]
    normalise: bool  # whether a waveform is brought to mean 0 and variance 1 first
    sha256: str  # of the weights file; of the hashes of all in the order of their names when there are several


def find_pretrained(name: str, revision: str = "") -> Pretrained:
    """The network in a local folder, in the folder of weights (`chdtf.weights.folder`), or in the hub's cache.

    Raises `UserError` when it is not at hand (naming the command that gets it), or its folder lacks what is needed.
    """
    folder, commit = _place(name, revision)
    config = _read_json(folder / _CONFIG, name)
    preprocessor = _read_json(folder / _PREPROCESSOR, name)
    rate = preprocessor.get("sampling_rate", SAMPLE_RATE_HZ)
    if rate != SAMPLE_RATE_HZ:
        raise UserError(f"{name}: hears {rate} Hz, speech here has {SAMPLE_RATE_HZ} Hz; choose another network")
    normalise = bool(preprocessor.get("do_normalize", True))  # transformers' own default
    return Pretrained(name, folder, commit, config, normalise, _hash_of(folder, name))


def get_command(name: str) -> str:
    """How to download a network of the hub: the files that are needed, and not its copies in other formats."""
    return shlex.join(["hf", "download", name, _CONFIG, _PREPROCESSOR, "pytorch_model.bin"])


def _place(name: str, revision: str) -> tuple[Path, str]:
    """Folder and commit: the folder itself, one of its name among the project's weights, or the hub's cache."""
    ours = weights.folder() / Path(name).name
    for folder in (Path(name).expanduser(), ours):
        if folder.is_dir():
            return folder, ""
    is_hub_id = name.count("/") == 1 and not name.startswith((".", "~", "/"))
    if not is_hub_id:
        hint = "name a folder that is there, or a hub id such as facebook/hubert-base-ls960"
        raise UserError(f"{name!r}: no such folder, nor {ours}; {hint}")
    for wanted in filter(None, (revision, "main")):
        found = _hub().try_to_load_from_cache(name, _CONFIG, revision=wanted)
        if isinstance(found, str):
            return Path(found).parent, Path(found).parent.name
    raise UserError(
        f"{name}: not on this machine; get it with: {get_command(name)}; or name a folder that holds it, or put it in "
        f"{ours}"
    )


def _hub() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise UserError(f"networks of the Hugging Face hub need the package transformers; {INSTALL}") from error


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); get {name} whole, with this file") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); get {name} again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: not an object of JSON; get {name} again")
    return found


def _hash_of(folder: Path, name: str) -> str:
    for pattern in _WEIGHTS:
        if files := sorted(folder.glob(pattern)):
            hashes = [_hash(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
            return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    remedy = f"get it with: {get_command(name)}" if name.count("/") == 1 and not Path(name).exists() else "add it"
    raise UserError(f"{folder}: holds no weights ({' or '.join(_WEIGHTS)}); {remedy}")


@functools.lru_cache(maxsize=32)
def _hash(path: str, size: int, modified_ns: int) -> str:
    return sha256_file(Path(path))


def load_network(found: Pretrained, class_name: str) -> Any:
    """The network with its weights, in evaluation mode on the CPU.

    Raises `UserError` when transformers is absent, or the weights do not fill the network.
    """
    network_class = import_transformers(class_name)
    transformers = importlib.import_module("transformers")
    with _quiet(transformers):
        try:
            network, report = network_class.from_pretrained(
                str(found.folder), local_files_only=True, output_loading_info=True
            )
        except Exception as error:  # torch, safetensors, pickle and transformers each raise their own
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{found.folder}: cannot be loaded ({why}); get {found.name} again") from error
    # only needed to mask speech while pretraining; some published files lack it
    missing = sorted(name for name in report["missing_keys"] if name != "masked_spec_embed")
    if missing:
        raise UserError(f"{found.folder}: its weights lack {len(missing)} tensors, {missing[0]} first; get it again")
    return network.eval().requires_grad_(False)


def import_transformers(class_name: str) -> Any:
    """A class of transformers. Raises `UserError` when the package is absent or cannot be imported."""
    if importlib.util.find_spec("transformers") is None:
        raise UserError(f"HuBERT needs the package transformers; {INSTALL}; or use --audio logmel")
    with _working_torchvision():
        try:
            return getattr(importlib.import_module("transformers"), class_name)
        except (ImportError, RuntimeError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"transformers cannot be imported ({why}); {INSTALL}; or use --audio logmel") from error


@contextlib.contextmanager
def _working_torchvision() -> Iterator[None]:
    """Hide a torchvision that cannot be imported.

    transformers imports it for pictures, which are not needed here; beside another build of PyTorch its import fails.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        missing = object()
        before = sys.modules.get("torchvision", missing)
        sys.modules["torchvision"] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules["torchvision"]
            if before is not missing:
                sys.modules["torchvision"] = before  # type: ignore[assignment]
    else:
        yield


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bars and no tables of unused tensors on the terminal."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
