# Run once, as root: makes PowerDNS's database, and tells it of the zone and its key.
sqlite3 /var/lib/powerdns/pdns.sqlite3 < /usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql
chown -R pdns:pdns /var/lib/powerdns
pdnsutil create-secondary-zone bl.example 127.0.0.1:5300
pdnsutil import-tsig-key secondary.example hmac-sha256 bWFrZSB5b3VyIG93biwgYW55Ym9keSBrbm93cyB0aGlzIQ==
pdnsutil activate-tsig-key bl.example secondary.example secondary
pdnsutil set-meta bl.example IXFR 1
