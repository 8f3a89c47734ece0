"""How long what a list says over DNS may be kept: one set for our name server and for zones written for others."""

POSITIVE_SECONDS = 300  # INTEROP: what is listed is asked again after five minutes, or when the listing ends
NEGATIVE_SECONDS = 60  # INTEROP: what is not listed may be a minute later (SOA minimum, RFC 2308 section 4)
APEX_SECONDS = 300  # SOA and NS: no longer than any listing's
# Timers of the SOA matter to secondaries only; as RIPE-203 shapes them, scaled to a list that changes by the minute.
REFRESH_SECONDS, RETRY_SECONDS, EXPIRE_SECONDS = 300, 60, 86_400
