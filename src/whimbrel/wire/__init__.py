"""Bytes to values and back, for every format that comes from outside or goes out; no input and no output.

In: bytes as another program wrote them (a `Received` line, a DNS packet, a snapshot's pages).  Out: frozen values, or
bytes.  Nothing here raises on hostile bytes unless its contract says so, and everything is linear in time.
Deliberately absent: sockets, files, clocks, and judgement (whether a line is to be believed is `sensors.boundary`'s
business).  Read `received.py` first: it is the part that decides who may be accused.
"""
