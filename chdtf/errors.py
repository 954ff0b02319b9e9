"""What can go wrong, by who must act on it.

`UserError` ends the command with one line and exit status 2. `Reject` and `Transient` end a row, never the run.
Anything else is a bug and shows its traceback.
"""

import errno


class UserError(Exception):
    """A mistake that the user can mend; the message names the offending value and what to do."""


class DiskFullError(UserError):
    """The disk is full. It ends the run (going on would fail every row); a rerun continues."""

    def __init__(self, where: object) -> None:
        super().__init__(f"{where}: no space left; free some and run the same command again")

    def __reduce__(self) -> tuple[type["DiskFullError"], tuple[str]]:
        """Pickle by its place: workers send it to their parent."""
        return type(self), (str(self).partition(": no space left")[0],)


class Reject(Exception):
    """A decision against a row that computing it again would not change.

    `reason` is a short stable word (`no_face`, `several_faces`, ...), `detail` the scores that made it.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Transient(Exception):
    """A failure of a row that may pass (network, time-out). The next run tries that row again."""


def is_disk_full(error: BaseException) -> bool:
    """Whether the error, or one that caused it, says that the disk or the quota is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
