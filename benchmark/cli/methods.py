"""List the methods that `run` knows."""

import dataclasses

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """List the methods that `disentbench run --method NAME` knows, with their input and licence."""

    def run(self) -> int:
        """Print one line a method."""
        from baselines.method import load_method, method_names

        for name in method_names():
            method = load_method(name)
            say(f"{name:<14} {method.role:<10} {method.input:<6} {method.license:<12} {method.label}")
        return 0
