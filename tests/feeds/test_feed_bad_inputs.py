"""Every row of the bad inputs for feed files: what is refused, what is skipped, what is cleaned."""

from __future__ import annotations

import gzip
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from paperagent.errors import FeedError
from paperagent.feeds.reader import open_feed
from paperagent.types import Paper, Skipped

ABSTRACT = "We study a question of some length and answer it in part."
SPACES = 'xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"'
DECLARED = "<?xml version='1.0' encoding='UTF-8'?>"


def entry(
    more: str = "", *, identity: str = "2508.13426v1", title: str = "A title", summary: str = ABSTRACT
) -> str:
    return f"<entry><id>{identity}</id><title>{title}</title><summary>{summary}</summary>{more}</entry>"


def atom(body: str = "", *, before: str = DECLARED) -> str:
    return f"{before}<feed {SPACES}>{body or entry()}</feed>"


def line(**fields: object) -> str:
    return json.dumps({"id": "2508.13426", "title": "A title", "abstract": ABSTRACT, **fields}) + "\n"


def billion() -> str:
    names = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{names}]>{atom(before="")}'


def quadratic() -> str:
    entity = f'<!ENTITY a "{"a" * 50_000}">'
    return f'<?xml version="1.0"?><!DOCTYPE x [{entity}]>' + atom(entry(summary="&a;" * 1_600_000), before="")


def dtd(declaration: str) -> str:
    return f'<?xml version="1.0"?><!DOCTYPE x {declaration}>{atom(entry(summary="&e; %p;"), before="")}'


def zip_with_escape() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../escape.txt", "x")
    return packed.getvalue()


@dataclass(frozen=True)
class Row:
    """One bad input: the file's content or how to make it, and what must come of it."""

    content: str | bytes | Callable[[Path], object] = ""
    error: str = ""
    """What the one-line error says, exit code 4; or …"""
    skipped: tuple[str, ...] = ()
    papers: int = 0
    check: Callable[[list[Paper]], bool] = field(default=lambda _: True)
    name: str = "feed"
    max_seconds: float = 5.0


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2_000_000_000)


HOSTILE = "A\x1b[31m ti\u202etle\x00\r\nwith" + "".join(chr(0xE0000 + ord(c)) for c in "tags")

