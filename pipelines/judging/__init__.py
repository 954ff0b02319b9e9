"""Which clips are published: thresholds over stored scores, and clips compared with each other."""
