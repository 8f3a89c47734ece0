"""Files in a message: what they are by content, what an archive among them holds, and what they pretend."""

import hashlib
import re
from collections.abc import Callable

from whimbrel.messages import filetypes
from whimbrel.messages.archives import Contents, gzip_contents, tar_contents, zip_contents
from whimbrel.model.facts import Attachment, Defect, DefectKind

# A file name of POSIX and Windows file systems has at most 255 characters; more is a trick, and is cut.
MAX_FILENAME_CHARACTERS = 255

# Extensions that a Windows machine runs at a double click (Outlook's list of blocked attachments, level 1, in part).
_RUNNABLE = frozenset(
    "ade adp app bas bat chm cmd com cpl crt dll exe gadget hlp hta inf ins isp jar js jse lnk mde msc msi msp mst pif ps1 reg"  # noqa: E501, SIM905
    " scr sct shb shs url vb vbe vbs wsc wsf wsh iso img".split()
)
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})[\s.]*$")
# A harmless-looking extension in front of the true one, with or without the blanks that push that one out of sight.
_DOUBLE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}[\s_.]*\.([A-Za-z0-9]{1,8})[\s.]*$")
# Marks that turn the direction of writing, so that `gpj.exe` reads as `exe.jpg` (Unicode Technical Report 36,
# section 2.10).
_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")

_PROGRAMS = frozenset(
    {filetypes.PE, "application/x-dosexec", "application/x-elf", "application/x-mach-binary", "application/x-ms-shortcut",  # noqa: E501
     "application/java-archive", "application/vnd.android.package-archive", "application/hta", "text/vbscript", "application/x-bat"}  # noqa: E501
)  # fmt: skip
# Types of which a declaration tells something: those of a mail program that knows nothing are not contradicted.
_SAYS_NOTHING = frozenset({"application/octet-stream", "application/x-msdownload", "application/x-msdos-program", ""})

_ARCHIVES: dict[str, Callable[[bytes, str], Contents]] = {
    filetypes.ZIP: zip_contents,
    filetypes.GZIP: gzip_contents,
    filetypes.TAR: tar_contents,
}


def inspect(filename: str, declared_type: str, payload: bytes) -> tuple[Attachment, tuple[Defect, ...]]:
    """Return what the file is and what is wrong with it; any bytes in, bounded work, never raises."""
    name = filename[:MAX_FILENAME_CHARACTERS]
    detected = filetypes.file_type(payload, _extension(name))
    read = _ARCHIVES.get(detected)
    contents = read(payload, name) if read else Contents((), ())
    if detected == filetypes.ZIP:
        detected = filetypes.zip_type(contents.members)
    attachment = Attachment(
        filename=name,
        declared_type=declared_type,
        detected_type=detected,
        size_bytes=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        members=contents.members,
    )
    return attachment, contents.defects + _pretences(filename, declared_type, attachment)


def _extension(filename: str) -> str:
    match = _EXTENSION.search(filename)
    return match[1].lower() if match else ""


def _pretences(filename: str, declared_type: str, attachment: Attachment) -> tuple[Defect, ...]:
    name, detected = attachment.filename, attachment.detected_type
    kinds: list[DefectKind] = []
    if len(filename) > MAX_FILENAME_CHARACTERS:
        kinds.append("long file name")
    double = _DOUBLE.search(name)
    if double and double[1].lower() in _RUNNABLE:
        kinds.append("double extension")
    if _TURNED.search(name):
        kinds.append("turned file name")
    if _contradicts(declared_type, _extension(name), detected):
        kinds.append("type mismatch")
    if any(_extension(member) in _RUNNABLE for member in attachment.members) and detected == filetypes.ZIP:
        kinds.append("runnable in archive")
    return tuple(Defect(kind, name) for kind in kinds)


def _contradicts(declared_type: str, extension: str, detected: str) -> bool:
    """Tell whether a program goes by the name or the type of something else, or an image is none."""
    declared = declared_type.partition(";")[0].strip().lower()
    if detected in _PROGRAMS:
        named = (
            bool(extension)
            and extension not in _RUNNABLE
            and extension not in ("bin", "sys", "ocx", "apk", "so", "dylib", "o")
        )
        return named or (declared not in _SAYS_NOTHING and not declared.startswith(("application/", "text/")))
    if declared.startswith("image/") and detected != filetypes.UNKNOWN:
        return not detected.startswith("image/") and detected not in (
            filetypes.TEXT,
            "application/x-empty",
            "application/xml",
        )
    return False