TABLE: dict[str, list[Row]] = {
    "bad-102": [Row(lambda _: None, error="no such file")],
    "bad-103": [Row(lambda path: path.mkdir(), error="is a directory")],
    "bad-104": [Row("", error="is empty")],
    "bad-105": [
        Row(" \n\t\n", error="is empty"),
        Row(b"\xef\xbb\xbf", error="is empty"),
        Row(b"\xff\xfe", error="is empty"),
    ],
    "bad-106": [],
    "bad-107": [Row(os.mkfifo, error="not a regular file")],
    "bad-109": [Row(sparse, error="larger than the limit of 50 MB")],
    "bad-110": [
        Row(b"%PDF-1.7\n%\xe2\xe3", error="looks like PDF"),
        Row(b"\x89PNG\r\n\x1a\n\0\0", error="looks like PNG"),
        Row(b"\x7fELF\x02\x01", error="looks like ELF"),
        Row(b"word\0\x01\x02" * 99, error="looks like binary data"),
    ],
    "bad-111": [
        Row(
            "<!DOCTYPE html><html><body>502</body></html>",
            error="got HTML, not Atom/RSS/OAI",
            name="feed.xml",
        ),
        Row("<html><body>502</body></html>", error="got HTML"),
        Row("<!-- x -->" * 300 + "<html/>", error="got HTML", name="feed.xml"),
    ],
    "bad-112": [
        Row(line(), error="looks like JSON", name="feed.xml"),
        Row("[]", error="looks like JSON", name="a.atom"),
    ],
    "bad-113": [Row(atom()[:-20], error=r"XML error at line 1 column \d+: unclosed token|no element found")],
    "bad-114": [
        Row(atom("\n<entry></entri>"), error="XML error at line 2 column 10: mismatched tag"),
        Row(atom("<x:entry/>"), error="XML error at line 1 column .*unbound prefix"),
        Row(atom('<entry a="1" a="2"/>'), error="XML error at line 1 column .*duplicate attribute"),
    ],
    "bad-115": [Row(atom(entry(title="a\x08b")), error="XML error at line 1 .*invalid token")],
    "bad-116": [
        Row(atom(entry(title="café")).encode("latin-1"), error="not UTF-8 .byte 0xe9 at offset"),
        Row("Daily Papers\n\ncafé\n".encode("latin-1"), error="not UTF-8 text .byte 0xe9 at offset"),
    ],
    "bad-117": [
        Row(atom().encode("utf-16-le"), error="encoding could not be determined"),
        Row(("Daily Papers\n\n" + ABSTRACT).encode("utf-16-be"), error="encoding could not be determined"),
        Row(atom(before="<?xml version='1.0' encoding='utf-16'?>"), error="encoding could not be determined"),
    ],
    "bad-118": [Row(atom(before='<?xml version="1.0" encoding="x-foo"?>'), error="unknown encoding 'x-foo'")],
    "bad-119": [
        Row(atom(before='<?xml version="1.0" encoding="UTF-7"?>'), error="encoding 'UTF-7' is not allowed"),
        Row(atom(before='<?xml version="1.0" encoding="cp500"?>'), error="encoding 'cp500' is not allowed"),
    ],
    "bad-120": [Row(dtd('SYSTEM "feed.dtd"'), error="DTD not allowed")],
    "bad-121": [Row(billion(), error="DTD not allowed", max_seconds=1.0)],
    "bad-122": [Row(quadratic(), error="DTD not allowed", max_seconds=1.0)],
    "bad-123": [
        Row(dtd('[<!ENTITY e SYSTEM "file:///etc/passwd">]'), error="DTD not allowed"),
        Row(dtd('[<!ENTITY e SYSTEM "http://127.0.0.1:1/x">]'), error="DTD not allowed"),
    ],
    "bad-124": [Row(dtd('[<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]'), error="DTD not allowed")],
    "bad-125": [
        Row(
            atom(entry('<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>')),
            papers=1,
            check=lambda papers: papers[0].abstract == ABSTRACT,
        )
    ],
    "bad-126": [
        Row(atom(before=DECLARED + "<?xml-stylesheet type='text/xsl' href='/etc/passwd'?>"), papers=1)
    ],
    "bad-127": [Row(atom("<a>" * 50_000), error="nesting deeper than 100", max_seconds=1.0)],
    "bad-128": [
        Row(
            lambda path: path.write_text(
                atom("<entry " + " ".join(f'a{i}=""' for i in range(1_000_000)) + "/>")
            ),
            error="attributes over the limit",
        ),
        Row(
            lambda path: path.write_text(atom(f'<entry a="{"x" * 10_000_000}"/>')),
            error="attributes over the limit",
        ),
    ],
    "bad-129": [
        Row(lambda path: path.write_text(atom("<entry/>" * 1_000_000)), error="more than 50,000 entries"),
        Row(lambda path: path.write_text(atom("<x/>" * 1_000_000)), error="more than 50,000 elements"),
    ],
    "bad-130": [
        Row(gzip.compress(bytes(52_000_000)), error="decompressed size"),
        Row(gzip.compress(line(pad="0" * 52_000_000).encode()), error="decompressed size"),
    ],
    "bad-131": [
        Row(gzip.compress(gzip.compress(atom().encode())), error="compressed twice"),
        Row(zip_with_escape(), error="looks like a zip archive"),
        Row(gzip.compress(zip_with_escape()), error="looks like a zip archive"),
    ],
    "bad-132": [
        Row(
            atom(
                entry(identity="http://arxiv.org/api/errors#bad", title="Error", summary="bad id \u202e\x7f")
            ),
            error="arXiv said: bad id;",
        )
    ],
    "bad-136": [
        Row(
            atom("<entry><title>t</title></entry>" + entry(title="") + entry(summary=" ") + entry()),
            papers=1,
            skipped=("no id", "no title", "no abstract"),
        ),
        Row(
            line() + line(id=None) + line(title=None) + line(abstract=""),
            papers=1,
            skipped=("no id", "no title", "no abstract"),
        ),
    ],
    "bad-137": [
        Row(
            "".join(line(id=i) for i in ("2508.13426", "javascript:alert(1)", "../../x", "x" * 3_000)),
            papers=1,
            skipped=("bad id",) * 3,
        )
    ],
    "bad-138": [
        Row(
            atom(entry(identity="2508.13426v1") + entry(identity="2508.13426v2")),
            papers=2,
            check=lambda papers: [p.version for p in papers] == [1, 2],
        )
    ],
    "bad-139": [
        Row(
            atom(entry(identity="2508.13426v2") + entry(identity="2508.13426v1")),
            papers=2,
            check=lambda papers: [p.version for p in papers] == [2, 1],
        )
    ],
    "bad-140": [
        Row(
            line() + line(abstract="") + line(abstract="x") + line(abstract="word " * 400_000),
            papers=2,
            skipped=("no abstract", "abstract too short"),
            check=lambda papers: (
                len(papers[1].abstract) < 1_001 and papers[1].flags == ("repetitive", "truncated")
            ),
        )
    ],
    "bad-141": [
        Row(
            line() + line(abstract="\u200b\u2060\x00\x1b\ufeff" * 9),
            papers=1,
            skipped=("abstract empty after cleaning",),
        )
    ],
    "bad-142": [
        Row(
            line(title=HOSTILE),
            papers=1,
            check=lambda papers: (
                papers[0].title == "A[31m title with"
                and papers[0].flags == ("bidi", "control-characters", "invisible-characters")
            ),
        )
    ],
    "bad-143": [
        Row(
            line(title="=?UTF-8?Q?=0ABcc:?="),
            papers=1,
            check=lambda papers: papers[0].title == "=?UTF-8?Q?=0ABcc:?=",
        )
    ],
    "bad-144": [
        Row(
            line(authors=[f"Author {i}" for i in range(5_000)]),
            papers=1,
            check=lambda papers: len(papers[0].authors) == 5_000,
        ),
        Row(
            atom(entry("".join(f"<author><name>A {i}</name></author>" for i in range(5_000)))),
            papers=1,
            check=lambda papers: len(papers[0].authors) == 5_000,
        ),
    ],
    "bad-145": [
        Row(
            "".join(line(date=d) for d in ("9999-99-99", "0000", "2025-03-18T10:00:00", None)),
            papers=4,
            check=lambda papers: (
                [p.published for p in papers] == [None] * 4
                and [p.flags for p in papers] == [("bad-date",)] * 3 + [()]
            ),
        )
    ],
    "bad-146": [
        Row(
            line(date="2199-01-01"),
            papers=1,
            check=lambda papers: papers[0].flags == ("future-date",) and papers[0].published is not None,
        )
    ],
    "bad-147": [
        Row(
            "".join(line(url=u) for u in ("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd")),
            papers=3,
            check=lambda papers: all(
                p.url == "https://arxiv.org/abs/2508.13426" and p.flags == ("bad-url",) for p in papers
            ),
        ),
        Row(
            atom(entry('<link href="javascript:alert(1)"/>')),
            papers=1,
            check=lambda papers: papers[0].url == "https://arxiv.org/abs/2508.13426",
        ),
    ],
    "bad-148": [
        Row(
            line(categories=["cs.CL", "unheard of"]),
            papers=1,
            check=lambda papers: papers[0].categories == ("cs.CL", "unheard of"),
        )
    ],
    "bad-149": [
        Row(
            atom(entry(summary="<![CDATA[<p>We show <b>x</b> &lt; 2</p><script>alert(1)</script>]]>")),
            papers=1,
            check=lambda papers: papers[0].abstract == "We show x < 2",
        ),
        Row(
            atom(entry(summary="We show <math><mi>x</mi><mo>=</mo><mn>2</mn></math> here")),
            papers=1,
            check=lambda papers: papers[0].abstract == "We show x=2 here",
        ),
    ],
    "bad-151": [],
}
LATER = {
    "bad-108": "a watched folder does not exist; a symlink that a person names is followed",
}
ELSEWHERE = {
    "bad-133": "test_xml_feeds.py",
    "bad-134": "test_xml_feeds.py",
    "bad-135": "test_services.py",
    "bad-150": "test_ssrf_guard.py",
    "bad-152": "test_ssrf_guard.py",
    "bad-153": "test_ssrf_guard.py",
}
CASES = [
    pytest.param(row, id=f"{name}-{number}")
    for name, rows in TABLE.items()
    for number, row in enumerate(rows)
]


