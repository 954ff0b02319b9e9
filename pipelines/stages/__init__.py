"""One module a stage: `cut.py` holds the stage `cut`, a frozen dataclass named `Stage` in every module."""
