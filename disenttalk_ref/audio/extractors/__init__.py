"""Extractors of audio features, one module each: the folder is the registry (see `disenttalk_ref.audio.features`)."""
