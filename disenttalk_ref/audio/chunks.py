"""Long sequences in overlapping chunks that are blended: bounded memory, no seams."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Chunks:
    """How rows are cut. Of an overlap the outer `edge` rows are dropped on either side, the middle is a linear fade."""

    length: int = 1500  # rows computed together
    overlap: int = 400
    edge: int = 100

    def __post_init__(self) -> None:
        if not 0 <= 2 * self.edge < self.overlap < self.length:
            raise ValueError(f"chunks need 2 edge < overlap < length: {self}")

    def starts(self, count: int) -> list[int]:
        """First rows of the chunks of `count` rows; the last chunk ends with the last row."""
        if count <= self.length:
            return [0] if count else []
        last = count - self.length
        return [*range(0, last, self.length - self.overlap), last]

    def weights(self, start: int, length: int, count: int) -> np.ndarray:
        """Weight of each row of one chunk, float32 (length,): 1 inside, falling to 0 where another chunk goes on."""
        place = np.arange(length)
        fade = self.overlap - 2 * self.edge
        weights = np.ones(length)
        if start > 0:
            weights = np.minimum(weights, (place + 0.5 - self.edge) / fade)
        if start + length < count:
            weights = np.minimum(weights, (length - place - 0.5 - self.edge) / fade)
        return np.clip(weights, 0, 1).astype(np.float32)

    def blend(self, count: int, width: int, compute: Callable[[int, int], np.ndarray]) -> np.ndarray:
        """All rows, float32 (count, width); `compute(first, last)` gives rows first to last - 1."""
        total = np.zeros((count, width), np.float32)
        weight = np.zeros((count, 1), np.float32)
        for start in self.starts(count):
            end = min(start + self.length, count)
            share = self.weights(start, end - start, count)[:, None]
            total[start:end] += compute(start, end) * share
            weight[start:end] += share
        total /= weight
        return total
