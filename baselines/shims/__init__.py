"""Shims: what old upstream code needs of new packages, or of a machine without a GPU, without an edit of its files.

`baselines/shims/NAME.py` is the shim NAME, with a function `install()`. `path/sitecustomize.py`, first on the path of
upstream's process, installs those that DISENTBENCH_SHIMS names (with commas between). Python 3.8, standard library.
"""
