"""The checks before every handler, the security headers, and the pages for errors."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from paperagent.web.guard import HEADERS, MAX_BODY
from paperagent.web.site import Site


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8700", "localhost", "[::1]:8700", "LOCALHOST"])
def test_loopback_names_are_served(web: TestClient, host: str) -> None:
    assert web.get("/healthz", headers={"host": host}).status_code == 200


def test_an_international_name_is_served_in_the_form_that_browsers_send(web: TestClient) -> None:
    site = Site(web.app.state.site.agent, public_url="https://Bücher.example")  # type: ignore[attr-defined]
    assert site.public_host == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "localhost.",
        "10.0.0.1",
        "[::2]",
        "[::1",
        "a@127.0.0.1:x]",
    ],
)
def test_other_names_are_refused(web: TestClient, host: str) -> None:
    """A page whose host name was rebound to 127.0.0.1 cannot read the library."""
    response = web.get("/", headers={"host": host})
    assert response.status_code == 421
    assert "does not answer to that host name" in response.text


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1"}, True),
        ({"origin": "http://127.0.0.1"}, False),
        ({"origin": "http://127.0.0.1:99"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
    ],
)
def test_forms_of_other_sites_are_refused(web: TestClient, headers: dict[str, str], *, refused: bool) -> None:
    status = web.post("/", headers=headers).status_code
    assert status == (403 if refused else 405)


def test_every_response_has_the_security_headers(web: TestClient) -> None:
    for path in ("/", "/healthz", "/no-such-page"):
        response = web.get(path)
        assert {name: response.headers.get(name) for name in HEADERS} == dict(HEADERS), path
        assert "server" not in response.headers


def test_large_bodies_are_refused(web: TestClient) -> None:
    assert web.post("/", content=b"x" * (MAX_BODY + 1)).status_code == 413
    assert web.post("/", headers={"content-length": "-1"}).status_code == 413


@pytest.mark.parametrize(
    ("charset", "disposition", "text"),
    [
        ("undefined", 'name="question"', "retrieval"),
        ("unicode_escape", 'name="question"', "\\ud800"),
        ("utf-7", 'name="question"', "+2AA-"),
        ("utf-8", 'name="question"; filename="a.txt"', "a file"),
    ],
)
def test_forms_without_readable_text_are_refused(
    web: TestClient, charset: str, disposition: str, text: str
) -> None:
    body = f"--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{text}\r\n--X--\r\n"
    kind = f"multipart/form-data; boundary=X; charset={charset}"
    response = web.post("/ask", content=body, headers={"content-type": kind})
    assert response.status_code == 400
    assert "<h1>" in response.text


def test_errors_have_pages_of_our_own(web: TestClient) -> None:
    for response, status in ((web.get("/no-such-page"), 404), (web.post("/healthz"), 405)):
        assert response.status_code == status
        assert response.headers["cache-control"] == "no-store"
        assert '<html lang="en"' in response.text


def test_an_unchanged_page_is_not_sent_again(web: TestClient) -> None:
    first = web.get("/")
    again = web.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