def make(row: Row, folder: Path) -> Path:
    path = folder / row.name
    if callable(row.content):
        row.content(path)
    else:
        path.write_bytes(row.content.encode() if isinstance(row.content, str) else row.content)
    return path


@pytest.mark.parametrize("row", CASES)
def test_a_bad_file_is_refused_or_read_as_the_table_says(row: Row, tmp_path: Path) -> None:
    """One line and exit code 4, or the papers and the reasons, in time."""
    path = make(row, tmp_path)
    start = time.process_time()
    if row.error:
        with pytest.raises(FeedError, match=row.error) as caught, open_feed(path) as feed:
            list(feed.records)
        assert caught.value.exit_code == 4
        assert "\n" not in str(caught.value)
    else:
        with open_feed(path) as feed:
            entries = list(feed.records)
        papers = [e for e in entries if isinstance(e, Paper)]
        assert tuple(e.reason for e in entries if isinstance(e, Skipped)) == row.skipped
        assert len(papers) == row.papers
        assert row.check(papers)
    assert time.process_time() - start < row.max_seconds


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """bad-106: permission denied is said in one line."""
    path = tmp_path / "feed"
    path.write_text(line())
    path.chmod(0)
    with pytest.raises(FeedError, match="permission denied"):
        open_feed(path)


