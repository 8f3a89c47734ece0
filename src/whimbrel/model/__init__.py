"""The values that travel between the stages: frozen, typed, without behaviour beyond their own meaning.

In and out: nothing; every other package imports this one.  Deliberately absent: input and output, clocks, and any
judgement (no scores, no policy).  Read `observation.py` first, then `facts.py`.
"""
