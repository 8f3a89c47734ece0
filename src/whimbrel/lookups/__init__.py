"""What others know of addresses: tables of AS and prefixes, and leases, as an operator hands them over in files.

In: a file (`networks.open_table`, `leases.read_leases`) and hosts.  Out: Arrow tables, what is to be said of the file,
and a digest of it.  Deliberately absent: fetching files, guessing where they are silent, and changing the evidence,
which stays as the sensor said it.

Read `networks.py` first.
"""
