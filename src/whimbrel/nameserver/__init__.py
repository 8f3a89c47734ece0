"""The name server: DNS queries come in over UDP and TCP, answers from the newest good snapshot go out.

It needs a snapshot file and nothing else: no database, no message, no analysis.  Deliberately absent: recursion,
other zones, dynamic updates, and any judgement of its own; what is listed was decided before the snapshot was cut.

Read `answer.py` first (the whole behaviour, a pure function of packet, snapshot and time), then `names.py` (what a name
means), `current.py` (taking up a new snapshot), `guards/` (who may ask, and how much), `server.py` (the event
loop around it), and then `fast/` (the same answers, compiled) with `workers.py` (its threads).  `group.py` and
`steering.py` keep known networks apart from strangers.  `transfer/` gives copies of the zone away.
"""

from whimbrel.model.endpoint import Endpoint
from whimbrel.nameserver.answer import answer
from whimbrel.nameserver.counters import Counters
from whimbrel.nameserver.guards.settings import GuardSettings
from whimbrel.nameserver.server import ServerSettings, serve
from whimbrel.nameserver.sockets import Bound, adopt, bind

__all__ = ["Bound", "Counters", "Endpoint", "GuardSettings", "ServerSettings", "adopt", "answer", "bind", "serve"]
