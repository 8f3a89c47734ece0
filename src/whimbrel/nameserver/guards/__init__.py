"""What stands between a name server and those who ask: who may, how much, whose address is proved, and what is counted.

In come a packet, its client and the time, out go an answer or nothing.  Each guard has its state in NumPy arrays, and
two forms on the same state: the clear reference in a file of its own, and the same in `fast.py` for a packet loop that
holds no GIL, loaded by that loop alone.  Deliberately absent: sockets, clocks, and what a listing is.

Read `guard.py` first (the order of things), then `cookies.py`, `limits.py`, `access.py`, `quota.py`, `counts.py`.
"""
