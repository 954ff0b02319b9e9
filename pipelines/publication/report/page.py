"""The page: what was gathered, set into the template, with every text from outside escaped."""

import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chdtf.schema import FPS
from pipelines.judging.thresholds import SHARE
from pipelines.publication.report.data import Report
from pipelines.publication.report.pictures import MOST, accepted_shots, refused_shots
from pipelines.publication.report.scores import Histogram
from pipelines.publication.text import visible

_HERE = Path(__file__).parent
_WIDTH, _HEIGHT = 320, 96  # of a histogram's drawing


def render(report: Report) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"said": said, "hours": hours, "count": count, "amount": amount, "moment": moment}
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - the project's own file
    page: str = environment.get_template("page.html").render(
        report=report,
        counts=report.description["counts"],
        thresholds=report.description.get("thresholds") or {},
        accepted=accepted_shots(report),
        refused=refused_shots(report),
        most=MOST,
        num_speakers=len(report.accepted["speaker_id"].unique()),
        num_languages=len(report.accepted["language"].unique()),
        drawing=drawing,
        hours=hours,
        count=count,
        style=style,
        last=report.runs[-1] if report.runs else None,
        fps=FPS,
    )
    return page


def said(text: object, limit: int = 120) -> Markup:
    """A text from outside: one line, isolated from the direction of the words around it."""
    return Markup("<bdi>{}</bdi>").format(visible(text, limit))


def moment(started: str) -> str:
    """A record's time for a person."""
    try:
        when = datetime.datetime.fromisoformat(started).astimezone(datetime.timezone.utc)
    except ValueError:
        return visible(started, 40)
    return f"{when:%Y-%m-%d %H:%M} UTC"


def count(number: float) -> str:
    """A count with thin groups."""
    return f"{number:,.0f}"


def hours(value: float) -> str:
    """A length in the unit that suits it."""
    if value >= 10:
        return f"{value:,.1f} h"
    if value >= 1:
        return f"{value:.2f} h"
    return f"{value * 60:.1f} min" if value * 60 >= 1 else f"{value * 3600:.0f} s"


def amount(value: float, unit: str = "") -> str:
    """A score with its unit, in three digits."""
    if unit == SHARE:
        return f"{value * 100:.3g}%"
    size = abs(value)
    if size >= 1e6:
        text = f"{value / 1e6:.3g} M"
    elif size >= 1e4:
        text = f"{value / 1e3:.3g} k"
    else:
        text = f"{value:.0f}" if size >= 100 else f"{value:.3g}"
    return f"{text}°" if unit == "degrees" else f"{text} {unit}".rstrip()  # short: it stands below an axis


def drawing(histogram: Histogram) -> Markup:
    """The bars of a histogram and its threshold as SVG; numbers only, so that nothing can overlap."""
    width = _WIDTH / len(histogram.accepted)
    parts: list[Markup] = []
    for number, (kept, lost) in enumerate(zip(histogram.accepted, histogram.refused, strict=True)):
        bottom = float(_HEIGHT)
        for kind, value in (("kept", kept), ("lost", lost)):
            tall = max(2.0, value / histogram.highest * (_HEIGHT - 4)) if value else 0.0
            bottom -= tall
            if value:
                parts.append(_rectangle(kind, number * width + 0.5, bottom, width - 1, tall))
    parts += [_limit((limit - histogram.low) / (histogram.high - histogram.low)) for limit in histogram.limits]
    label = f"histogram of {histogram.column}"
    box: dict[str, Any] = {"width": _WIDTH, "height": _HEIGHT, "label": label, "parts": Markup("").join(parts)}
    return Markup(
        '<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" aria-label="{label}">{parts}</svg>'
    ).format(**box)


def _rectangle(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, x, y, width, height
    )


def _limit(place: float) -> Markup:
    x = f"{place * _WIDTH:.1f}"
    return Markup('<line class="limit" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(x, _HEIGHT)
