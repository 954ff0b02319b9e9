"""`disentbench`: build talking-face datasets, run methods on them, score them alike.

The folder is the registry: `run.py` is the verb `run`, `manifest_from_folder.py` the verb `manifest from-folder`; a
module holds a frozen dataclass `Command` whose fields are the flags. Only these modules may import every package. A
verb's module is imported when it is called, so that help is instant.
"""

import ast
import contextlib
import difflib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType

from chdtf.errors import UserError, is_disk_full

_HELP = ("-h", "--help")
_WRONG_PLACE = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


def verbs() -> dict[str, Path]:
    """All verbs and their modules, in alphabetical order."""
    paths = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return {path.stem.replace("_", " ", 1).replace("_", "-"): path for path in paths}


def _summary(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]


def _overview() -> str:
    lines = [
        "usage: disentbench VERB [options]",
        "",
        (__doc__ or "").splitlines()[0].removeprefix("`disentbench`: "),
        "",
    ]
    width = max(map(len, verbs()))
    lines += [f"  {verb:<{width}}  {_summary(path)}" for verb, path in verbs().items()]
    lines += ["", "disentbench VERB --help tells a verb's options; --debug anywhere shows the traceback of an error."]
    lines += [
        "Exit status: 0 done; 1 something failed, the summary says what; 2 a mistake in the command or its input;"
    ]
    lines += ["130 interrupted by Ctrl-C; 143 terminated. Nothing half-written is left."]
    return "\n".join(lines) + "\n"


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    """The verb (one or two words) and the rest. Raises `UserError` for an unknown verb, with the nearest."""
    known = verbs()
    for words in (2, 1):
        verb = " ".join(arguments[:words])
        if len(arguments) >= words and verb in known:
            return verb, arguments[words:]
    given = " ".join(word for word in arguments[:2] if not word.startswith("-"))
    below = [verb for verb in known if verb.startswith(arguments[0] + " ")]
    near = below or difflib.get_close_matches(given, known, n=3, cutoff=0.4) or list(known)
    raise UserError(f"unknown verb {given!r}; did you mean: {', '.join(near)}? (disentbench --help lists all)")


def _call(arguments: list[str]) -> int:
    import tyro

    verb, rest = _split(arguments)
    module = import_module(f"{__name__}.{verbs()[verb].stem}")
    single_flags = (tyro.conf.FlagCreatePairsOff,)
    command = tyro.cli(module.Command, args=rest, prog=f"disentbench {verb}", config=single_flags)
    status: int = command.run()
    return status


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as `kill` and batch systems send it: what is under way is cleared away as after Ctrl-C."""


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Raise `_Terminated` in the main thread when SIGTERM comes, unless the caller of `main` has a handler of its own.

    Processes forked meanwhile end by the signal as ever.
    """
    ours = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == ours:
            raise _Terminated
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: parse, run, and turn errors into one line on stderr and an exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if not arguments or arguments[0] in _HELP:
        sys.stdout.write(_overview())
        return 0 if arguments else 2
    try:
        with _terminated_as_interrupted():
            return _call(arguments)
    except BrokenPipeError:  # whoever read the output, such as `head`, wants no more of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at the end
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        message, status = _explained(error, debug)
        sys.stderr.write(f"disentbench: {' '.join(message.split())}\n")
        return status


def _explained(error: BaseException, debug: bool) -> tuple[str, int]:
    """One line about an error, and the exit status."""
    if isinstance(error, _Terminated):
        return "terminated; give the same command again to go on", 143
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; give the same command again to go on", 130
    if isinstance(error, UserError):
        return str(error), 2
    if is_disk_full(error):
        return "no space left on the disk; free some and run the same command again", 2
    if isinstance(error, _WRONG_PLACE) and error.filename:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}; name another place", 2
    hint = "" if debug else "; this is a bug: run again with --debug for the traceback, and report it"
    return f"{type(error).__name__}: {error}{hint}", 1
