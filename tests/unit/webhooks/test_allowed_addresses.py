"""Where webhooks may go: URLs and addresses, just allowed and just not."""

from __future__ import annotations

import pytest

from repermit.errors import NotAllowed, Refused
from repermit.webhooks.http_client import check_address, check_url, read_host

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:192.168.1.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "64:ff9b:1::",
    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "fec0::1",
    "feff:ffff::1",
    "::5db8:d822",
    "::ffff:0:5db8:d822",
    "168.63.129.16",
    "::ffff:168.63.129.16",
    "64:ff9b::a83f:8110",
]
# As inet_aton(3) and browsers take them, and names that are of no internet.
PRIVATE_HOSTS = [
    "127.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "127.1.",
    "%3127.0.0.1",
    "0",
    "10.1",
    "192.168.257",
    "3232235777",
    "0xa9.0xfea9fe",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "printer.local",
    "tool.internal",
    "nas.home.arpa",
]
PUBLIC = [
    "9.255.255.255",
    "11.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "93.184.216.34",
    "::ffff:93.184.216.34",
    "64:ff9b::5db8:d822",
    "2a01:7c8::1",
    "168.63.129.15",
    "168.63.129.17",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_connected_to(address: str) -> None:
    with pytest.raises(NotAllowed, match="private network; webhooks_to_private = true"):
        check_address(address, encrypted=True, to_private=False)


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_private_address_is_connected_to_if_the_settings_say_so(
    address: str, encrypted: bool
) -> None:
    check_address(address, encrypted=encrypted, to_private=True)


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("to_private", [True, False])
def test_an_address_of_the_internet_needs_https(address: str, to_private: bool) -> None:
    check_address(address, encrypted=True, to_private=to_private)
    with pytest.raises(NotAllowed, match="needs https"):
        check_address(address, encrypted=False, to_private=to_private)


@pytest.mark.parametrize(
    ("url", "tidy"),
    [
        ("https://tool.example.org/hooks?key=a%20b", "https://tool.example.org/hooks?key=a%20b"),
        (" HTTPS://tool.example.org:8443 ", "https://tool.example.org:8443"),
        ("https://[2a01:7c8::1]/a", "https://[2a01:7c8::1]/a"),
    ],
)
def test_a_url_of_the_internet_is_taken(url: str, tidy: str) -> None:
    assert check_url(url, to_private=False) == tidy


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "looks like https://"),
        ("tool.example.org", "looks like https://"),
        ("ftp://tool.example.org/", "looks like https://"),
        pytest.param(
            "https://a" + "\u0300\u0316" * 200_000 + ".org/", "looks like https://", id="long"
        ),
        ("https:///hooks", "looks like https://"),
        ("https://[::1/hooks", "looks like https://"),
        ("https://tool.example.org:0/", "looks like https://"),
        ("https://tool.example.org:65536/", "looks like https://"),
        ("https://tool.example.org/a b", "looks like https://"),
        ("https://tool.example.org/\n", None),
        ("https://tool.example.org/a\nb", "looks like https://"),
        ("https://bücher.example/", "looks like https://"),
        ("https://evil.example\\@tool.example.org/", "looks like https://"),
        (f"https://{'a' * 64}.example.org/", "looks like https://"),
        (f"https://tool.example.org/{'a' * 2_000}", "looks like https://"),
        ("https://me@tool.example.org/", "no user name"),
        ("https://me:you@tool.example.org/", "no user name"),
        ("https://tool.example.org/#a", "no user name, no password and no #"),
        ("http://tool.example.org/", "begins with https://"),
        ("https://127.0.0.1/", "private network"),
        ("https://[::ffff:10.0.0.1]/", "private network"),
        ("https://[::ffff:127.0.0.1]/", "private network"),
        ("https://[::ffff:7f00:1]/", "private network"),
        ("https://[0:0::1]/", "private network"),
        ("https://[fe80::1%25eth0]/", "private network"),
        *((f"https://{host}/", "private network") for host in PRIVATE_HOSTS),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_reason(url: str, why: str | None) -> None:
    if why is None:
        assert check_url(url, to_private=False) == url.strip()
    else:
        with pytest.raises(Refused, match=why):
            check_url(url, to_private=False)


def test_plain_http_may_be_added_for_what_stands_inside_alone() -> None:
    assert check_url("http://10.0.0.5:8080/a", to_private=True) == "http://10.0.0.5:8080/a"
    assert check_url("http://tool.internal/a", to_private=True) == "http://tool.internal/a"
    with pytest.raises(Refused, match="needs https"):
        check_url("http://93.184.216.34/", to_private=True)


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_what_stands_inside_may_be_added_in_any_spelling_if_the_settings_say_so(host: str) -> None:
    assert check_url(f"https://{host}/a", to_private=True) == f"https://{host}/a"


@pytest.mark.parametrize(
    "host", ["1572395042", "93.184.55330", "local.example.org", "notlocalhost", "internal.nl"]
)
def test_what_only_looks_like_it_is_of_the_internet(host: str) -> None:
    assert check_url(f"https://{host}/", to_private=False) == f"https://{host}/"


def test_of_a_url_the_host_may_be_told() -> None:
    assert read_host("https://tool.example.org:8443/s3cret?key=1") == "tool.example.org"
