"""Seeing face models and coefficients: a mesh renderer, sheets of dimensions, curves of a clip, meshes over a video."""
