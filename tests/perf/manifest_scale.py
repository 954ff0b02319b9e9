"""Seconds and peak memory to open and split a manifest: `python tests/perf/manifest_scale.py [ROWS]` (1,000,000).

Each figure is of a fresh process; the last row makes the list invalid by repeating an id at its very end.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from chdtf.errors import UserError
from chdtf.manifest import read_manifest_table, write_manifest
from chdtf.schema import MANIFEST
from chdtf.splits import splits_of


def big_table(count: int, repeated: bool = False) -> pa.Table:
    """Rows as VoxCeleb2's: ten to a video, half of them with a crop; 6,000 speakers."""
    number = np.arange(count)
    start_s = number % 1000 / 25
    corners = np.tile([0.1, 0.05, 0.6, 0.95], (count + 1) // 2) + np.repeat(number[::2] % 7 / 1000, 4)
    offsets = np.concatenate([[0], np.cumsum(4 * (number % 2 == 0))]).astype(np.int32)
    ids = [f"id{i % 6000:05d}_{i // 10:011d}_{i % 10:05d}" for i in range(count)]
    if repeated:
        ids[-1] = ids[0]
    columns = {
        "video_id": ids,
        "url": [f"https://www.youtube.com/watch?v={i // 10:011d}" for i in range(count)],
        "start_s": start_s,
        "end_s": start_s + 7.96,
        "speaker_id": [f"id{i % 6000:05d}" for i in range(count)],
        "language": ["und"] * count,
        "license": ["CC-BY-4.0, as its authors state"] * count,
        "split": pa.nulls(count, pa.string()),
        "crop": pa.ListArray.from_arrays(pa.array(offsets), pa.array(corners), mask=pa.array(number % 2 == 1)),
        "sha256": pa.nulls(count, pa.string()),
    }
    return pa.table([pa.array(columns[name], MANIFEST.field(name).type) for name in MANIFEST.names], MANIFEST)


def peak_mib() -> float:
    """This process's peak memory since it began; `ru_maxrss` would count the process that started it too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(path: Path) -> None:
    """Open, split, and print the figures of this process."""
    started = time.perf_counter()
    try:
        outcome = f"{splits_of(read_manifest_table(path)).num_rows} rows"
    except UserError as error:
        outcome = str(error).removeprefix(str(path)).removeprefix(", ")
    size = path.stat().st_size / 2**20
    sys.stdout.write(
        f"{path.name} ({size:.0f} MiB): {time.perf_counter() - started:.1f} s, peak {peak_mib():.0f} MiB: {outcome}\n"
    )


def main() -> None:
    """Write the lists, then measure each in a process of its own."""
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        names = ["good.csv", "good.parquet", "repeated.csv", "repeated.parquet"]
        for name in names:
            path = Path(folder) / name
            write_manifest(big_table(count), path)
            if name.startswith("repeated"):
                _repeat_first_id(path, count)
            subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True)


def _repeat_first_id(path: Path, count: int) -> None:
    from chdtf.manifest_csv import write_csv
    from chdtf.manifest_parquet import write_parquet

    (write_csv if path.suffix == ".csv" else write_parquet)(big_table(count, repeated=True), path)


if __name__ == "__main__":
    main()
