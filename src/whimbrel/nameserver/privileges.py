"""From root, who may bind port 53, to a user who may do nothing else."""

import os
import pwd

from whimbrel.errors import ConfigError


def become(user: str) -> None:
    """Run as a user from here on, for good, with that user's groups.

    Raises ConfigError where there is no such user, or this process may not change to it.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"there is no user {user!r}; make one (useradd --system {user}), or name another") from None
    if (os.getuid(), os.geteuid(), os.getegid()) == (entry.pw_uid, entry.pw_uid, entry.pw_gid):
        return
    if os.geteuid() != 0:
        raise ConfigError(f"only root can become {user!r}; leave --user out, or start as root")
    if entry.pw_uid == 0:
        raise ConfigError("root keeps every privilege; name a user that has none")
    os.initgroups(user, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
