"""One module a metric: `cpbd.py` holds the metric `cpbd`, a frozen dataclass named `Metric` in every module."""
