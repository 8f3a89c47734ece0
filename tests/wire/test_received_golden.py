"""Lines as each mail server writes them, with made-up names and documentation addresses, and what must be read from them."""
# ruff: noqa: E501 - a line of mail is one line here

import pytest

from whimbrel.wire.received import parse_received

# line, peer, helo, rdns, by, form
LINES: list[tuple[str, str | None, str | None, str | None, str | None, str]] = [
    # Postfix
    ("from mail.example.net (mail.example.net [192.0.2.1]) by mx.example.org (Postfix) with ESMTP id 1A2B3C for <u@example.org>; ", "192.0.2.1", "mail.example.net", "mail.example.net", "mx.example.org", "postfix"),
    ("from friend (unknown [192.0.2.2]) by mx.example.org (Postfix) with SMTP id 1A; ", "192.0.2.2", "friend", None, "mx.example.org", "postfix"),
    ("from [198.51.100.9] (unknown [192.0.2.3]) by mx.example.org (Postfix) with ESMTP id 1A; ", "192.0.2.3", "[198.51.100.9]", None, "mx.example.org", "postfix"),
    ("from 198.51.100.9 (host3.example.net [192.0.2.3]) by mx.example.org (Postfix) with SMTP id 1A; ", "192.0.2.3", "198.51.100.9", "host3.example.net", "mx.example.org", "postfix"),
    ("from a.example.net (a.example.net [IPv6:2001:db8::1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)) (No client certificate requested) by mx.example.org (Postfix) with ESMTPS id 1A; ", "2001:db8::1", "a.example.net", "a.example.net", "mx.example.org", "postfix"),
    ("from a.example.net (a.example.net [192.0.2.4]) (Authenticated sender: u) by mx.example.org (Postfix) with ESMTPA id 1A; ", "192.0.2.4", "a.example.net", "a.example.net", "mx.example.org", "postfix"),
    ("by mx.example.org (Postfix, from userid 33) id 1A; ", None, None, None, "mx.example.org", "local"),
    ("from localhost (localhost [127.0.0.1]) by mx.example.org (Postfix) with ESMTP id 1A; ", "127.0.0.1", "localhost", "localhost", "mx.example.org", "postfix"),
    ("from a.example.net (HELO.example.net [192.0.2.5]) by mx.example.org (Postfix on SuSE Linux 8.0 (i386)) with SMTP id 1A; ", "192.0.2.5", "a.example.net", "helo.example.net", "mx.example.org", "postfix"),
    ("from x (unknown [192.0.2.6]:40112) by mx.example.org (Postfix) with SMTP id 1A; ", "192.0.2.6", "x", None, "mx.example.org", "postfix"),
    # Sendmail
    ("from mail.example.net (mail.example.net [192.0.2.10]) by mx.example.org (8.11.6/8.11.6) with ESMTP id g7M; ", "192.0.2.10", "mail.example.net", "mail.example.net", "mx.example.org", "sendmail"),
    ("from bulk (h1.example.net [192.0.2.11] (may be forged)) by mx.example.org (8.9.3/8.9.3) with SMTP id QAA07; ", "192.0.2.11", "bulk", "h1.example.net", "mx.example.org", "sendmail"),
    ("from bulk.example.net ([192.0.2.12]) by mx.example.org (8.12.5/8.12.5) with SMTP id g7M; ", "192.0.2.12", "bulk.example.net", None, "mx.example.org", "sendmail"),
    ("from bulk (root@h1.example.net [192.0.2.13]) by mx.example.org (8.8.8/8.8.8) with ESMTP id QAA; ", "192.0.2.13", "bulk", "h1.example.net", "mx.example.org", "sendmail"),
    ("from bulk (IDENT:qmailr@h1.example.net [192.0.2.14]) by mx.example.org (8.9.3/8.9.3) with SMTP id QAA; ", "192.0.2.14", "bulk", "h1.example.net", "mx.example.org", "sendmail"),
    ("from bulk (majordom@[192.0.2.15]) by mx.example.org (8.12.5/8.12.5) with ESMTP id QAA; ", "192.0.2.15", "bulk", None, "mx.example.org", "sendmail"),
    ("from [198.51.100.8] (really [192.0.2.16]) by mx.example.org (8.9.3/8.9.3) with SMTP id QAA; ", "192.0.2.16", "[198.51.100.8]", None, "mx.example.org", "sendmail"),
    ("(from u@localhost) by mx.example.org (8.11.6/8.11.6) id g7M for v@example.org; ", None, None, None, "mx.example.org", "local"),
    ("from localhost (u@localhost) by mx.example.org (8.11.6/8.11.6) with ESMTP id g7M; ", None, "localhost", None, "mx.example.org", "local"),
    ("from localhost (localhost [[UNIX: localhost]]) by mx.example.org (8.11.6/8.11.6) id g7M; ", None, "localhost", None, "mx.example.org", "local"),
    ("from host (host.example.net [192.0.2.17]) (authenticated) by mx.example.org (8.11.6/8.11.6) with ESMTP id g7M; ", "192.0.2.17", "host", "host.example.net", "mx.example.org", "sendmail"),
    ("from host (host.example.net [IPv6:2001:db8:1::17]) by mx.example.org (8.12.8/8.12.8) with ESMTP id g7M; ", "2001:db8:1::17", "host", "host.example.net", "mx.example.org", "sendmail"),
    # Exim
    ("from mail.example.net ([192.0.2.20]) by mx.example.org with esmtp (Exim 4.96) (envelope-from <a@example.net>) id 1qd-02 for u@example.org; ", "192.0.2.20", "mail.example.net", None, "mx.example.org", "exim"),
    ("from h2.example.net ([192.0.2.21] helo=mail.example.net) by mx.example.org with esmtp (Exim 3.31 #1 (Debian)) id 17h; ", "192.0.2.21", "mail.example.net", "h2.example.net", "mx.example.org", "exim"),
    ("from [192.0.2.22] (helo=mail.example.net) by mx.example.org with smtp (Exim 3.31 #1 (Debian)) id 17h; ", "192.0.2.22", "mail.example.net", None, "mx.example.org", "exim"),
    ("from [192.0.2.23] (port=52592 helo=[198.51.100.7]) by mx.example.org with smtps (TLS1.2) tls X (Exim 4.93 (FreeBSD)) id 1v; ", "192.0.2.23", "[198.51.100.7]", None, "mx.example.org", "exim"),
    ("from h3.example.net ([192.0.2.24]:59239 helo=mail.example.net) by mx.example.org with esmtpsa (Exim 4.96.2) id 1q; ", "192.0.2.24", "mail.example.net", "h3.example.net", "mx.example.org", "exim"),
    ("from [192.0.2.25] by mx.example.org with esmtp (Exim 4.01) id 17s; ", "192.0.2.25", None, None, "mx.example.org", "exim"),
    ("from [2001:db8::26] (helo=mail.example.net) by mx.example.org with esmtp (Exim 4.96) id 17s; ", "2001:db8::26", "mail.example.net", None, "mx.example.org", "exim"),
    ("from h4.example.net ([192.0.2.27] helo=m.example.net ident=root) by mx.example.org with esmtp (Exim 4.01) id 17s; ", "192.0.2.27", "m.example.net", "h4.example.net", "mx.example.org", "exim"),
    ("from john by mx.example.org with local (Exim 3.35 #1 (Debian)) id 17y; ", None, "john", None, "mx.example.org", "local"),
    # qmail
    ("from unknown (HELO mail.example.net) (192.0.2.30) by mx.example.org with SMTP; ", "192.0.2.30", "mail.example.net", None, "mx.example.org", "qmail"),
    ("from h5.example.net (HELO mail.example.net) (192.0.2.31) by mx.example.org (qp 50842) with SMTP; ", "192.0.2.31", "mail.example.net", "h5.example.net", "mx.example.org", "qmail"),
    ("from 198.51.100.6 (HELO 198.51.100.5) (192.0.2.32) by mx.example.org with SMTP; ", "192.0.2.32", "198.51.100.5", None, "mx.example.org", "qmail"),
    ("from h5.example.net (192.0.2.33) by mx.example.org with SMTP; ", "192.0.2.33", "h5.example.net", None, "mx.example.org", "other"),
    ("from h5.example.net (HELO m) (root@192.0.2.34) by mx.example.org with SMTP; ", "192.0.2.34", "m", "h5.example.net", "mx.example.org", "qmail"),
    ("from unknown (HELO [198.51.100.4]) ([192.0.2.35]) (envelope-sender <a@example.net>) by mx.example.org (qmail-ldap-1.03) with SMTP for <u@example.org>; ", "192.0.2.35", "[198.51.100.4]", None, "mx.example.org", "qmail"),
    ("(qmail 11764 invoked from network); ", None, None, None, None, "local"),
    ("(qmail 4141 invoked by uid 104); ", None, None, None, None, "local"),
    ("from a@example.net by mx.example.org with qmail-scanner-1.00 (uvscan: v4. Clean.); ", None, "a@example.net", None, "mx.example.org", "local"),
    # Exchange
    ("from mail.example.net (192.0.2.40) by mx.mail.protection.example.com (10.167.242.10) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.20.7897.11 via Frontend Transport; ", "192.0.2.40", "mail.example.net", None, "mx.mail.protection.example.com", "exchange"),
    ("from A.PROD.EXAMPLE.COM (2001:db8:10b6::13) by B.PROD.EXAMPLE.COM (2001:db8:10b6::14) with Microsoft SMTP Server id 15.20; ", "2001:db8:10b6::13", "A.PROD.EXAMPLE.COM", None, "b.prod.example.com", "exchange"),
    ("from A.PROD.EXAMPLE.COM (::1) by B.PROD.EXAMPLE.COM with HTTPS; ", "::1", "A.PROD.EXAMPLE.COM", None, "b.prod.example.com", "other"),
    ("from mail.example.net ([192.0.2.41]) by mx.example.org with Microsoft SMTPSVC(5.0.2195.2966); ", "192.0.2.41", "mail.example.net", None, "mx.example.org", "exchange"),
    ("from mail pickup service by mx.example.org with Microsoft SMTPSVC; ", None, None, None, "mx.example.org", "local"),
    ("from mail.example.net (fe80::1%12) by mx.example.org (fe80::2%12) with Microsoft SMTP Server id 14.3; ", "fe80::1", "mail.example.net", None, "mx.example.org", "exchange"),
    # Gmail
    ("from mail.example.net (mail.example.net. [192.0.2.50]) by mx.google.com with ESMTPS id ab1si; ", "192.0.2.50", "mail.example.net", "mail.example.net", "mx.google.com", "gmail"),
    ("from mail.example.net (mail.example.net. [2001:db8::50]) by mx.google.com with ESMTPS id ab1si; ", "2001:db8::50", "mail.example.net", "mail.example.net", "mx.google.com", "gmail"),
    ("by 2002:a05:6358:5709:b0:118:29cf:9804 with SMTP id x1; ", None, None, None, "2002:a05:6358:5709:b0:118:29cf:9804", "local"),
    ("from [192.0.2.51] ([192.0.2.51]) by smtp.gmail.com with ESMTPSA id t2; ", "192.0.2.51", "[192.0.2.51]", None, "smtp.gmail.com", "gmail"),
    # Yahoo, AOL
    ("from 192.0.2.60 (EHLO mail.example.net) by mta1.mail.yahoo.com with SMTP; ", "192.0.2.60", "mail.example.net", None, "mta1.mail.yahoo.com", "yahoo"),
    ("from 192.0.2.61 (EHLO mail.example.net) (192.0.2.61) by mta1.mail.yahoo.com with SMTP; ", "192.0.2.61", "mail.example.net", None, "mta1.mail.yahoo.com", "yahoo"),
    ("from [192.0.2.62] by web1.mail.yahoo.com via HTTP; ", "192.0.2.62", None, None, "web1.mail.yahoo.com", "yahoo"),
    ("from h6.example.net (h6.example.net [192.0.2.63]) by rly-x1.mx.aol.com (v86.11) with ESMTP id MAILRELAY; ", "192.0.2.63", "h6.example.net", "h6.example.net", "rly-x1.mx.aol.com", "aol"),
    # the others
    ("from mail.example.net (h7.example.net [192.0.2.70]) by mx.example.org with ESMTP; ", "192.0.2.70", "mail.example.net", "h7.example.net", "mx.example.org", "other"),
    ("from mail.example.net ([::ffff:192.0.2.71]) by mx.example.org with SMTP id 0004.40A1; ", "192.0.2.71", "mail.example.net", None, "mx.example.org", "other"),
    ("from mail.example.net [192.0.2.72] by mx.example.org [198.51.100.1] with SMTP (MDaemon.PRO.v6.0.7.R); ", "192.0.2.72", "mail.example.net", None, "mx.example.org", "mdaemon"),
    ("from mail.example.net ([192.0.2.73]) by mx.example.org (Lotus Domino Release 5.0.8) with ESMTP id 2002; ", "192.0.2.73", "mail.example.net", None, "mx.example.org", "domino"),
    ("from [192.0.2.74] (HELO mail.example.net) by mx.example.org (CommuniGate Pro SMTP 4.0) with ESMTP id 123; ", "192.0.2.74", "mail.example.net", None, "mx.example.org", "communigate"),
    ("from [192.0.2.75] (account u HELO mail.example.net) by mx.example.org (CommuniGate Pro SMTP 4.0) with ESMTP id 123; ", "192.0.2.75", "mail.example.net", None, "mx.example.org", "communigate"),
    ("from h8.example.net ([192.0.2.76] verified) by mx.example.org (CommuniGate Pro SMTP 4.0) with ESMTP id 123; ", "192.0.2.76", "h8.example.net", None, "mx.example.org", "communigate"),
    ("from mx1.example.org (LHLO mx2.example.org) (10.0.0.1) by mx2.example.org with LMTP; ", "10.0.0.1", "mx2.example.org", "mx1.example.org", "mx2.example.org", "local"),
    ("from mx1.example.org by mx2.example.org (Dovecot) with LMTP id AP1; ", None, "mx1.example.org", None, "mx2.example.org", "local"),
    ("from mail.example.org [198.51.100.2] by localhost with POP3 (fetchmail-5.9.0) for u@localhost (single-drop); ", None, None, "mail.example.org", "localhost", "fetchmail"),
    ("from agent2 (192.0.2.77) by mta4.example.com (PowerMTA(TM) v1.5); ", "192.0.2.77", "agent2", None, "mta4.example.com", "powermta"),
    ("from 192.0.2.78 (HELO localhost) by mx.example.org (198.51.100.3) with SMTP; ", "192.0.2.78", "localhost", None, "mx.example.org", "qmail"),
    # no address, and why
    ("from mail.example.net by mx.example.org with SMTP id 1; ", None, "mail.example.net", None, "mx.example.org", "claim"),
    ("from 192.0.2.80 by mx.example.org with HTTP; ", None, "192.0.2.80", None, "mx.example.org", "claim"),
    ("from mail.example.net (192.0.2.placeholder) by mx.example.org (10.0.0.1) with Microsoft SMTP Server id 15.20; ", None, "mail.example.net", None, "mx.example.org", "claim"),
    ("from mail.example.net", None, None, None, None, "unread"),
    ("", None, None, None, None, "unread"),
    # HELO or a name that plays at being the server
    ("from x (y [198.51.100.66]) by z (real.example.net [192.0.2.90]) by mx.example.org (Postfix) with SMTP id 1; ", None, None, None, None, "ambiguous"),
    ("from x (198.51.100.66) (192.0.2.91) by mx.example.org with Microsoft SMTP Server id 15; ", None, None, None, "mx.example.org", "ambiguous"),
    ("from [192.0.2.92] (helo=x) (y [198.51.100.66]) by mx.example.org with smtp (Exim 4.9) id 1; ", None, None, None, "mx.example.org", "ambiguous"),
    ("from 192.0.2.93 (EHLO x) (198.51.100.66) by mta1.mail.yahoo.com with SMTP; ", None, None, None, "mta1.mail.yahoo.com", "ambiguous"),
    ("from x [198.51.100.66] (real.example.net [192.0.2.94]) by mx.example.org with SMTP id 1; ", None, None, None, "mx.example.org", "ambiguous"),
    ("from x ([198.51.100.66] z@real.example.net [192.0.2.95]) by mx.example.org (8.9.3/8.9.3) with SMTP id 1; ", None, None, None, "mx.example.org", "ambiguous"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "peer", "helo", "rdns", "by", "form"), LINES)
def test_each_server_is_read_as_it_writes(
    line: str, peer: str | None, helo: str | None, rdns: str | None, by: str | None, form: str
) -> None:
    hop = parse_received(line.encode() + (b"Thu, 22 Aug 2002 12:34:53 +0100" if line.endswith("; ") else b""))
    assert (hop.address, hop.helo, hop.rdns, hop.by, hop.form) == (peer, helo, rdns, by, form)
    assert (hop.at is not None) == line.endswith("; ")


def test_the_table_covers_every_form() -> None:
    assert {form for *_, form in LINES} >= {
        "postfix", "sendmail", "exim", "exchange", "gmail", "yahoo", "aol", "mdaemon", "domino", "communigate", "powermta",
        "fetchmail", "local", "claim", "ambiguous", "unread", "other",
    }  # fmt: skip
