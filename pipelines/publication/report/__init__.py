"""The report that a person opens: report.html of a published folder, one file that needs no network.

It is made from what is published, from the run records and, where it is still there, from work/. Seconds are in it, so
it differs between two builds of the same dataset; `dataset.json` therefore does not list it.
"""

from pathlib import Path

from chdtf.files import write_text
from pipelines.publication.report.data import gather
from pipelines.publication.report.page import render

REPORT = "report.html"


def write_report(root: Path) -> Path:
    """Write report.html of a published folder. Raises `UserError` when it holds no dataset or a corrupt one.

    Call it after the run's record is written: the seconds by stage come from there. The page has a bounded size
    whatever the number of clips.
    """
    path = root / REPORT
    write_text(path, render(gather(root.absolute())))
    return path
