"""Generated weights: a method's own networks, untrained, in its own checkpoint format; they prove a wrapper.

`baselines/NAME/generated.py` builds them with upstream's code, in the method's environment. They lie apart from the
user's weights, are used only when asked for, and what they give enters no leaderboard.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from baselines.environment import home
from baselines.installation import Installation, examine
from baselines.job import driver_environment, shim_environment
from baselines.method import FOLDER, Method
from baselines.weight_files import note_generated
from chdtf.errors import UserError

_NEEDED = ("no_checkout", "wrong_revision", "wrong_pinned_file", "no_environment", "no_gpu")


def generate_weights(method: Method, root: Path | None = None) -> Path:
    """Make them anew; returns their folder. Raises `UserError` where more than weights is lacking, or it fails."""
    root = root or home()
    script = FOLDER / method.name / "generated.py"
    installation = examine(method, generated=True, root=root)
    if not script.is_file():
        raise UserError(f"method {method.name} has no {script.name}, so its weights cannot be generated")
    if lacking := [problem for problem in installation.problems if problem.word in _NEEDED]:
        raise UserError(f"method {method.name}: {lacking[0]}; see: disentbench methods doctor {method.name}")
    target = installation.folder / "generated"
    installation.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".generated-", dir=installation.folder) as temporary:
        made = Path(temporary) / "weights"
        made.mkdir()
        _run(installation, script, made)
        missing = [one.weight.path for one in installation.weights if not (made / one.weight.path).exists()]
        if missing:
            raise UserError(f"{script}: made no {missing[0]}, which method.toml names; add it there")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    note_generated(installation.folder)
    return target


def _run(installation: Installation, script: Path, made: Path) -> None:
    checkout = installation.checkout.folder
    with tempfile.TemporaryDirectory(prefix="disentbench-") as work:
        environment = {**driver_environment(), **shim_environment(installation, Path(work))}
        environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(checkout)])
        environment |= {"DISENTBENCH_SEED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [str(installation.environment.python), str(script), str(made)]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["nothing was printed"]
        raise UserError(f"{script}: exit status {done.returncode}: {words[-1]}")
