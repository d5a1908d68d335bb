"""Lists of links to arXiv: the error names the ids, and ``--fetch`` fetches their papers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from paperagent.errors import FeedError
from paperagent.feeds.link_list import LinkListError, find_links
from paperagent.feeds.reader import open_feed

AWESOME = """# Awesome lanterns [![Awesome](https://example.org/badge.svg)](https://example.org)

- [2024/01] **Forty lanterns** [[paper](https://arxiv.org/abs/2401.01234)] [[code](https://github.com/x/y)]
- [2024/02] **Oils** [[pdf](https://arxiv.org/pdf/2402.01234v2.pdf)], again [[abs](http://arxiv.org/abs/2402.01234)]
- **Wicks** [[paper](https://doi.org/10.5555/wick.17)], **Tin** [[paper](https://huggingface.co/papers/2403.00017)]

```bibtex
@misc{awesome,
  title={Awesome lanterns},
}
```
"""
HTML = """<!DOCTYPE html>
<html><body><ul><li><a href="https://arxiv.org/abs/2401.01234">Forty lanterns</a></li>
<li><a href='/papers/2402.01234'>Oils</a></li><li>arXiv:2403.00017</li></ul></body></html>"""
BOOKMARKS = """<!DOCTYPE NETSCAPE-Bookmark-file-1>
<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">
<TITLE>Bookmarks</TITLE>
<DL><p>
<DT><A HREF="https://arxiv.org/abs/2401.01234" ADD_DATE="1704153600">Forty lanterns</A>
<DT><A HREF="https://www.alphaxiv.org/abs/2402.01234v1">Oils</A>
<DT><A HREF="https://doi.org/10.48550/arXiv.2403.00017">Tin</A>
</DL><p>"""
IDS = ["2401.01234", "2402.01234", "2403.00017"]


def links(path: Path) -> LinkListError:
    with pytest.raises(LinkListError) as caught, open_feed(path):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("awesome.md", AWESOME),
        ("awesome.md", f"<!-- made by hand -->\n{AWESOME}"),
        ("awesome.md", f'<p align="center"><img src="x"></p>\n\n{AWESOME}'),
        ("awesome.md", AWESOME.partition("\n\n")[2]),
        ("list.txt", f"<!-- made by hand -->\n{AWESOME.partition('```')[0]}"),
        ("page.html", HTML),
        ("page.html", f"<div>{HTML.partition('<body>')[2]}"),
        ("page", HTML),
        ("bookmarks.html", BOOKMARKS),
        ("ids.txt", "2401.01234\n2402.01234v2\n\narXiv:2403.00017\n"),
        ("ids.txt", "1. 2401.01234,\r\n2. 2402.01234,\r\n3. 2403.00017v1\r\n"),
        ("ids.txt", "- 2401.01234\n- 2402.01234\n* 2403.00017"),
        ("notes.txt", "[1] A. Vex, arXiv:2401.01234 [2] arXiv: 2402.01234\n[3] https://arxiv.org/html/2403.00017v1"),
        ("notes.txt", "[Forty](https://arxiv.org/abs/2401.01234) arXiv:2402.01234, arXiv:2403.00017."),
    ],
)  # fmt: skip
def test_the_ids_of_a_list_are_taken_in_order(name: str, text: str, tmp_path: Path) -> None:
    """The ids are in links, labels and lines. Each is returned once, and other numbers are ignored."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert [arxiv.id for arxiv in links(path).arxiv_ids] == IDS


def test_the_error_says_what_it_is_and_what_to_do(tmp_path: Path) -> None:
    """One sentence with the command; other identifiers are counted, and not fetched."""
    path = tmp_path / "my list.md"
    path.write_text(AWESOME, encoding="utf-8")
    error = links(path)
    assert str(error) == (
        f"{path}: a list of 3 arXiv ids (and 1 DOI, not fetched) without abstracts; "
        f"'paperagent ingest --fetch '{path}'' fetches them from arXiv"
    )
    assert error.exit_code == 4
    old = find_links("hep-th/9901001v2\nsee arxiv.org/abs/math.GT/0309136", "-")
    assert old is not None
    assert [str(arxiv.id) for arxiv in old.arxiv_ids] == ["hep-th/9901001", "math/0309136"]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("numbers.txt", "1250.3344\n1299.12345\n", "text of no known format"),
        (
            "prose.md",
            "The lantern gives 2401.01234 lumens per house.",
            "text of no known format",
        ),
        ("page.html", "<html><body>502</body></html>", "got HTML, not Atom/RSS/OAI"),
        ("feed.xml", HTML, "got HTML, not Atom/RSS/OAI"),
        ("part.html", "<div>no link</div>", "got HTML"),
        ("list.bib", "see https://arxiv.org/abs/2401.01234", "does not look like BibTeX"),
    ],
)
def test_other_files_are_no_lists(name: str, text: str, error: str, tmp_path: Path) -> None:
    """Numbers are no ids, and files that promise another format are refused as that."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FeedError, match=error) as caught, open_feed(path):
        pass
    assert not isinstance(caught.value, LinkListError)


@pytest.mark.parametrize(
    "piece", ["arxiv.org/abs/", "2401.01234", "- ", "10.5555/", "<a href='/papers/", "[", "<!--"]
)
def test_hostile_lists_take_linear_time(piece: str, tmp_path: Path) -> None:
    """Two megabytes of beginnings are searched at once."""
    path = tmp_path / "list.md"
    path.write_text(f"- arXiv:2401.01234 {piece * (2_000_000 // len(piece))}", encoding="utf-8")
    start = time.process_time()
    assert links(path).arxiv_ids[0].id == "2401.01234"
    assert time.process_time() - start < 4.0


def test_the_real_input_names_its_ids(shared: Path) -> None:
    """The row of the table: a sentence that says what to do."""
    error = links(shared / "data" / "real_inputs" / "m01_awesome.md")
    assert [arxiv.id for arxiv in error.arxiv_ids] == ["2401.01234", "2402.01234"]
    assert "a list of 2 arXiv ids without abstracts; 'paperagent ingest --fetch " in str(error)
