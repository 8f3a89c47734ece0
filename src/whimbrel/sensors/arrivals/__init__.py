"""Places where mail arrives, and what has come since they were last looked at.

A place is looked at as often as one likes, as a whole or only at paths that are said to have changed.  What a look
finds is given in pieces of bounded size, each with what says that it was read: keys of whole files, or a mark in a file
that grows.  When the caller has it safe, he says so (`Place.keep`); until then the next look finds it again.

In: paths, a clock, and what was kept before.  Out: messages as bytes (`Found`).  Deliberately absent: being told of
changes, and reading what a message says.  Read `place.py` first, then `files.py` (maildirs and folders) and
`growing.py` (mbox files).
"""

from whimbrel.sensors.arrivals.files import Folder, Maildir
from whimbrel.sensors.arrivals.growing import Mbox
from whimbrel.sensors.arrivals.place import Found, Place

__all__ = ["Folder", "Found", "Maildir", "Mbox", "Place"]
