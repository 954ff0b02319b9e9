"""Sheets of a face model: every expression dimension as three meshes, and the mesh coloured by region."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from chdtf.morphable.drawing.figure import Canvas
from chdtf.morphable.drawing.view import (
    REGION_COLOURS,
    Window,
    displacement_colours,
    displacement_scale,
    eyes_middle,
    group_of,
    picture,
    region_colours,
    turned,
)
from chdtf.morphable.model import FaceModel

_TITLE_PX, _GAP_PX, _HEADER_PX, _LABEL_PX, _LEGEND_PX = 22, 18, 64, 20, 22
_SIDE_REACH = 1.4  # model units: heads seen from the side are wider
_UNSEEN = 1e-3  # model units: a dimension that moves no vertex farther is left grey


@dataclasses.dataclass(frozen=True)
class Step:
    """One column of a sheet: a coefficient's value and how it is called."""

    values: np.ndarray  # (K,)
    label: str


def steps(model: FaceModel) -> tuple[Step, Step, Step]:
    """What a sheet shows of each dimension: -3, 0 and +3 standard deviations, or weights 0, 0.5, 1 of named shapes."""
    one = np.ones(model.num_expression)
    if model.expression_names:
        return Step(0 * one, "0"), Step(0.5 * one, "0.5"), Step(one, "weight 1")
    deviation = np.asarray(model.expression_deviation, np.float64)
    return Step(-3 * deviation, "−3 SD"), Step(0 * one, "0"), Step(3 * deviation, "+3 SD")


