"""List the face models: their size, licence and hash, or what is missing for them."""

import dataclasses

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """List the face models that coefficients can be fitted with, and how to get those that are not here."""

    def run(self) -> int:
        """Print two lines a model."""
        from chdtf.errors import UserError
        from chdtf.morphable.model import load_model, model_names

        names = model_names()
        width = max(map(len, names))
        for name in names:
            try:
                model = load_model(name)
            except UserError as error:
                say(f"{name:<{width}}  not here: {error}")
                continue
            sizes = f"{model.num_vertices} vertices, {model.num_identity} identity, {model.num_expression} expression"
            say(f"{name:<{width}}  {sizes}, {len(model.landmark_map.landmarks)} of 468 landmarks")
            say(f"{'':<{width}}  hash {model.hash[:12]}; {model.licence}")
        return 0
