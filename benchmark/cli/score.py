"""Score a folder of videos against a folder of references, paired by file name, with no dataset built."""

import dataclasses
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from benchmark.cli._console import say
from chdtf.errors import UserError

if TYPE_CHECKING:
    from benchmark.metric import MetricBase

TRUTH = "gt"


@dataclasses.dataclass(frozen=True)
class Command:
    """Score any folder of videos: pair by file name, bring to one form, measure, print the leaderboard.

    Every reference is an expected clip; one without a generated video is null in every column. The references are
    scored beside it as ground truth. Run the same command again to continue after an interruption.
    """

    generated: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """The method's videos, any container."""
    reference: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Real videos of the same names. Without them only metrics that need none are computed."""
    audio: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """The sounds that drove the method, by name. Default: the references' own; without those, the generated videos'."""
    own_sound: bool = False
    """Score the sound in the generated videos instead of what drove the method."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where scores and tables go. Default: results/NAME-OF-THE-METHOD."""
    method: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """Name in tables. Default: that of the folder."""
    label: Annotated[str, tyro.conf.arg(metavar="TEXT")] = ""
    """The method as LaTeX and the page print it. Default: its name."""
    input: Literal["image", "video", "unknown"] = "unknown"
    """What the method is given beside the speech: one image of the speaker, or a video. Stands in the tables."""
    eye_blink: Literal["generated", "hand craft", "from reference", "none", "unknown"] = "unknown"
    """Where its blinks come from; "none": it does not blink. Stands in the tables."""
    metric: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compute. Default: all, or without references those that need none."""
    panel: Annotated[str, tyro.conf.arg(metavar="X,Y,W,H")] = ""
    """Part of the frame that holds the method's output, in px: for side-by-side videos."""
    offset_frames: int = 0
    """Reference frame, at 25 fps, that the first generated frame shows; -2: two generated frames come before it."""
    geometry: Literal["same_frame", "pasted_back", "method_crop", "recrop"] = "same_frame"
    """How the generated frames lie against the references: the same picture; the face pasted back into it; a crop of
    the method's own, where metrics of pixels are null; such a crop, undone by landmarks for metrics named @recrop."""
    speakers: Annotated[Path | None, tyro.conf.arg(metavar="FILE.csv")] = None
    """Columns clip,speaker,language. Intervals are taken over speakers. Default: every clip is one."""
    speaker_from_name: bool = False
    """Take a clip's name up to its first underscore for its speaker."""
    skip_ground_truth: bool = False
    """Do not score the references beside the generated videos."""
    keep_normalised: bool = False
    """Write the videos as the metrics saw them, lossless, to OUT/normalised."""
    workers: int = os.cpu_count() or 1
    """Processes; with --engine ray the CPUs of a fresh cluster."""
    engine: Literal["local", "ray"] = "local"
    """Where the work runs: processes of this machine, or a Ray cluster."""
    ray_address: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Address of a Ray cluster, or "auto" for the one of this machine. Default: a fresh one."""

    def run(self) -> int:
        """Score, and print the leaderboard; 1 when an expected clip has no generated video."""
        from benchmark.bootstrap import SEED as BOOTSTRAP_SEED
        from benchmark.cli._board import make_folder
        from benchmark.cli._scoring import ray_runner, score_and_keep, show, weights_used
        from benchmark.folders import pair, read_speakers
        from benchmark.normalise import AS_IS, Normalise
        from benchmark.summary import GROUND_TRUTH, METHOD
        from chdtf.record import RunRecord

        if self.audio and self.own_sound:
            raise UserError("--audio names the sounds to score with, --own-sound refuses them; give one of the two")
        how = Normalise(parse_panel(self.panel), self.offset_frames, self.geometry)
        speakers = read_speakers(self.speakers) if self.speakers else None
        pairing = pair(self.generated, self.reference, self.audio, speakers, self.own_sound, self.speaker_from_name)
        name, metrics = self._name(), self._metrics()
        out = self.out or Path("results") / name
        for line in pairing.account():
            say(line)
        jobs, normalise, kinds = {name: pairing.items}, {name: how}, {name: METHOD}
        if pairing.truth and not self.skip_ground_truth:
            jobs = {TRUTH: pairing.truth, **jobs}
            normalise[TRUTH], kinds[TRUTH] = AS_IS, GROUND_TRUTH
        dataset = (self.reference or self.generated).resolve().name
        told = {"label": self.label, "input": self.input, "eye_blink": self.eye_blink}
        facts = {name: {key: value for key, value in told.items() if value not in ("", "unknown") or key == "label"}}
        config = {**dataclasses.asdict(self), "dataset": dataset, "kinds": kinds, "facts": facts}
        config["seeds"] = {"bootstrap": BOOTSTRAP_SEED}
        record = RunRecord.start(sys.argv, config)
        record.weights = weights_used(metrics)
        make_folder(out)
        record.write(out)
        outcome = "failed"
        try:
            runner = ray_runner(self.engine, self.ray_address, self.workers)
            scores = score_and_keep(jobs, out, metrics, normalise, self.workers, runner, self.keep_normalised)
            show(scores, jobs, kinds, dataset, out)
            outcome = "incomplete" if pairing.missing else "done"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        finally:
            record.finish(out, outcome)
        return 1 if pairing.missing else 0

    def _name(self) -> str:
        from benchmark.score import check_method_name

        name = self.method or re.sub(r"[^A-Za-z0-9._-]+", "-", self.generated.resolve().name).strip("-._") or "method"
        if name == TRUTH and self.reference and not self.skip_ground_truth:
            raise UserError(f"method name {TRUTH!r} is that of the references; choose another with --method")
        check_method_name(name)
        return name

    def _metrics(self) -> "list[MetricBase]":
        from benchmark.metric import get_metric, metric_names

        if self.metric:
            return [get_metric(name) for name in dict.fromkeys(self.metric)]
        metrics = [get_metric(name) for name in metric_names()]
        return metrics if self.reference else [metric for metric in metrics if "reference" not in metric.needs]


def parse_panel(text: str) -> tuple[int, int, int, int] | None:
    """`x,y,width,height` in px, or None of "". Raises `UserError`."""
    if not text:
        return None
    if not re.fullmatch(r"\d+(,\d+){3}", text.replace(" ", "")):
        raise UserError(f"--panel {text}: give x,y,width,height in px, such as 256,0,256,256")
    x, y, width, height = map(int, text.split(","))
    return x, y, width, height
