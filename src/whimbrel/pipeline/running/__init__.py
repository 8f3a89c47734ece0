"""`whimbrel run`: one process tree that watches, reads, decides, publishes, serves and ends what is over.

    supervisor   the control process: settings, signals, the loop; starts and watches the children
      cycle      one turn: what arrived -> evidence -> decisions -> snapshot; each step retried by itself after a fault
      watching   being told of changes
      metrics, health   what Prometheus and an orchestrator ask, over HTTP
    child        the name server: a process of its own, on sockets that the control process holds for it
    readers      `pipeline.pool`

In: settings, places of mail, signals.  Out: the store, the snapshot, answers, logs, metrics.  Deliberately absent: work
of its own; each step is the same function that a command calls.  Read `supervisor.py` first, then `cycle.py`.
"""
