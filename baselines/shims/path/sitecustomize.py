"""Installs the shims that DISENTBENCH_SHIMS names when upstream's interpreter starts."""

import importlib.util
import os
import sys

_folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _load(name):
    """A module of the folder of shims, under a name that no upstream module has."""
    full = "disentbench_shim_" + name
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, os.path.join(_folder, name + ".py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


for _name in filter(None, os.environ.get("DISENTBENCH_SHIMS", "").split(",")):
    _load("_hooks")
    _load(_name).install()
