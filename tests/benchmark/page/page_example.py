"""Data of a page, made up: a leaderboard of any size in the form of `benchmark.tables.page_data`."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

HOSTILE = '<img src=x onerror="window.hacked=1">'
METRICS = (
    # name, label, unit, better, digits, a method's value, its spread
    ("lse_c", "LSE-C", "", "higher", 3, 5.5, 1.2),
    ("lmd", "LMD", "px", "lower", 3, 2.7, 0.5),
    ("blink", "Blink", "1/s", "truth", 3, 0.25, 0.15),
    ("cpbd", "CPBD", "", "higher", 3, 0.16, 0.03),
    ("psnr", "PSNR", "dB", "higher", 2, 21.0, 4.0),
    ("av_offset", "AV offset", "frames", "truth", 2, 0.0, 1.0),
    ("csim", "CSIM", "", "higher", 3, 0.8, 0.08),
    ("ear", "EAR", "", "truth", 3, 0.29, 0.02),
    ("f_lmd", "F-LMD", "px", "lower", 3, 3.1, 0.6),
    ("fid", "FID", "", "lower", 2, 40.0, 12.0),
    ("fps", "FPS", "1/s", "higher", 2, 12.0, 9.0),
    ("lpips", "LPIPS", "", "lower", 3, 0.22, 0.08),
    ("lpips_consecutive", "LPIPS to previous", "", "truth", 4, 0.011, 0.003),
    ("lse_d", "LSE-D", "", "lower", 3, 8.0, 0.9),
    ("ssim", "SSIM", "", "higher", 3, 0.6, 0.1),
    ("cpbd_unit_luma", "CPBD, luma in [0, 1]", "", "higher", 3, 0.7, 0.15),
)
NAMES = ("SadTalker", "IP_LAP", "StyleTalk", "DreamTalk", "AniPortrait", "Hallo", "DisentTalk", "EchoMimic", "VASA")
FETCH = "weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2"
UNWEIGHTED = ("lse_c", "lse_d", "av_offset")
GONE = "missing_video: the method ended with status 1"


def metric(name: str, label: str, unit: str, better: str, digits: int) -> dict[str, Any]:
    variant = "cpbd" if name == "cpbd_unit_luma" else ""
    source = f"made up for the tests of the page; after the authors' {label}"
    made = {"name": name, "label": label, "unit": unit, "better": better, "digits": digits, "source": source}
    return made | {"version": 1, "variant_of": variant, "has_clip_value": name not in ("fid", "fps")}


def cell(value: float | str | None, digits: int, half: float | None = None, **changes: Any) -> dict[str, Any]:
    numeric = isinstance(value, float)
    made = {
        "value": value,
        "low": value - half if numeric and half else None,
        "high": value + half if numeric and half else None,
        "interval_reason": "",
        "scored": 4,
        "expected": 4,
        "infinite": 0,
        "speakers": 4,
        "reasons": [],
        "tie_group": None,
        "mark": "",
        "text": f"{value:.{digits}f}" if numeric else value or "null",
    }
    return made | changes


def methods(number: int) -> list[dict[str, Any]]:
    made = [{"name": "ground_truth", "label": "Ground truth", "kind": "ground_truth", "input": "", "eye_blink": ""}]
    for place in range(number):
        name = NAMES[place % len(NAMES)] + ("" if place < len(NAMES) else str(place))
        kind = "video" if name == "IP_LAP" else "image"
        eyes = ("generated", "from reference", "hand craft", "none")[place % 4]
        made.append({"name": name.lower(), "label": name, "kind": "method", "input": kind, "eye_blink": eyes})
    made.append({"name": "shifted_audio", "label": "shifted audio", "kind": "control", "input": "", "eye_blink": ""})
    return made


def measured(method: dict[str, Any], clips: int, draw: np.random.Generator) -> dict[str, Any]:
    cells = {}
    expected = {"scored": clips, "expected": clips, "speakers": clips}
    for name, _, _, _, digits, middle, spread in METRICS:
        value = float(f"{middle + spread * draw.normal() / 1.5:.6g}")
        cells[name] = cell(value, digits, spread / 3, **expected)
        if method["kind"] == "ground_truth" and name == "psnr":
            cells[name] = cell("inf", digits, **expected | {"infinite": clips})
        elif name in UNWEIGHTED:
            cells[name] = cell(None, digits, **expected | {"scored": 0, "reasons": [[FETCH, clips]]})
        elif method["label"] == "Hallo" and name == "lmd":
            cells[name] |= {"scored": clips - 1, "reasons": [[GONE, 1]]}
    if method["kind"] == "control":
        del cells["fps"]
    return cells


def printed(draw: np.random.Generator) -> dict[str, Any]:
    unknown = {"scored": 0, "expected": 0, "speakers": 0}
    return {
        name: cell(float(f"{middle + spread * draw.normal() / 1.5:.6g}"), digits, **unknown)
        for name, _, _, _, digits, middle, spread in METRICS[:5]
    }


def table(dataset: str, subset: str, clips: int, listed: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for origin in ("measured", "paper"):
        for method in listed:
            if origin == "measured" or method["kind"] != "control":
                cells = measured(method, clips, draw) if origin == "measured" else printed(draw)
                row = {key: method[key] for key in ("label", "kind", "input", "eye_blink")}
                rows.append(row | {"method": method["name"], "origin": origin, "clip_set": "abc", "cells": cells})
    for name, _, _, better, *_ in METRICS[:-1]:
        competing = [row["cells"][name] for row in rows if (row["kind"], row["origin"]) == ("method", "measured")]
        ranked = [one for one in competing if one["scored"] == clips]
        for number, one in enumerate(sorted(ranked, key=lambda one: one["value"] * (-1 if better == "higher" else 1))):
            is_clear = name in ("lmd", "cpbd", "psnr", "fps")
            marks = ("best", "second") if is_clear else ()
            group = number + 1 if number < 2 and is_clear else 1 + number // 2 * 2
            one |= {"tie_group": group, "mark": marks[number] if number < len(marks) else ""}
    return {"dataset": dataset, "split": "test", "subset": subset, "num_clips": clips, "rows": rows}


def ear_curve(frames: int, draw: np.random.Generator) -> list[float | None]:
    values = 0.29 + 0.006 * np.cumsum(draw.normal(size=frames)) / 5
    for start in draw.integers(5, max(6, frames - 8), max(1, frames // 60)):
        values[start : start + 5] = [0.2, 0.09, 0.06, 0.13, 0.22]
    return [float(f"{value:.6g}") for value in values]


def lpips_curve(frames: int, draw: np.random.Generator) -> list[float | None]:
    return [None, *(float(f"{abs(x):.6g}") for x in 0.012 + 0.005 * draw.normal(size=frames - 1))]


CURVES = {"ear": ear_curve, "lpips_consecutive": lpips_curve}


def example(num_methods: int = 7, num_clips: int = 4, frames: int = 50, hostile: bool = False) -> dict[str, Any]:
    """Two data sets, one of two languages; the first method hostile if wanted. Videos are `<method>/<clip>.mp4`."""
    listed = methods(num_methods)
    if hostile:
        listed[1] |= {"label": HOSTILE, "eye_blink": "</script><!--"}
    draw = np.random.default_rng(1)
    clips: list[dict[str, Any]] = []
    curves: dict[str, list[dict[str, Any]]] = {"ear": [], "lpips_consecutive": []}
    pools = {name: [curve(frames, draw) for _ in range(20)] for name, curve in CURVES.items()}
    for dataset, offset in (("HDTF", 0), ("CHDTF", 1)):
        for number in range(num_clips):
            clip_id = f"{dataset.lower()}_{number:03d}"
            scores = {}
            for method in listed:
                cells = {}
                for name, _, _, _, digits, middle, spread in METRICS:
                    if name in ("fid", "fps"):
                        continue
                    value: float | str | None = round(float(middle + spread * draw.normal()), digits + 3)
                    reason = None
                    if name in UNWEIGHTED:
                        value, reason = None, FETCH
                    elif method["label"] == "Hallo" and number == 1:
                        value, reason = None, GONE
                    elif method["kind"] == "ground_truth" and name == "psnr":
                        value = "inf"
                    cells[name] = {"value": value, "reason": reason, "details": {}}
                    if name in curves and value is not None:
                        curve = pools[name][len(curves[name]) % 20]
                        found = {"dataset": dataset, "clip_id": clip_id, "method": method["name"], "fps": 25}
                        curves[name].append(found | {"values": curve})
                scores[method["name"]] = cells
            videos = {m["name"]: f"generated/{m['name']}/{clip_id}.mp4" for m in listed if m["kind"] != "ground_truth"}
            if number == 1:
                videos.pop("hallo", None)
            clip = {"dataset": dataset, "split": "test", "clip_id": clip_id, "speaker_id": f"speaker {number}"}
            clip |= {"language": ("en", "zh")[(number + offset) % 2 if dataset == "CHDTF" else 0]}
            clips.append(clip | {"reference": f"inputs/{clip_id}.mp4", "videos": videos, "scores": scores})
    tables = [table("HDTF", "all", num_clips, listed, 1), table("CHDTF", "all", num_clips, listed, 2)]
    tables += [table("CHDTF", language, num_clips // 2, listed, 3) for language in ("en", "zh")]
    gate = {"gate": "shifted_audio", "claim": "sound that is 5 frames late is found 5 frames late", "dataset": "HDTF"}
    gate |= {"split": "test", "state": "not judged", "detail": FETCH, "metrics": ["lse_c"]}
    copied = {"gate": "ground_truth", "claim": "a copy has an infinite PSNR", "dataset": "CHDTF", "split": "test"}
    copied |= {"state": "passed", "detail": "4 of 4 clips", "metrics": ["psnr"]}
    second = {
        "table": "II",
        "caption": "Comparison on CHDTF.",
        "metrics": [{"name": "lse_c", "label": "LSE-C"}, {"name": "psnr", "label": "PSNR"}],
        "rows": [
            {
                "dataset": "CHDTF",
                "label": "GT",
                "category": "",
                "eye_blink": "",
                "values": {"lse_c": 7.1, "psnr": "inf"},
            },
            {"dataset": "CHDTF", "label": "Hallo", "category": "Diffusion", "eye_blink": "", "values": {"lse_c": 5.2}},
        ],
    }
    return {
        "version": 1,
        "metrics": [metric(*one[:5]) for one in METRICS],
        "methods": listed,
        "tables": tables,
        "gates": [gate, copied],
        "clips": clips,
        "curves": curves,
        "paper": [second],
        "notes": ["FID of 4 clips is biased: read it as a difference between methods of one table only."],
    }


def write_video(path: Path, seconds: float = 2.0, shade: int = 0) -> None:
    """A small video whose brightness tells the frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for number in range(round(25 * seconds)):
            image = np.full((64, 64, 3), (shade, 40, 3 * number % 256), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def write_videos(data: dict[str, Any], folder: Path, clips: int = 1, seconds: float = 2.0) -> None:
    for clip in data["clips"][:clips]:
        for shade, path in enumerate([clip["reference"], *clip["videos"].values()]):
            write_video(folder / path, seconds, 20 * shade)
