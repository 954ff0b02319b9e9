"""Scores of a finished clip, one module a family; `pipelines.thresholds` judges them."""
