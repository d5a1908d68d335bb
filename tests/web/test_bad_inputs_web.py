"""The web page on the rows of the shared list of bad inputs that concern it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from web_server import client

from bad_inputs import check_covered
from paperagent import PaperAgent
from paperagent.web.guard import CONTENT_SECURITY_POLICY
from paths import ROOT

FORM = {"content-type": "application/x-www-form-urlencoded"}

GETS: list[tuple[str, str, int, str]] = [
    ("bad-355", "/ask?q=", 200, "Ask about these papers"),  # the form; a GET never asks
    ("bad-356", "/ask", 200, "Ask about these papers"),
    ("bad-357", f"/?q={'a' * 4_001}", 400, "parameter “q” cannot be used"),
    ("bad-357", f"/?q={'a' * 20_000}", 431, "headers are accepted"),
    ("bad-360", "/?q=%ff%fe", 400, "not valid UTF-8"),
    ("bad-363", "/?q=a%00b%1b[31mc", 400, "parameter “q” cannot be used"),
    ("bad-363", "/?q=%ed%a0%80", 400, "not valid UTF-8"),
    ("bad-364", "/?page=abc", 400, "page"),
    ("bad-364", "/?page=1e9", 400, "page"),
    ("bad-365", "/?page=-1", 400, "page"),
    ("bad-365", f"/?page={'9' * 400}", 400, "page"),
    ("bad-366", "/?sort=../../", 400, "sort"),
    ("bad-367", "/paper/../../../etc/passwd", 404, "Not found"),
    ("bad-367", "/paper/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, "Not found"),
    ("bad-367", "/paper/..%5c..%5cetc", 404, "Not found"),
    ("bad-367", "/paper/a%00b", 404, "Not found"),
    ("bad-368", "/paper/2606.99999", 404, "Not found"),
    ("bad-369", "/paper/javascript:alert(1)", 404, "Not found"),
    ("bad-370", "/no/<b>such</b>/page", 404, "There is no such page"),
    ("bad-378", "/ask?next=//evil.example", 200, "Ask about these papers"),
    ("bad-378", "/sign-in?next=//evil.example", 404, "Not found"),
    ("bad-379", "/?q=a%0d%0aSet-Cookie:%20x=1&sort=", 302, ""),
    ("bad-381", "/static/../.env", 404, "Not found"),
    ("bad-381", "/static/%2e%2e/.env", 404, "Not found"),
    ("bad-382", "/static/_forms.css", 404, "Not found"),
    ("bad-382", "/static-files/app.css", 404, "Not found"),
    ("bad-397", "/debug", 404, "Not found"),
    ("bad-397", "/docs", 404, "Not found"),
    ("bad-397", "/metrics", 404, "Not found"),
    ("bad-397", "/.git/config", 404, "Not found"),
    ("bad-397", "/.env", 404, "Not found"),
    ("bad-400", "/favicon.ico", 404, "Not found"),  # pages name the icon; nothing is logged as an error
]

POSTS: list[tuple[str, bytes, dict[str, str], int]] = [
    ("bad-355", b"question=", FORM, 422),
    ("bad-356", b"", FORM, 422),
    ("bad-359", b"question=a", {"content-type": "text/plain"}, 415),
    ("bad-360", b"question=%ff%fe", FORM, 400),
    ("bad-360", b"question=\xff", FORM, 400),
    ("bad-361", b'{"question": NaN, "question": 1}', {"content-type": "application/json"}, 415),
    ("bad-361", b"[" * 50_000, {"content-type": "application/json"}, 415),
    ("bad-375", b"question=a", {**FORM, "origin": "https://evil.example"}, 403),
    ("bad-376", b"question=a", {**FORM, "sec-fetch-site": "cross-site"}, 403),
]

ELSEWHERE = {
    "bad-195": "tests/web/test_serving.py::test_a_port_in_use_is_an_error",
    "bad-358": "tests/web/test_serving.py::test_a_slow_body_gets_408",
    "bad-374": "tests/web/test_guard.py::test_other_names_are_refused",
    "bad-377": "tests/web/test_access.py::test_the_address_of_a_reader_behind_proxies",
    "bad-380": "tests/config/test_config.py::test_the_settings_of_the_web_page_must_fit_together",
    "bad-387": "tests/web/test_streaming.py::test_a_failed_model_is_quoted_around",
    "bad-388": "tests/web/test_streaming.py::test_the_model_is_hung_up_on_when_nobody_reads",
    "bad-389": "tests/web/test_streaming.py::test_too_many_questions_are_refused",
    "bad-390": "tests/web/test_serving.py::test_slow_headers_get_408",
    "bad-391": "tests/web/test_streaming.py::test_a_stopped_server_keeps_the_claims",
    "bad-392": "tests/web/test_answers_in_browser.py::test_hostile_texts_are_text",
    "bad-394": "tests/web/test_pages_in_browser.py::test_hostile_papers_are_text",
    "bad-395": "tests/web/test_pages_in_browser.py::test_hostile_papers_are_text",
    "bad-398": "tests/web/test_serving.py::test_what_is_not_http_gets_400",
    "bad-399": "tests/web/test_serving.py::test_what_is_not_http_gets_400",
    "bad-401": "tests/web/test_serving.py::test_a_port_in_use_is_an_error",
    "bad-402": "tests/web/test_serving.py::test_a_signal_ends_the_server_with_the_code_of_the_program",
}
"""Row → the test that covers it."""
HERE = {
    "bad-362",
    "bad-371",
    "bad-372",
    "bad-373",
    "bad-383",
    "bad-384",
    "bad-385",
    "bad-386",
    "bad-393",
    "bad-396",
}


def test_every_row_is_covered() -> None:
    simple = {row for row, *_ in (*GETS, *POSTS)}
    check_covered("Web page", simple | HERE | ELSEWHERE.keys() - {"bad-195"})
    for name in ELSEWHERE.values():
        path, _, test = name.partition("::")
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), name


@pytest.mark.parametrize(("row", "path", "status", "text"), GETS)
def test_addresses(web: TestClient, row: str, path: str, status: int, text: str) -> None:
    response = web.get(path)
    assert response.status_code == status
    assert text in response.text
    assert "<b>" not in response.text
    assert "Set-Cookie" not in response.headers
    assert response.headers.get("location", "/").startswith("/")


@pytest.mark.parametrize(("row", "body", "headers", "status"), POSTS)
def test_forms(web: TestClient, row: str, body: bytes, headers: dict[str, str], status: int) -> None:
    response = web.post("/ask", content=body, headers=headers)
    assert response.status_code == status
    assert '<html lang="en"' in response.text


@pytest.mark.parametrize("path", ["/?q=", "/ask?q=", "/?category=", "/paper/", "/"])
@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><svg onload=alert(1)>', "{{7*7}}${7*7}"])
def test_markup_is_text(web: TestClient, path: str, text: str) -> None:
    """bad-362, bad-396."""
    html = web.get(path + quote(text, safe="")).text
    assert "<script>alert" not in html
    assert "<svg" not in html
    assert "49" not in re.sub(r'v=\w+"', "", html)


def test_methods(web: TestClient) -> None:
    """bad-371, bad-372, bad-373."""
    for method in ("PUT", "TRACE", "DELETE", "PROPFIND"):
        response = web.request(method, "/")
        assert response.status_code == 405
        assert "GET" in response.headers["allow"]
    head = web.head("/")
    assert (head.status_code, head.content) == (200, b"")
    options = web.options(
        "/", headers={"origin": "https://evil.example", "access-control-request-method": "PUT"}
    )
    assert options.status_code == 405
    assert not [name for name in options.headers if name.startswith("access-control")]


def test_conditions_and_ranges_that_cannot_be_read_are_ignored(web: TestClient) -> None:
    """bad-383."""
    headers = {"if-modified-since": "yesterday", "range": "bytes=x", "if-none-match": 'x,,"'}
    assert web.get("/", headers=headers).status_code == 200


def test_errors_are_json_for_programs(web: TestClient) -> None:
    """bad-384."""
    response = web.get("/paper/nothing", headers={"accept": "application/json"})
    assert response.status_code == 404
    assert response.json()["message"]


def test_a_library_that_is_missing_damaged_or_empty(sample_home: Path, tmp_path: Path) -> None:
    """bad-385, bad-386."""
    with PaperAgent(tmp_path / "none", embedder="none", mode="extractive") as agent, client(agent) as web:
        assert "No papers yet" in web.get("/").text
        assert web.get("/healthz").status_code == 200
    damaged = tmp_path / "damaged"
    shutil.copytree(sample_home, damaged)
    (damaged / "library.db").write_bytes(b"not a database" * 1_000)
    with PaperAgent(damaged, embedder="none", mode="extractive") as agent, client(agent) as web:
        response = web.get("/")
        assert (response.status_code, response.headers["retry-after"]) == (503, "60")
        assert str(tmp_path) not in response.text


def test_the_policy_allows_nothing_inline(web: TestClient) -> None:
    """bad-393."""
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    for path in ("/", "/ask", "/archive/", "/subscribe"):
        html = web.get(path).text
        assert not re.search(r"<style|<script(?! src=)|\sstyle=|\son\w+=", html)
