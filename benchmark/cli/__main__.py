"""`python -m benchmark.cli` is `disentbench`: what `accelerate launch -m` takes."""

import sys

from benchmark.cli import main

if __name__ == "__main__":
    sys.exit(main())
