"""Say what a method lacks on this machine, from where to get it, and the commands."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import say

if TYPE_CHECKING:
    from baselines.installation import Installation


@dataclasses.dataclass(frozen=True)
class Command:
    """Check a wrapped method's checkout, environment, weights and device; exit status 1 when something is missing.

    Nothing is downloaded: checkout and weights are the user's to get, under their own licences.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """A method by folder name below baselines/."""

    def run(self) -> int:
        """Print what is there and what is not."""
        from baselines.installation import examine
        from baselines.method import load_method

        method = load_method(self.name)
        if method.wrapped is None:
            say(f"{method.name} is part of this project and ready.")
            return 0
        found = examine(method)
        say(f"{method.label}: {method.paper}")
        say(f"code:     {method.upstream} at {method.revision} (licence: {method.license})")
        say(f"weights:  licence {method.weights_license or 'unknown'}")
        _tell_parts(found)
        for problem in found.problems:
            say(f"\nmissing:  {problem}")
            for line in problem.remedy:
                say(f"  -> {line}")
        for deviation in method.deviations:
            say(f"note:     {deviation}")
        say("" if found.problems else f"Ready: disentbench run --method {method.name}")
        return 1 if found.problems else 0


def _tell_parts(found: "Installation") -> None:
    """What is there already."""
    say(f"checkout: {found.checkout.folder} {found.checkout.revision or 'not there'}")
    if found.checkout.changes:
        say(f"          changed: {', '.join(found.checkout.changes)} (recorded with every result)")
    python = found.environment.version
    say(f"python:   {found.environment.folder} {f'(Python {python})' if python else 'not made'}")
    for one in found.weights:
        known = "declared" if one.weight.sha256 != "unknown" else "not declared"
        digest = f"sha256 {one.sha256[:12]}, {known}" if one.sha256 else ""
        say(f"file:     {one.state:<8} {one.path} {digest}".rstrip())
    shims, stubs = (", ".join(names) or "none" for names in (found.shims, found.stubs))
    say(f"device:   {found.device}; shims: {shims}; stand-ins: {stubs}")
