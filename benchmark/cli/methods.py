"""List the methods that `run` knows, and what this machine has of them."""

import dataclasses

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """List the methods that `disentbench run --method NAME` knows: input, licence, and whether they can run here.

    Methods of others need a checkout, weights and an environment; disentbench methods doctor NAME says how to get them.
    """

    def run(self) -> int:
        """Print one line a method."""
        from baselines.installation import examine
        from baselines.method import load_method, method_names

        methods = [load_method(name) for name in method_names()]
        width = max(len(method.license) for method in methods)
        for method in sorted(methods, key=lambda method: (method.role != "method", method.wrapped is not None)):
            state = examine(method).state if method.wrapped else "ready"
            say(f"{method.name:<16} {method.role:<9} {method.input:<5} {method.license:<{width}} {state}")
        return 0
