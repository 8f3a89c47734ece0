"""Every bound of reading a message, with its reason: what is beyond one is left out, and most cuts are told as defects.

"Seen" is the most in 11,640 messages: SpamAssassin 2001-2002, phishing 2022-2026, bounces 1995-2025, and the test sets
of other parsers, whose made-up extremes are not counted.
"""

# Postfix bounds one header at 102,400 bytes (header_size_limit); seen: 24,174.
HEADER_BYTES = 102_400
# Seen: 125.
HEADERS = 1_000
# RFC 5322, section 2.1.1: a line must not be longer, its end left out.
LINE_BYTES = 998
# Postfix stops at 100 (mime_nesting_limit), ClamAV at 17 (MaxRecursion); seen: 7.
DEPTH = 32
# Seen: 60.
PARTS = 1_000
# Seen: 6; RFC 2231 continuations of a long file name use 10.
PARAMETERS = 64
# RFC 2046 allows 70 characters; a boundary is part of a line, and seen: 71.
BOUNDARY_BYTES = LINE_BYTES
# What a campaign repeats is repeated within it; 99.9 % of visible texts in the shipped mail are shorter.
TEXT_CHARS = 65_536
# A text part beyond this is cut before it is decoded: at 60 characters a line, a book.
TEXT_PART_BYTES = 1_048_576
# All text parts together: many parts do not add up to more work than a few large ones.
TEXT_BYTES = 4 * TEXT_PART_BYTES
# RFC 5322's longest line.
SUBJECT_CHARS = LINE_BYTES
# File systems stop at 255 bytes.
FILENAME_CHARS = 255
# Web addresses kept of one message; seen: under 700 in one part.
URLS = 1_000
# Defects kept of one message: a hundred say that it is broken.
DEFECTS = 100
# Postfix delivers to 1,000 recipients at most (smtpd_recipient_limit).
RECIPIENTS = 1_000
# A skeleton is a key and meant to be short; seen: 815 characters of header names.
SKELETON_CHARS = 1_000
