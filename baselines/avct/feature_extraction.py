"""What AVCT calls in place of OpenFace's FeatureExtraction: it gives the head pose that is known already.

`feature_extraction.py CSV -f IMAGE -out_dir FOLDER -pose` copies CSV to `FOLDER/IMAGE's name.csv`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path


def main() -> None:
    """Do as OpenFace does with these options."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("csv", type=Path)
    parser.add_argument("-f", dest="image", type=Path, required=True)
    parser.add_argument("-out_dir", dest="folder", type=Path, required=True)
    parser.add_argument("-pose", action="store_true", required=True)
    given = parser.parse_args()
    if not given.image.is_file():
        parser.error(f"{given.image}: no such picture")
    given.folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(str(given.csv), str(given.folder / (given.image.stem + ".csv")))


if __name__ == "__main__":
    main()
