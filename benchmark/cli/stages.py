"""List the stages of a build in their order, with the settings that --set changes."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """List the stages of a build in their order, with the settings that `build --set STAGE.FIELD=VALUE` changes."""

    def run(self) -> int:
        """Print a block for each stage."""
        from pipelines.recipes import chdtf_recipe

        for stage in chdtf_recipe():
            say(f"{stage.name} (version {stage.version})")
            for name, value in settings(stage):
                say(f"  {stage.name}.{name}={value}")
        return 0


def settings(stage: Any) -> Iterator[tuple[str, Any]]:
    """Names and defaults of a stage's settings; `none` is null, text is as it is written after --set."""
    for field in dataclasses.fields(stage):
        value = getattr(stage, field.name)
        if field.init and not dataclasses.is_dataclass(value):
            yield field.name, "none" if value is None else value
