"""Renderers: a source image and a sequence of coefficients become frames."""
