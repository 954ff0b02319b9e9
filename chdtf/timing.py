"""The constant-rate rule: which frame of a source is shown at each instant of a constant-rate clip."""

import dataclasses
import math

_NOISE_S = 1e-6  # timestamps are sums and products of floats
_MAX_HOLD_S = 1.0  # of a source's last frame, which has no successor to say how long it lasts


@dataclasses.dataclass
class ConstantRate:
    """Output k shows the frame nearest to `start_s + k / fps`, but none more than one output step early.

    Nearest, so that the picture is neither early nor late on average, and jittered timestamps of a source that has the
    rate already repeat and drop none; one step at most, because a source that leaves out frames in which nothing
    changes means the last one to be held until the next. Outputs end before `end_s`, and none shows a frame at or
    after it.

    Feed the times of all frames in order with `add`, beginning with the last one at or before `start_s` where there is
    one (earlier ones change nothing), and ending with the first one at or after the end where there is one; then `end`.
    """

    start_s: float
    fps: float
    end_s: float = math.inf
    shown_s: list[float] = dataclasses.field(default_factory=list)  # time of the frame that each output shows
    last_s: float | None = None  # time of the frame that waits for the next
    _gap_s: float | None = None

    def _outputs_before(self, until_s: float) -> int:
        until_s = min(until_s, self.end_s)
        return max(0, math.ceil((until_s - _NOISE_S - self.start_s) * self.fps) - len(self.shown_s))

    def add(self, time_s: float) -> int:
        """Number of outputs that show the frame before this one: those that this one's time settles."""
        last_s = self.last_s
        if last_s is None or time_s <= self.start_s:
            self.last_s = time_s
            return 0
        gap_s = time_s - last_s
        if gap_s <= 0:  # a broken timestamp; the frame before it stays
            return 0
        self.last_s, self._gap_s = time_s, gap_s
        if last_s >= self.end_s - _NOISE_S:
            return 0
        count = self._outputs_before(time_s - min(gap_s / 2, 1 / self.fps))
        self.shown_s += [last_s] * count
        return count

    def end(self, end_s: float = math.inf) -> int:
        """Number of outputs in all, when the clip ends at `end_s`: the last frame is repeated up to it, or cut off."""
        self.end_s = min(self.end_s, end_s)
        if self.last_s is not None and self.last_s < self.end_s - _NOISE_S:
            gap_s = 1 / self.fps if self._gap_s is None else min(self._gap_s, _MAX_HOLD_S)
            self.shown_s += [self.last_s] * self._outputs_before(self.last_s + gap_s)
        limit_s = self.end_s - _NOISE_S
        kept = 0
        while kept < len(self.shown_s) and self.shown_s[kept] < limit_s and self.start_s + kept / self.fps < limit_s:
            kept += 1
        del self.shown_s[kept:]
        return kept
