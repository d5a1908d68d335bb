"""Which addresses may be fetched: only those of the public internet, whatever they are called."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_server import Reply, Request, Services, dripping

from paperagent.errors import FeedError
from paperagent.feeds.services import find_live_feed, http_client, ssrf_guard
from paperagent.feeds.services.http_client import FeedClient, FeedClientConfig
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.time_limits import resolve

PUBLIC = "93.184.216.34"
RATE_LIMIT = RateLimit("test", 0.0)


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as server:
        yield server


def fetch(url: str, *, resolver: ssrf_guard.Resolver = resolve, allow_private: bool = False) -> None:
    """Read a feed by its address, without ever waiting."""
    found = find_live_feed(url)
    assert found
    access = FeedClientConfig(allow_private=allow_private)
    with FeedClient(access, version="1", sleep=lambda _: None, resolver=resolver) as opened:
        list(found.pages(opened, {}))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0177.0.0.1", "0x7f.1", "2130706433", "[::1]", "localhost", "0",
        "0.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "10.1.2.3", "172.16.9.9",
        "100.64.0.1", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[::ffff:127.0.0.1]", "[2002:7f00:1::]",
        "[64:ff9b:1::1]", "[fe80::1]", "[fec0::1]", "224.0.0.1", "255.255.255.255", "192.0.0.1",
        "192.0.0.192", "168.63.129.16", "192.88.99.1", "[3fff::1]", "[::ffff:168.63.129.16]",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    """bad-150: loopback, private, link-local, metadata, shared and wrapped addresses; nothing is sent."""

    def resolver(name: str, port: int) -> Sequence[str]:
        try:
            return [socket.inet_ntoa(socket.inet_aton(name))]  # as a resolver reads 127.1 and 0x7f.1
        except OSError:
            return ["127.0.0.1"] if name == "localhost" else [name]

    with pytest.raises(FeedError, match="address not allowed") as caught:
        fetch(f"http://{host}/feed", resolver=resolver)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://①②⑦.⓪.⓪.①/",
        "http://exa mple.org/",
        "http://example.org\\@127.0.0.1/",
        "http:///x",
        "http://h:0/",
    ],
)
def test_odd_addresses_are_refused(url: str) -> None:
    """bad-150: digits that are none in ASCII, spaces and backslashes are refused."""
    with pytest.raises(FeedError, match=r"not a valid address|not allowed"):
        fetch(url, resolver=lambda *_: [PUBLIC])


def test_a_name_with_one_private_address_is_refused() -> None:
    """A name that leads to the outside and to the inside is the way of DNS rebinding."""
    with pytest.raises(FeedError, match="address not allowed"):
        fetch("http://example.org/", resolver=lambda *_: [PUBLIC, "10.0.0.1"])


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """The name stands in the Host header and the certificate's check, not in what is dialled."""
    target = ssrf_guard.check_url("https://example.org/a?b=1#c", label="x", resolver=lambda *_: [PUBLIC])
    assert target.with_address(PUBLIC) == f"https://{PUBLIC}:443/a?b=1"
    assert (target.netloc, target.host) == ("example.org", "example.org")
    target = ssrf_guard.check_url(
        "http://example.org:8080", label="x", resolver=lambda *_: ["2606:2800:220:1::1"]
    )
    assert target.with_address(target.addresses[0]) == "http://[2606:2800:220:1::1]:8080"
    assert target.netloc == "example.org:8080"


