"""`audio_separator` for runs with generated weights: what goes in is taken for the vocals; see `separator`."""
