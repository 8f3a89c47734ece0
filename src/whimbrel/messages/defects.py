"""The kinds of defect that reading a message can report; `docs/defects.md` publishes the same list.

A defect is evidence: broken mail is mostly made by broken, and so recognisable, software.  A kind, once published,
keeps its meaning.
"""

from whimbrel.model.facts import DefectKind

KINDS: dict[DefectKind, str] = {
    # The message as a whole
    "empty": "there is nothing in it",
    "nul byte": "it holds a NUL byte",
    "bare cr": "a carriage return stands without its line feed",
    "cr line ends": "lines end in a lone carriage return, and were read so",
    "byte order mark": "it begins with a UTF-8 byte order mark",
    "long line": "a line is longer than the 998 bytes of RFC 5322",
    # Header block
    "no headers": "it has no header field at all",
    "no blank line": "the header block ends at a line that is no header field, not at an empty line",
    "first line continues": "the first header line is a continuation",
    "empty header name": "a header line begins with its colon",
    "blank before colon": "a blank stands between a header's name and its colon",
    "misplaced envelope": "a mailbox envelope line (`From ...`) stands among the headers",
    "header 8bit": "a header holds bytes outside ASCII",
    "repeated header": "a field that may stand once stands twice",
    "long header": "a header's value was cut at its bound",
    "too many headers": "headers after the bound were left out",
    # MIME tree
    "bad content type": "Content-Type is not `type/subtype`",
    "too many parameters": "parameters after the bound were left out",
    "no boundary": "a multipart names no boundary",
    "boundary not found": "no part of a multipart begins with its boundary",
    "repeated boundary": "a multipart names the boundary of one around it",
    "unclosed multipart": "a multipart's closing boundary is missing",
    "too deep": "parts nested deeper than the bound were not opened",
    "too many parts": "parts after the bound were left out",
    # Decoding
    "unknown encoding": "Content-Transfer-Encoding is none that is known",
    "multipart encoded": "a multipart or message claims to be base64 or quoted-printable",
    "bad base64": "base64 holds foreign characters or is cut short",
    "bad uuencode": "uuencoded lines are malformed",
    "unknown charset": "the declared charset is none that is decoded",
    "wrong charset": "the bytes are not text in the declared charset",
    "bad encoded word": "an encoded word (RFC 2047) does not decode",
    # Text, URLs, files
    "hidden text": "HTML holds text that its reader does not see",
    "too many urls": "web addresses after the bound were left out",
    "archive bomb": "an archive's members are out of all proportion to its size",
    "archive path trick": "an archive's member would be written outside its folder",
    "archive damaged": "an archive is cut short or malformed",
    "archive without directory": "a zip's directory is missing or damaged; members were read by their own headers",
    "archive with too many members": "members after the bound were left out",
    "archive encrypted": "an archive's member is encrypted",
    "archive overlapping": "members of an archive share bytes",
    "long file name": "a file's name was cut at its bound",
    "double extension": "a file's name hides that it is a program behind another extension",
    "turned file name": "a file's name holds characters that turn the direction of reading",
    "type mismatch": "a file is a program under another name or type, or a declared image that is none",
    "runnable in archive": "a zip holds a program or script",
    "long text": "the text was cut at its bound",
    # Given by others
    "abandoned": "reading it took too long and was given up (reported by the pool)",
}
