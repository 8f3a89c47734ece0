"""The snapshot: the one file that the control side hands to name servers, as bytes and as a view over them.

A name server maps the file into memory and answers from it as it lies there: nothing is parsed, nothing copied, a
second server on the machine shares the same pages, and a start costs one checksum.  All numbers are little-endian.

The header, 64 bytes::

    offset  bytes  what
    0       8      magic: 89 "WSNAP" 0D 0A (as PNG's: a transfer that mends line ends or strips bit 7 breaks it)
    8       4      version: 2; 1 is still read, any other is refused
    12      4      number of sections
    16      16     checksum: XXH3-128 (canonical form) of bytes 0..15 and 32..end
    32      8      length of the whole file
    40      4      serial, compared by RFC 1982: a server never goes back
    44      4      zero
    48      8      born: seconds since 1970 (UTC), when the list was true
    56      8      expires: from then on the list is too old to be believed, and servers answer SERVFAIL

Then the section table, 32 bytes a row (16 bytes ASCII name, zero-padded; offset; length), then the sections, each at a
multiple of 64 bytes.  A reader skips sections it does not know, so what may be skipped (signatures were) comes without
a new version; what would make an old reader answer wrongly takes one.  Version 2 brought that: exclusions, and zones
that show some of the codes; further zones and names came with it.  Version 1 lacks `zone.more` and `names.*`.

::

    section          one element is        holds
    zone             msgpack               `Zone`, the main one: name, name servers, mailbox of who runs it, codes
                                           shown, whether it is a demo
    zone.more        msgpack               list of further `Zone`s over the same entries
    texts            msgpack               list of text templates
    classes          i64, u32, u32         until, code (the low three octets of 127.x.y.z; 0 excludes), text; class 0 is
                                           none
    ipv4.index       u32, 65,537 of them   where each /16 begins in the next two; the last is their length
    ipv4.suffix      u16                   the low half of each listed address, ascending within its /16
    ipv4.value       u8                    its class, 1..255; 0: the side table says
    ipv4.side.key    u32                   ascending addresses whose class does not fit a byte
    ipv4.side.class  u32                   their classes
    ipv4.net.group   u32, u32, u32         prefix length, first row, number of rows; longest prefix first
    ipv4.net.key     u32                   network addresses, ascending within a group, equal ones by ascending code
    ipv4.net.class   u32                   their classes
    ipv6.key         u64                   the upper halves of listed /64s, ascending
    ipv6.value, ipv6.side.key (u64), ipv6.side.class, ipv6.net.group, ipv6.net.key (u64), ipv6.net.class: likewise
    names.seed       u64                   of the hash of names
    names.key        u64                   the hash of each name, ascending
    names.class      u32                   its class
    names.kind       u8                    bits: 1 it is an entry, 2 so are all names beneath it, 4 further rows of this
                                           table stand beneath it
    names.at         u32, one more         where its text begins in the next, and where the last one's ends
    names.text       bytes                 names in wire form, in lower case, without the root's empty label
    signature        8, 64 bytes           id of a public key, its Ed25519 signature (RFC 8032); 16 at most

No two sections have one name.  A file without the section `signature` is unsigned; a reader that was given public keys
refuses it, and every file that none of these keys signed, before it believes anything else in it.  Each signature is
of this message, which names its purpose, the header's values and every section, and is the same whether signed or not::

    32 bytes         "whimbrel snapshot signature, v1", zero-padded
    u32, u32         version, serial
    i64, i64         born, expires
    u32              number of sections, `signature` left out
    16, 8, 64 bytes  for each of these, in the table's order: name as there, length (u64), SHA-512 of its content

So all that a reader believes is signed, the zone among it, and what is not signed (offsets, padding, the checksum)
says nothing: a section is hashed as it is read, at its place.  Signatures are added and taken away without touching
another, and a key that is kept off-line signs some 2 KB.  The id is the first 8 bytes of the public key's SHA-256.
At ten million entries (30 MB) signing takes 68 ms, verifying 41 ms; of both 35 ms are SHA-512 (SHA-256 took as long
here, and Ed25519 rests on SHA-512 already), the rest reads and writes the file anew, or loads the library.

Why so.  A /16 holds at most 65,536 addresses, so half of an address is in its place and only the other half is
written: 3 bytes an IPv4 entry and 256 KiB once (3.03 bytes at ten million), and one search of at most 16 steps within
adjacent memory.  rbldnsd's `ip4set` takes 4 bytes and no lifetimes.  An IPv6 entry takes 9 bytes.  Networks are few
and are searched one prefix length at a time, longest first, so that a /24 that has ended does not hide a /16 that has
not.

Of what covers an address or a name the most specific entry decides, of those with one target the lowest code: 0, an
exclusion, hides itself and all that is wider.  Entries that have ended are passed over, and so are, in a zone that
does not show them, codes.  A host that has several codes stands in `ipv4.value` with the lowest, and with the others in
the networks' tables, as a /32 (an IPv6 one as a /64).  Codes below 256 (127.0.0.x) are of addresses, others of names.

Names are domains and hashes: labels in front of a zone, 16 at most.  A look-up hashes the name, then each name above
it; a row of the whole name must be an entry, a row above it one of all names beneath (with both, the one of the name
alone is the more specific).  The hash is XXH64, for it is 64-bit arithmetic alone (cheap in compiled Python, and a call
of 0.3 microseconds in the reference), and it need not resist an attacker: the text is compared, so that no two names
are taken for one another, and exports and zone transfers can tell the names.  Its seed comes from the names
themselves, so that nobody can prepare names of one hash before the list is cut.  Without texts an entry would take 13
bytes instead of 17 and the text, but whoever finds a name with the hash of another's would have that one listed; 16
bytes of a keyed cryptographic hash would cost as much as the text of a domain.  Ends of names are in 4,096 classes, so
nearly exact.

One byte names a class: a code, an end, and a text.  Real ends are spread over days, so there are more than 255; then
ends are rounded *down*, so nobody is listed past his term, to a number of steps in each doubling of the time left: who
has an hour left loses minutes, who has a week left hours, and the next snapshot, cut from the ledger, gives them back.
The steps are counted from 1970, so most ends are the same in that next snapshot, and differences between the two small.
Entries that end before it keep their exact end in the side table (8 bytes more; they are few).

XXH3 guards against accident, not malice (that is the signature's business): a torn write, a flipped bit, a cut file
are found with probability 1 - 2^-128, at 18 GB/s here (30 MB in 1.7 ms) against 1.6 GB/s of SHA-256 with its own
processor instructions.

What changes between two snapshots stands in an overlay, a small file of its own: `overlay.py`.

`view.py` reads (names: `names.py`, networks: `networks.py`), `signature.py` verifies, `encoder.py` writes (names:
`nametable.py`; columns: `rows.py`), `decoder.py` gives the columns back (these need NumPy), `layout.py` is what they
share.
"""

from whimbrel.wire.snapshot.layout import Entry, Zone, is_newer
from whimbrel.wire.snapshot.overlay import Overlay, overlay_path
from whimbrel.wire.snapshot.signature import PublicKey
from whimbrel.wire.snapshot.view import Snapshot

__all__ = ["Entry", "Overlay", "PublicKey", "Snapshot", "Zone", "is_newer", "overlay_path"]