def test_a_name_is_resolved_once_for_a_request(services: Services) -> None:
    """A second lookup could return another address, so there is none."""
    asked: list[str] = []

    def resolver(name: str, port: int) -> Sequence[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    services.pages["/feed"] = lambda _: Reply(
        '{"title": "A title", "abstract": "Some words of an abstract."}'
    )
    fetch(services.url.replace("127.0.0.1", "feeds.example") + "/feed", resolver=resolver, allow_private=True)
    assert asked == ["feeds.example"]
    assert services.history[0].headers["host"].startswith("feeds.example:")


def test_a_redirect_is_checked_like_the_first_address(services: Services) -> None:
    """bad-150: a public server that sends on to a private one is not followed."""

    def resolver(name: str, port: int) -> Sequence[str]:
        return [PUBLIC] if name == "public.example" else ["169.254.169.254"]

    target = ssrf_guard.check_url("http://public.example/feed", label="x", resolver=resolver)
    url = ssrf_guard.redirect_url(target, "http://metadata.example/latest", label="x")
    with pytest.raises(FeedError, match=r"metadata\.example is on a private network"):
        ssrf_guard.check_url(url, label="x", resolver=resolver)
    services.pages["/feed"] = lambda _: Reply("", 302, {"Location": "file:///etc/passwd"})
    with pytest.raises(FeedError, match="scheme not allowed"):
        fetch(services.url + "/feed", allow_private=True)


def test_a_redirect_from_https_to_http_is_refused() -> None:
    """What was asked for in private is not fetched in the open."""
    target = ssrf_guard.check_url("https://example.org/", label="x", resolver=lambda *_: [PUBLIC])
    assert ssrf_guard.redirect_url(target, "/b", label="x") == "https://example.org/b"
    with pytest.raises(FeedError, match="redirected from https to http"):
        ssrf_guard.redirect_url(target, "http://example.org/b", label="x")


def test_redirects_without_end_are_refused(services: Services) -> None:
    """bad-152: five are followed, a loop is not."""
    services.pages["/feed"] = lambda _: Reply("", 301, {"Location": "/feed"})
    with pytest.raises(FeedError, match="too many redirects"):
        fetch(services.url + "/feed", allow_private=True)
    assert len(services.history) == 6


def test_a_key_does_not_follow_to_another_machine(services: Services) -> None:
    """A redirect elsewhere gets the page's address, not the key."""
    with Services() as other:
        services.pages["/zotero/users/1/items/top"] = lambda _: Reply("", 302, {"Location": other.url + "/x"})
        other.pages["/x"] = lambda _: Reply("[]")
        found = find_live_feed("zotero:users/1")
        assert found
        access = FeedClientConfig(base_urls=services.urls, keys={"zotero": "zotero-key"}, allow_private=True)
        with FeedClient(access, version="1", sleep=lambda _: None) as opened:
            list(found.pages(opened, {}))
        assert "zotero-api-key" in services.history[0].headers
        assert "zotero-api-key" not in other.history[0].headers


def test_a_body_that_is_an_address_is_not_fetched(services: Services) -> None:
    """bad-153: what comes is bytes of a feed, and nothing else."""
    services.pages["/feed"] = lambda _: Reply(services.url + "/metadata")
    with pytest.raises(FeedError, match="not a feed"):
        fetch(services.url + "/feed", allow_private=True)
    assert [r.path for r in services.history] == ["/feed"]


def test_a_proxy_of_the_environment_is_not_used(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look the name up again, unchecked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    line = '{"title": "A title", "abstract": "Some words of an abstract."}'

    def answer(_: Request) -> Reply:
        return Reply(line)

    services.pages["/feed"] = answer
    fetch(services.url + "/feed", allow_private=True)
    assert len(services.history) == 1


LINE = '{"title": "A title", "abstract": "Words of an abstract."}'


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Return a server whose certificate names ``feeds.example`` alone."""
    if shutil.which("openssl") is None:
        pytest.skip("a certificate is made with openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=feeds.example", "-addext", "subjectAltName=DNS:feeds.example",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Services(tls=(certificate, key)) as server:
        server.pages["/feed"] = lambda _: Reply(LINE)
        yield server


def test_the_certificate_must_name_the_host_that_was_asked_for(secure: Services) -> None:
    """The connection goes to an address, the check of TLS to the name: another name is refused."""
    for host, fits in (("feeds.example", True), ("other.example", False)):
        url = secure.url.replace("http://127.0.0.1", f"https://{host}") + "/feed"
        with nullcontext() if fits else pytest.raises(FeedError, match=r"certificate|hostname"):
            fetch(url, resolver=lambda *_: ["127.0.0.1"], allow_private=True)
    assert [r.headers["host"].partition(":")[0] for r in secure.history] == ["feeds.example"]


def test_a_second_name_of_one_address_is_checked_by_itself(secure: Services) -> None:
    """One client asks both hosts: the second gets no connection verified for the first, and no key on it."""
    access, asked = (
        FeedClientConfig(allow_private=True),
        secure.url.replace("http://127.0.0.1", "https://{}") + "/feed",
    )
    with FeedClient(access, version="1", sleep=lambda _: None, resolver=lambda *_: ["127.0.0.1"]) as opened:

        def ask(host: str) -> bytes:
            headers = {"x-api-key": f"key of {host}"}
            url = asked.format(host)
            return opened.fetch(
                url, lambda reply: reply.body, label=host, rate_limit=RATE_LIMIT, headers=headers
            )

        assert ask("feeds.example") == LINE.encode()
        with pytest.raises(FeedError, match=r"certificate|hostname"):
            ask("other.example")
    assert [r.headers["x-api-key"] for r in secure.history] == ["key of feeds.example"]


def test_one_hosts_cookie_is_not_told_to_another(services: Services) -> None:
    """Two names of one address are two machines."""
    services.pages["/feed"] = lambda _: Reply(LINE, headers={"Set-Cookie": "a=b"})
    with FeedClient(
        FeedClientConfig(allow_private=True), version="1", resolver=lambda *_: ["127.0.0.1"]
    ) as opened:
        for host in ("one.example", "two.example"):
            url = services.url.replace("127.0.0.1", host) + "/feed"
            opened.fetch(url, lambda reply: reply.body, label=host, rate_limit=RATE_LIMIT)
    assert "cookie" not in services.history[1].headers


@pytest.mark.parametrize("where", ["headers", "hints", "chunk"])
def test_a_drip_is_cut_wherever_it_drips(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes are for all of a page: headers, interim answers, and what stands between its chunks."""
    monkeypatch.setattr(http_client, "PAGE_SECONDS", 0.5)
    monkeypatch.setattr(http_client, "MAX_ATTEMPTS", 1)
    with dripping(where, seconds=30.0) as url:
        start = time.monotonic()
        with pytest.raises(FeedError, match="took longer than"):
            fetch(url, allow_private=True)
        assert time.monotonic() - start < 20.0


def test_a_dead_first_address_is_passed_over(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that never answers (IPv6 that leads nowhere) costs its time, and the next is tried."""
    services.pages["/feed"] = lambda _: Reply(LINE)
    send = httpx.Client.send
    waits = []

    def dead(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        waits.append(request.extensions["timeout"]["connect"])
        if request.url.host == "::2":
            raise httpx.ConnectTimeout("timed out", request=request)
        return send(self, request, **options)

    monkeypatch.setattr(httpx.Client, "send", dead)
    url = services.url.replace("127.0.0.1", "feeds.example") + "/feed"
    fetch(url, resolver=lambda *_: ["::2", "127.0.0.1"], allow_private=True)
    assert (len(services.history), waits) == (1, [8.0, 8.0])


def test_a_redirect_to_nonsense_is_no_crash(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that cannot be taken apart ends this feed and no other."""
    monkeypatch.setattr(http_client, "MAX_ATTEMPTS", 1)
    services.pages["/feed"] = lambda _: Reply("", 302, {"Location": "http://[::1"})
    with pytest.raises(FeedError):
        fetch(services.url + "/feed", allow_private=True)
    target = ssrf_guard.check_url("http://example.org/", label="x", resolver=lambda *_: [PUBLIC])
    with pytest.raises(FeedError, match="redirected to no valid address"):
        ssrf_guard.redirect_url(target, "http://[::1", label="x")
