"""Where observations come from.

In: paths of mail, an index of labels, lines of observations; and the hops of messages, from which `boundary` learns
which servers are the receiver's own.  Out: messages as bytes with their places (`mailfiles`), labels (`labels`),
normalised observations (`observed`), the connecting client (`boundary`).

Deliberately absent: nothing here looks into a message beyond telling that it is one, stores anything, or decides
anything.  Read `mailfiles.py` first.
"""
