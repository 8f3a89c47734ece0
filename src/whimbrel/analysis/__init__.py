"""What the evidence says when it is laid side by side: campaigns, and hosts with their history.

In: Arrow tables of facts and observations (`model.columns`).  Out: Arrow tables: membership, campaigns, host-days,
hosts, networks.  Every table is a function of the *set* of rows given, in a stated order of rows, so neither the
order of ingest nor the number of jobs can show in it.  Deliberately absent: input and output, any database, clocks,
and judgement: what a host deserves is decided in `listings`.  Read `campaigns/__init__.py` first, then `hosts.py`;
`links/` will stand beside them.
"""
