"""Methods under test, each a folder with `method.toml` and `drive.py`, run in an environment of its own."""
