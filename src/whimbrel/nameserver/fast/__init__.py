"""The same answers, compiled: for the socket loop, and for the kernel.

`answer.py` (here) gives the bytes of `nameserver/answer.py` for what is asked all day, and hands on the rest. It
stands on `packet.py` (bytes), `question.py` (what is asked) and `search.py` (finding it in the list); `tables.py`
makes a snapshot's arrays for it. `batch.py` answers many at once, `loop.py` receives and sends them, `kernel.py` is
the build for the kernel, of `frame.py` (Ethernet, IP, UDP), `entry.py` and `bpf.py`. `insides.py` is all that leans
on Numba's and llvmlite's insides.

Nothing here is imported before the reference answers: compiling takes seconds, the first time.
"""