def draw_dimensions(
    model: FaceModel,
    out: Path,
    groups: Mapping[str, Sequence[int]] | None = None,
    dimensions: Sequence[int] | None = None,
    mesh_px: int = 120,
    columns: int = 4,
    report: Callable[[int], None] = lambda done: None,
) -> tuple[int, int]:
    """Draw expression dimensions as shaded meshes coloured by how far each vertex moves.

    Args:
        model: the face model.
        out: .png or .svg.
        groups: dimensions by subspace (lip, eye, global), named and coloured in the titles.
        dimensions: which ones, in this order; None: all.
        mesh_px: height of a mesh.
        columns: dimensions beside each other.
        report: called with the number of dimensions drawn so far.

    Returns:
        (width, height) of the picture, px.

    Raises:
        ValueError: if a dimension is not one of the model's.

    """
    chosen = list(range(model.num_expression)) if dimensions is None else list(dimensions)
    if not chosen or min(chosen) < 0 or max(chosen) >= model.num_expression:
        raise ValueError(f"{model.name} has the dimensions 0 to {model.num_expression - 1}, not all of {chosen}")
    columns = min(columns, len(chosen))
    window = _window(model, chosen)
    width_px = window.size_px(mesh_px)[1]
    cell = (3 * width_px + _GAP_PX, mesh_px + _TITLE_PX + 8)
    rows = -(-len(chosen) // columns)
    canvas = Canvas(max(columns * cell[0] + _GAP_PX, 620), _HEADER_PX + _LABEL_PX + rows * cell[1] + _GAP_PX // 2)
    _header(canvas, model, groups, len(chosen))
    for column in range(columns):
        for k, step in enumerate(steps(model)):
            x = _GAP_PX + column * cell[0] + (k + 0.5) * width_px
            canvas.text(x, _HEADER_PX + _LABEL_PX / 2, step.label, size=10, align="center", colour="#595959")
    resting = displacement_colours(np.zeros(model.num_vertices), 1.0)
    neutral = picture(model.mean, model.triangles, window, mesh_px, resting)
    for place, dimension in enumerate(chosen):
        row, column = divmod(place, columns)
        x, y = _GAP_PX + column * cell[0], _HEADER_PX + _LABEL_PX + row * cell[1]
        _title(canvas, model, dimension, (x, y), groups or {})
        for k, mesh in enumerate(_meshes(model, dimension, window, neutral)):
            canvas.paste(mesh, x + k * width_px, y + _TITLE_PX)
        report(place + 1)
    canvas.save(out)
    return canvas.width, canvas.height


def _header(canvas: Canvas, model: FaceModel, groups: Mapping[str, Sequence[int]] | None, count: int) -> None:
    kind = "weights 0, 0.5 and 1" if model.expression_names else "−3, 0 and +3 standard deviations"
    total = (
        f"{count} expression dimensions"
        if count == model.num_expression
        else (f"{count} of {model.num_expression} expression dimensions")
    )
    canvas.text(_GAP_PX, 20, f"{model.name}: {total}, {kind}", size=15, bold=True)
    canvas.text(_GAP_PX, 46, "displacement: 0", size=10)
    bar = np.broadcast_to(displacement_scale()[None], (12, 256, 3))[:, ::2]
    canvas.paste(bar.astype(np.uint8), _GAP_PX + 100, 40)
    text = "the dimension's largest, in brackets as % of the outer eye corner distance"
    canvas.text(_GAP_PX + 236, 46, text, size=10)


def _largest(model: FaceModel, dimension: int) -> float:
    """How far the dimension moves a vertex at most in a sheet, model units."""
    value = max(abs(float(step.values[dimension])) for step in steps(model))
    return value * float(np.linalg.norm(model.expression_basis[dimension].astype(np.float64), axis=1).max())


def _window(model: FaceModel, dimensions: Sequence[int]) -> Window:
    """The window that shows every dimension whole."""
    reach = max(_largest(model, dimension) for dimension in dimensions)
    moved = [
        model.mean + float(step.values[k]) * model.expression_basis[k]
        for k in dimensions
        for step in steps(model)
        if _largest(model, k) > reach / 4
    ]
    return Window.onto(np.concatenate(moved), eyes_middle(model)[:2])


def _title(
    canvas: Canvas, model: FaceModel, dimension: int, at: tuple[int, int], groups: Mapping[str, Sequence[int]]
) -> None:
    group = group_of(dimension, groups)
    name = f" {model.expression_names[dimension]}" if model.expression_names else ""
    label = f"{dimension}{name}" + (f"  {group}" if group else "") + f"  ({100 * _largest(model, dimension):.1f} %)"
    colour = REGION_COLOURS.get(group or "", "#000000")
    canvas.text(at[0] + 4, at[1] + _TITLE_PX / 2, label, size=11, bold=True, colour=colour)


def _meshes(model: FaceModel, dimension: int, window: Window, neutral: np.ndarray) -> Iterator[np.ndarray]:
    basis, largest = model.expression_basis[dimension].astype(np.float64), _largest(model, dimension)
    for value in (float(step.values[dimension]) for step in steps(model)):
        colours = displacement_colours(abs(value) * np.linalg.norm(basis, axis=1), max(largest, _UNSEEN))
        yield picture(model.mean + value * basis, model.triangles, window, len(neutral), colours) if value else neutral


def draw_regions(model: FaceModel, lip: np.ndarray, eye: np.ndarray, out: Path, mesh_px: int = 320) -> tuple[int, int]:
    """Draw the mean face from three sides, coloured by the weights (V,) of the lip and eye regions, in 0 to 1.

    Returns (width, height) of the picture, px. Raises `ValueError` if the weights are not one for each vertex.
    """
    if lip.shape != (model.num_vertices,) or eye.shape != (model.num_vertices,):
        raise ValueError(f"{model.name} has {model.num_vertices} vertices; weights are {lip.shape} and {eye.shape}")
    colours = region_colours(lip, eye)
    faces = [turned(model.mean - eyes_middle(model), yaw_deg) for yaw_deg in (40.0, 0.0, -40.0)]
    front = Window.onto(faces[1], np.zeros(2))
    views = []
    for face in faces:
        window = dataclasses.replace(Window.onto(face, np.zeros(2), _SIDE_REACH), top=front.top, height=front.height)
        views.append(picture(face, model.triangles, window, mesh_px, colours))
    width = sum(view.shape[1] for view in views) + 4 * _GAP_PX
    canvas = Canvas(width, mesh_px + 60 + len(REGION_COLOURS) * _LEGEND_PX)
    canvas.text(_GAP_PX, 22, f"{model.name}: soft regions of its {model.num_vertices} vertices", size=15, bold=True)
    x = _GAP_PX
    for view in views:
        canvas.paste(view, x, 44)
        x += view.shape[1] + _GAP_PX
    rest = np.clip(1 - lip - eye, 0, 1)
    keys = (("lip", lip, REGION_COLOURS["lip"]), ("eye", eye, REGION_COLOURS["eye"]), ("rest", rest, "#DEC4B0"))
    for k, (name, weights, colour) in enumerate(keys):
        y = mesh_px + 54 + k * _LEGEND_PX
        whole, touched = int((weights >= 1 - 1e-6).sum()), int((weights > 0).sum())
        canvas.box(_GAP_PX, y, 16, 16, colour)
        counted = f"{name}: weight 1 on {whole} vertices, between 0 and 1 on {touched - whole} (mixed colours)"
        canvas.text(_GAP_PX + 24, y + 8, counted, size=11)
    canvas.save(out)
    return canvas.width, canvas.height
