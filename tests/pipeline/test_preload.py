"""What the fork server loads before it forks; that readers begin with it stands in `test_pool.py`."""

import subprocess
import sys


def test_it_loads_the_parsers_and_the_suffix_list() -> None:
    script = (
        "import sys, whimbrel.pipeline.preload\nfrom whimbrel.messages.suffixes import suffixes\n"
        "assert suffixes.cache_info().currsize == 1\nassert 'whimbrel.pipeline.reading' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
