"""Coefficient files that the field's methods read and write: layouts, `.mat`, `.npy`, Parquet, frame rates, camera."""
