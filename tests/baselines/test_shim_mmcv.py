"""mmcv without its compiled operators: asking for one is free, calling one is told."""

import os
import subprocess
import sys

from baselines.method import FOLDER

CODE = """
import importlib, pkgutil
operators = importlib.import_module("mmcv._ext")
assert hasattr(operators, "nms")
assert pkgutil.find_loader("mmcv._ext") is None
try:
    operators.nms([], 0.5)
except NotImplementedError as told:
    print(told)
"""


def test_operators_may_be_imported_and_one_that_is_called_is_named():
    environment = {**os.environ, "PYTHONPATH": str(FOLDER / "shims" / "path"), "DISENTBENCH_SHIMS": "mmcv_without_ops"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("mmcv._ext.nms: mmcv's compiled operators"), done.stderr
