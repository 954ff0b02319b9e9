"""Removes all that derives from a withdrawn source."""
