"""Coefficients + source -> frames. One module a renderer; `renderer.py` says what each offers."""
