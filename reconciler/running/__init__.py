"""The service: what `reconciler run` does again and again, who of several processes does it, and how it is seen.

A duty is a pass over the ledger; `duties.py` lists them. Work comes from the ledger and not from the timetable, so a
duty that fires late, twice or not at all loses nothing.
"""
