"""Speech and a source become motion, and motion a video."""
