"""Known networks: those whose queries are answered first when more come than can be answered.

The operator names them, one a line, the most important first: the kernel's program holds some two thousand IPv4
networks, some eight hundred of IPv6 (`steering.py`), and leaves the last ones out.
"""

from pathlib import Path

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards.access import Network, networks

# More than the kernel takes by far, and few enough that a change is steered in a fraction of a second.
MOST = 10_000


def read_known(path: Path) -> tuple[Network, ...]:
    """Return the networks of a file, an address or a network a line; `#` begins a remark.

    Raises ConfigError that names the line which is none.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); it holds known networks, one a line") from None
    found: list[Network] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        try:
            found += networks([text] if text else [])
        except ConfigError as error:
            raise ConfigError(f"{path}: line {number}: {error}") from None
    if len(found) > MOST:
        raise ConfigError(
            f"{path}: {len(found):,} networks; {MOST:,} at most can be known, so merge some into wider ones"
        )
    return tuple(found)
