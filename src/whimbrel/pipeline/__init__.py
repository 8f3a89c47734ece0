"""The only place that joins stages: mail in, listings and a snapshot out.

In: paths, options and `now` from the command line.  Out: what changed, as plain summaries that the command line prints.
It decides nothing itself: each step is a pure function of another package, called in the order of `ingest.py`.
Deliberately absent: formatting for terminals (`cli`), and any knowledge of how a stage works inside.
Read `ingest.py` first: a screenful that names every step; then `reading.py` and `settle.py`.
"""
