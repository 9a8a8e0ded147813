"""Which URLs pages and mails may link to."""

from __future__ import annotations

import pytest

from repermit.web_address import is_web_address


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://example.org/privacy?a=b#c",
        "https://www.xn--bcher-kva.example:8443/é",
        "https://bücher.example/",
        "HTTPS://EXAMPLE.ORG/",
        "https://[2001:db8::1]/",
        "https://example.org/@me",
        "https://93.184.216.34/",
        # Where the settings are tried out.
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "https://intranet.internal/privacy",
        "https://127.example.org",
        "https://0x7f.example.org",
    ],
)
def test_a_whole_web_address_is_one(url: str) -> None:
    assert is_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "javascript://example.org/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://example.org",
        "mailto:a@example.org",
        "https:example.org",
        "https://",
        "https:///path",
        "https://[",
        "https://example.org:99999",
        "https://example.org:x",
        "https://me@example.org",
        "https://me:secret@example.org",
        "https://:secret@example.org",
        "https://@example.org",
        "https://good.example\\@evil.example",
        "https:\\\\example.org",
        "https://exam ple.org",
        " https://example.org",
        "https://example.org/\x00",
        "https://example.org/\u202e",
        'https://example.org/"onclick="x',
        "https://example.org/<b>",
        "https://" + "a" * 64 + ".example",
        # Addresses of this machine, as no reader knows them.
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://%3127.0.0.1/",
        "https://0/",
        "https://１２７.1/",  # noqa: RUF001  as browsers read it
        "https://127。1/",
    ],
)
def test_what_is_none_or_hides_where_it_leads_is_not(url: str) -> None:
    assert not is_web_address(url)
