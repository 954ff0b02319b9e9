"""`insightface` for runs with generated weights: one face, always in the middle of the picture; see `app`."""
