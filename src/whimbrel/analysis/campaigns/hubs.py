"""Domains that all sorts of mail point to: sharing one says nothing about who wrote the message.

Short on purpose: `joining.py` finds most hubs by itself, in ham or by measure.  These are the ones that a small
store, or one without ham, would otherwise learn too late.
"""

from typing import Final

_REASONS: Final = {
    "named by the markup itself": ("w3.org", "xmlsoap.org", "purl.org", "schema.org", "microsoft.com", "ietf.org"),
    "mail for everyone: footers, profiles and members' pages": (
        "yahoo.com", "yahoo.co.uk", "hotmail.com", "msn.com", "live.com", "outlook.com", "office.com", "aol.com",
        "gmail.com", "mail.com", "lycos.com", "excite.com", "juno.com", "netscape.com", "gmx.net", "icloud.com",
    ),
    "pages for everyone": (
        "geocities.com", "tripod.com", "angelfire.com", "blogspot.com", "wordpress.com", "weebly.com", "wixsite.com",
        "github.io", "google.com", "facebook.com", "twitter.com", "x.com", "instagram.com", "linkedin.com",
        "youtube.com", "youtu.be", "pinterest.com", "t.me", "wikipedia.org",
    ),
    "redirectors and shorteners": ("bit.ly", "tinyurl.com", "goo.gl", "t.co", "ow.ly", "is.gd", "rebrand.ly", "s.id"),
    "files, pictures, scripts and letters for everyone": (
        "googleapis.com", "gstatic.com", "googleusercontent.com", "ggpht.com", "cloudfront.net", "amazonaws.com",
        "akamai.net", "akamaized.net", "imgur.com", "ibb.co", "postimg.cc", "jsdelivr.net", "cloudflare.com",
        "windows.net", "azureedge.net", "dropbox.com", "licdn.com", "fbcdn.net", "twimg.com", "gravatar.com",
        "bootstrapcdn.com",
    ),
    "senders' services": ("sendgrid.net", "mailchimp.com", "list-manage.com", "mcusercontent.com", "sourceforge.net"),
    "shops, makers": ("amazon.com", "ebay.com", "paypal.com", "apple.com", "adobe.com", "macromedia.com", "real.com"),
    "reserved for examples (RFC 2606)": ("example.com", "example.net", "example.org", "localhost"),
}  # fmt: skip

HUB_DOMAINS: Final[dict[str, str]] = {domain: reason for reason, domains in _REASONS.items() for domain in domains}


def is_hub(domain: str) -> bool:
    """Tell whether a registered domain is on the shipped list; `HUB_DOMAINS` gives the reason."""
    return domain in HUB_DOMAINS
