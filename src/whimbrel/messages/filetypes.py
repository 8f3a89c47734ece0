"""What a file is by its content: a table of magics, and a few looks into what magics cannot tell.

Our own table, because the answer is evidence that is stored and compared: it must not depend on the libmagic of the
machine. Types are media types where IANA has one, the customary `x-` form elsewhere.
"""

import re

UNKNOWN = "application/octet-stream"
PE = "application/vnd.microsoft.portable-executable"
ZIP = "application/zip"
GZIP = "application/gzip"
TAR = "application/x-tar"
OLE = "application/x-ole-storage"
TEXT = "text/plain"

# Magics at the beginning; the longer before the shorter where one begins with the other.
_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\x7fELF", "application/x-elf"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"PK\x07\x08", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"{\\rt", "application/rtf"),  # Word opens it, and malicious files use it
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b", GZIP),
    (b"\x1f\x9d", "application/x-compress"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"MSCF", "application/vnd.ms-cab-compressed"),
    (b"\x60\xea", "application/x-arj"),
    (b"ZOO ", "application/x-zoo"),
    (b"**ACE**", "application/x-ace-compressed"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (b"ITSF", "application/vnd.ms-htmlhelp"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "application/onenote"),
    (b"FWS", "application/x-shockwave-flash"),
    (b"CWS", "application/x-shockwave-flash"),
    (b"ZWS", "application/x-shockwave-flash"),
    (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (b"!BDN", "application/vnd.ms-outlook-pst"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"MThd", "audio/midi"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"#!AMR", "audio/amr"),
    (b".snd", "audio/basic"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"%!PS", "application/postscript"),
    (b"-----BEGIN PGP MESSAGE", "application/pgp-encrypted"),
    (b"-----BEGIN PGP SIGNATURE", "application/pgp-signature"),
    (b"-----BEGIN PGP PUBLIC", "application/pgp-keys"),
)

# Magics further in: offset, octets, type.
_INNER: tuple[tuple[int, bytes, str], ...] = (
    (257, b"ustar", TAR),
    (32_769, b"CD001", "application/x-iso9660-image"),
    (7, b"**ACE**", "application/x-ace-compressed"),
    (2, b"-lh", "application/x-lzh-compressed"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
)
_RIFF = {
    b"WAVE": "audio/vnd.wave",
    b"AVI ": "video/vnd.avi",
    b"WEBP": "image/webp",
    b"ACON": "application/x-navi-animation",
}

# The text at the beginning that text types are told by.
_LOOKED_AT_OCTETS = 4_096

# EICAR's test file is this text, alone or followed by white space (eicar.org, 2003); in two pieces, so that no
# scanner finds this file.
_EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

_HTML = re.compile(
    rb"\s*(?:<!--[^>]{0,256}-->\s*)?<(?:!doctype html|html|head|body|script|table|meta|title|a |p>|div)", re.IGNORECASE
)
_MAIL = re.compile(
    rb"(?:From |(?:Received|Return-Path|From|Date|Message-ID|MIME-Version|Subject|X-[\w-]{1,60}|Delivered-To): ?)",
    re.IGNORECASE,
)
_MAIL_AGAIN = re.compile(rb"\n(?:Received|From|To|Date|Message-ID|MIME-Version|Subject): ?", re.IGNORECASE)
_UUENCODED = re.compile(rb"(?:\A|\n)begin [0-7]{3,4} [^\r\n]{1,255}\r?\n")
_LEADING: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\s*#!\s?/"), "text/x-shellscript"),
    (re.compile(rb"\s*<\?php", re.IGNORECASE), "application/x-php"),
    (
        re.compile(
            rb"\s*(?:<\?xml[^>]{0,256}>\s*)?(?:<!--[^>]{0,256}-->\s*|<!DOCTYPE svg[^>]{0,256}>\s*)?<svg[\s>]",
            re.IGNORECASE,
        ),
        "image/svg+xml",
    ),
    (re.compile(rb"\s*<hta:application|\s*<html>\s*<head>\s*<hta:", re.IGNORECASE), "application/hta"),
    (_HTML, "text/html"),
    (re.compile(rb"\s*<\?xml", re.IGNORECASE), "application/xml"),
    (re.compile(rb"BEGIN:VCALENDAR", re.IGNORECASE), "text/calendar"),
    (re.compile(rb"BEGIN:VCARD", re.IGNORECASE), "text/vcard"),
    (
        re.compile(rb"\s*@?echo off\b|\s*@echo\b|\s*rem [^\r\n]{0,200}\r?\n\s*@?(?:echo|set|cd)\b", re.IGNORECASE),
        "application/x-bat",
    ),
    (re.compile(rb"\s*\[InternetShortcut\]", re.IGNORECASE), "application/x-mswinurl"),
    (re.compile(rb"(?:Windows Registry Editor Version|REGEDIT4)"), "text/x-ms-regedit"),
)

# What a text is by the extension that makes a machine run it, once the content has been seen to be text.
_SCRIPTS = {
    "vbs": "text/vbscript", "vbe": "text/vbscript", "js": "text/javascript", "jse": "text/javascript",
    "wsf": "text/x-wsf", "wsh": "text/x-wsf", "bat": "application/x-bat", "cmd": "application/x-bat",
    "ps1": "text/x-powershell", "hta": "application/hta", "sh": "text/x-shellscript", "py": "text/x-python",
    "pl": "text/x-perl", "php": "application/x-php", "csv": "text/csv", "css": "text/css", "reg": "text/x-ms-regedit",
    "eml": "message/rfc822", "ics": "text/calendar",
}  # fmt: skip
_VBSCRIPT = re.compile(rb"\b(?:createobject\s*\(|on error resume next|wscript\.|dim \w+)", re.IGNORECASE)
_JAVASCRIPT = re.compile(rb"\b(?:new activexobject\s*\(|function\s+\w{1,60}\s*\(|var \w{1,60}\s*=)", re.IGNORECASE)

_OOXML = {"word/": "wordprocessingml.document", "xl/": "spreadsheetml.sheet", "ppt/": "presentationml.presentation"}


def file_type(payload: bytes, extension: str = "") -> str:
    """Return the media type of a file by its content; `extension` (lower case) only chooses among kinds of text."""
    if not payload:
        return "application/x-empty"
    return _by_magic(payload) or _by_text(payload[:_LOOKED_AT_OCTETS], extension)


def zip_type(names: tuple[str, ...]) -> str:  # noqa: PLR0911
    """Return what a zip file is by the names of its members: an Office or Java file, an app, or just a zip file."""
    held = frozenset(names)
    if "AndroidManifest.xml" in held and any(name.endswith(".dex") for name in names):
        return "application/vnd.android.package-archive"
    if "[Content_Types].xml" in held:
        for folder, kind in _OOXML.items():
            if any(name.startswith(folder) for name in names):
                return f"application/vnd.openxmlformats-officedocument.{kind}"
        return "application/vnd.ms-package"
    if "META-INF/manifest.xml" in held and "content.xml" in held:
        return "application/vnd.oasis.opendocument"
    if "META-INF/container.xml" in held:
        return "application/epub+zip"
    if "META-INF/MANIFEST.MF" in held:
        return "application/java-archive"
    return ZIP


def _by_magic(payload: bytes) -> str | None:  # noqa: PLR0911
    if payload[:2] in (b"MZ", b"ZM"):
        return _dos_type(payload)
    if payload[:4] == b"\xca\xfe\xba\xbe":
        # A Java class has its version here (45 and more), a universal Mach-O the number of its architectures.
        return "application/java-vm" if int.from_bytes(payload[4:8], "big") >= 45 else "application/x-mach-binary"
    for magic, kind in _MAGICS:
        if payload.startswith(magic):
            return kind
    if payload[:4] == b"RIFF":
        return _RIFF.get(payload[8:12], "application/x-riff")
    for offset, magic, kind in _INNER:
        if payload.startswith(magic, offset):
            return kind
    if payload[:2] == b"BM" and len(payload) > 26 and payload[6:10] == b"\0\0\0\0":
        return "image/bmp"
    return None


def _dos_type(payload: bytes) -> str:
    header = int.from_bytes(payload[60:64], "little")
    if payload[header : header + 2] == b"PE":
        return PE
    # Cut files, files of 16 bits, and placeholders that keep the magic alone.
    return "application/x-dosexec"


def _by_text(head: bytes, extension: str) -> str:  # noqa: PLR0911
    if head.startswith(_EICAR):
        return "application/x-eicar-test"
    if head[:3] == b"\xef\xbb\xbf":
        head = head[3:]
    elif head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head[2:].replace(b"\0", b"")
    if b"\0" in head:
        return UNKNOWN
    for pattern, kind in _LEADING:
        if pattern.match(head):
            return kind
    if extension in _SCRIPTS:
        return _SCRIPTS[extension]
    if _MAIL.match(head) and _MAIL_AGAIN.search(head):
        return "message/rfc822"
    if _UUENCODED.search(head):
        return "text/x-uuencode"
    if len(_VBSCRIPT.findall(head)) >= 2:
        return "text/vbscript"
    if len(_JAVASCRIPT.findall(head)) >= 2:
        return "text/javascript"
    return TEXT if _is_text(head) else UNKNOWN


# Control characters that text does not hold; ESC is in ISO-2022 text.
_CONTROLS = bytes(octet for octet in range(32) if octet not in b"\t\n\r\f\x0b\x08\x1b")


def _is_text(head: bytes) -> bool:
    return len(head.translate(None, _CONTROLS)) == len(head)
