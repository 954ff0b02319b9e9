"""job.json and the environment of a driver's process: what a method is told, ours or others'."""

import dataclasses
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from baselines.installation import Installation, wrapped
from baselines.method import FOLDER, REPOSITORY, RUNTIME, Method
from baselines.stage import Extra, Item
from chdtf.errors import UserError
from chdtf.files import write_text

NOWHERE = "http://127.0.0.1:9"  # nothing listens there: what wants the network fails at once, and says so
_DROPPED = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONSTARTUP")


@dataclasses.dataclass(frozen=True)
class Job:
    """A driver's command line and environment; its job.json is written."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def write_job(
    method: Method,
    items: Sequence[Item],
    outputs: Mapping[str, Path],
    file: Path,
    installation: Installation | None,
    extras: Mapping[str, Extra],
    work: Path,
) -> Job:
    """Write `file` for these items. A wrapped method works below `work`, whose path must be plain."""
    if installation is None:
        write_text(file, json.dumps(_own_job(method, items, outputs), indent=1))
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        return Job((sys.executable, str(method.driver), str(file)), environment)
    job = _wrapped_job(installation, items, outputs, extras, work)
    write_text(file, json.dumps(job, indent=1))
    environment = {**driver_environment(), "PYTHONPATH": str(RUNTIME)}
    return Job((str(installation.environment.python), str(method.driver), str(file)), environment)


def driver_environment() -> dict[str, str]:
    """What a process in another environment inherits of ours: nothing that leads its Python back here."""
    environment = {key: value for key, value in os.environ.items() if key not in _DROPPED}
    return {**environment, "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}


def shim_environment(installation: Installation, work: Path) -> dict[str, str]:
    """What upstream's process gets: shims and stand-ins on its path, no network, scratch files below `work`."""
    path = [FOLDER / "shims" / "path", *(FOLDER / "stubs" / name for name in installation.stubs)]
    return {
        **_offline(work),
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "DISENTBENCH_SHIMS": ",".join(installation.shims),
        **wrapped(installation.method).run.environment,
    }


def _own_job(method: Method, items: Sequence[Item], outputs: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "fps": method.fps,
        "checkpoint": str(REPOSITORY / method.checkpoint) if method.checkpoint else None,
        "settings": method.settings,
        "items": [
            {
                **{k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(item).items()},
                "output": str(outputs[item.clip_id]),
            }
            for item in items
        ],
    }


def _wrapped_job(
    installation: Installation,
    items: Sequence[Item],
    outputs: Mapping[str, Path],
    extras: Mapping[str, Extra],
    work: Path,
) -> dict[str, Any]:
    if not re.fullmatch(r"[\w./-]+", str(work)):
        raise UserError(
            f"{work}: upstream scripts build shell lines of their folder, and this one has spaces or signs in its "
            "name; set TMPDIR to a plain one"
        )
    method, about = installation.method, wrapped(installation.method)
    on_cpu = about.run.cpu_arguments if installation.device == "cpu" else ()
    smaller = about.generated.arguments if installation.generated else ()
    return {
        "device": installation.device,
        "weights_origin": "generated" if installation.generated else "supplied",
        "settings": method.settings,
        "checkout": str(installation.checkout.folder.resolve()),
        "files": list(installation.checkout.files),
        "weights": {one.weight.path: str(one.path.resolve()) for one in installation.weights},
        "work": str(work),
        "command": [*about.run.command, *on_cpu, *smaller],
        "output": about.run.output,
        "environment": shim_environment(installation, work),
        "items": [
            {
                "clip_id": item.clip_id,
                "seed": item.seed,
                "num_frames": item.num_frames,
                "inputs": {name: str(path.resolve()) for name, path in extras[item.clip_id].inputs.items()},
                "output": str(outputs[item.clip_id].resolve()),
            }
            for item in items
        ],
    }


def _offline(work: Path) -> dict[str, str]:
    """No network: what a method fetched by itself would be weights that nobody pinned. Scratch files go to `work`."""
    programs, scratch = work / "bin", work / "tmp"
    for folder in (programs, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    ffmpeg = programs / "ffmpeg"
    if not ffmpeg.exists():
        ffmpeg.symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"), NOWHERE)
    return {
        **proxies,
        "no_proxy": "localhost,127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "TMPDIR": str(scratch),
        "PYTHONPYCACHEPREFIX": str(work / "pycache"),
        "MPLBACKEND": "Agg",
    }
