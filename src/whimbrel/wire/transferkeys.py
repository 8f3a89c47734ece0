"""Files of the keys that sign transfers, as text: one a line, `hmac-sha256:name:secret`, the secret in base64.

So kdig takes such a file (`-k`), and dig such a line (`-y`); Knot's `keymgr -t NAME` prints one.  Lines that start with
`#` are remarks.
"""

import binascii
from typing import NamedTuple

from whimbrel.errors import ConfigError
from whimbrel.wire import dns

# What RFC 8945, section 6, does not advise against.
ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
LEAST_SECRET_BYTES = 16  # RFC 2104, section 3, discourages less than a hash's length; 128 bits are beyond guessing


class TransferKey(NamedTuple):
    """A shared secret: `name` in lower case without a dot at the end, its algorithm, the secret itself."""

    name: str
    algorithm: str
    secret: bytes


def parse(text: str, where: object) -> dict[str, TransferKey]:
    """Return the keys of a file at `where` by name, in its order.

    Raises ConfigError where a line is no key, a name comes twice, or there is no key at all; never shows a secret.
    """
    keys: dict[str, TransferKey] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key = _key(line.strip())
        if isinstance(key, str):
            raise ConfigError(f"{where}: line {number}: {key}; a line is hmac-sha256:name:secret, the secret in base64")
        if key.name in keys:
            raise ConfigError(f"{where}: line {number}: the key {key.name} is there already; give it another name")
        keys[key.name] = key
    if not keys:
        raise ConfigError(f"{where}: no key in it; `keymgr -t NAME` of Knot, or tsig-keygen of BIND, makes one")
    return keys


def _key(line: str) -> TransferKey | str:
    """Return the key of a line, or what is wrong with it."""
    parts = line.split(":")
    if len(parts) != 3:
        return f"{len(parts)} fields, not three"
    algorithm, name, encoded = (part.strip() for part in parts)
    if algorithm.lower() not in ALGORITHMS:
        return f"the algorithm is none of {', '.join(ALGORITHMS)}"
    try:
        dns.write_name(name)
        secret = binascii.a2b_base64(encoded, strict_mode=True)
    except (ValueError, UnicodeError):
        return "the name is no domain name, or the secret no base64"
    if not name.rstrip(".") or len(secret) < LEAST_SECRET_BYTES:
        return f"no name, or a secret of less than {LEAST_SECRET_BYTES} bytes"
    return TransferKey(name.rstrip(".").lower(), algorithm.lower(), secret)
