"""Scores of a finished clip, one module a family; `pipelines.judging.thresholds` judges them."""
