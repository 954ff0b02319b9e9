"""Make a manifest of a CSV of YouTube ids, intervals and boxes."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._import import say_imported


@dataclasses.dataclass(frozen=True)
class Command:
    """Make a manifest of a CSV of YouTube ids or links, with intervals, boxes, speakers, languages if it has them."""

    list: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LIST")]
    """CSV in UTF-8; its first line names the columns."""
    out: Path = Path("manifest.csv")
    """Where to write the manifest; its account goes beside it."""
    video: str = "youtube_id"
    """Column of the YouTube id, or of a link to the video."""
    start: str = "start"
    """Column of the start: seconds, m:s or h:m:s. Absent: from the beginning."""
    end: str = "end"
    """Column of the end. Absent: to the end."""
    box: str = "x0,y0,x1,y1"
    """Four columns, or one that holds four numbers. Absent: the face is tracked."""
    width_height: bool = False
    """A box is x, y, width, height; else x0, y0, x1, y1."""
    frame: str = "fractions"
    """What boxes are measured in: fractions of the frame, or pixels of one of this size: 1280x720, or two columns such
    as width,height."""
    speaker: str = "speaker_id"
    """Column of the speaker. Absent: every video is a speaker of its own."""
    language_column: str = "language"
    """Column of the language, a BCP 47 tag."""
    language: str = "und"
    """BCP 47 tag of rows whose language the CSV does not give."""
    license: str = "unknown"
    """Licence for all rows."""

    def run(self) -> int:
        """Write manifest and account."""
        from pipelines.sources.importers import Account, write_import
        from pipelines.sources.importers.csv_list import BoxForm, Columns, from_csv

        columns = Columns(self.video, self.start, self.end, self.box, self.speaker, self.language_column)
        account: Account = []
        form = BoxForm(self.width_height, None if self.frame == "fractions" else self.frame)
        rows = from_csv(self.list, account, columns, form, self.language, self.license)
        count = write_import(rows, account, self.out)
        say_imported(count, account, self.out)
        return 0