def test_permission_denied_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-106: what the system refuses is reported as such, whoever runs the test."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FeedError, match="feed: permission denied"):
        open_feed(tmp_path / "feed")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/random"])
def test_a_device_is_refused(device: str) -> None:
    """bad-107: a device never ends or never answers."""
    with pytest.raises(FeedError, match="not a regular file"):
        open_feed(device)


def test_an_endless_stdin_is_refused() -> None:
    """bad-107: zeros without end on stdin are no feed, and are not read to their end."""
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(FeedError, match="looks like binary data"):
        open_feed("-", stdin=zeros)


@pytest.mark.parametrize("source", ["file:///etc/passwd", "ftp://example.org/x", "gopher://example.org/x"])
def test_other_schemes_are_refused(source: str) -> None:
    """bad-151: only live services have schemes."""
    with pytest.raises(FeedError, match="scheme not allowed"):
        open_feed(source)


def test_every_row_is_here_or_named_as_later(shared: Path) -> None:
    """The table and the list of later rows cover the surface, without overlap."""
    rows = map(json.loads, (shared / "data" / "bad_inputs.jsonl").read_text(encoding="utf-8").splitlines())
    wanted = {row["id"] for row in rows if row["surface"] == "Feed files"}
    assert TABLE.keys() | LATER.keys() | ELSEWHERE.keys() == wanted
    assert len(TABLE) + len(LATER) + len(ELSEWHERE) == len(wanted)
    for row, name in ELSEWHERE.items():
        assert f"{row}: " in (Path(__file__).parent / name).read_text(encoding="utf-8")
