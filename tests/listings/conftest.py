"""Makes `bench` importable: the causal replay is tested like any other code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
