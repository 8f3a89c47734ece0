"""Every bound of reading a message, with its reason: what is beyond one is left out and reported as a defect."""

# Postfix bounds one header at 102,400 bytes (header_size_limit).
HEADER_BYTES = 102_400
# The longest header block of 11,000 messages of 1995-2026 has under 200 fields; five times that is no mail.
HEADERS = 1_000
# RFC 5322, section 2.1.1: a line must not be longer, its end left out.
LINE_BYTES = 998
# Postfix stops at 100 (mime_nesting_limit), ClamAV at 17; the deepest real message seen has 9 levels.
DEPTH = 32
# The largest real message seen has under 100 parts.
PARTS = 1_000
# Content-Type with more parameters than this is an attack; RFC 2231 continuations of a long file name use 10.
PARAMETERS = 64
# RFC 2046 allows 70 characters of boundary; software exceeds that, and no more than a line.
BOUNDARY_BYTES = LINE_BYTES
# 99.9 % of visible texts are shorter, and what a campaign repeats is repeated within it.
TEXT_CHARS = 65_536
# Plain text or HTML beyond this is not searched for URLs.
TEXT_PART_BYTES = 1_048_576
# All text parts together: many parts do not add up to more work than one large one.
TEXT_BYTES = 4 * TEXT_PART_BYTES
# RFC 5322's line: a longer subject is cut.
SUBJECT_CHARS = LINE_BYTES
# File systems stop at 255 bytes.
FILENAME_CHARS = 255
# Web addresses kept of one message.
URLS = 1_000
# Defects kept of one message.
DEFECTS = 100
# Recipients named by one message; Postfix hands over 1,000 at most (smtpd_recipient_limit).
RECIPIENTS = 1_000
# A skeleton is a key, and a key is short; the longest of a real client's is 600 characters.
SKELETON_CHARS = 1_000
