"""Identities and addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.feeds import ids


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2508.13426", ("2508.13426", None)),
        ("2508.13426v3", ("2508.13426", 3)),
        ("0704.0001", ("0704.0001", None)),
        ("arXiv:2508.13426v1", ("2508.13426", 1)),
        ("arXiv: 2508.13426 [cs.CL]", ("2508.13426", None)),
        ("http://arxiv.org/abs/2508.13426v1", ("2508.13426", 1)),
        ("https://export.arxiv.org/pdf/2508.13426v2.pdf", ("2508.13426", 2)),
        ("oai:arXiv.org:2508.13426v1", ("2508.13426", 1)),
        ("https://doi.org/10.48550/arXiv.2508.13426", ("2508.13426", None)),
        ("https://huggingface.co/papers/2508.13426", ("2508.13426", None)),
        ("cs/0112017", ("cs/0112017", None)),
        ("math.GT/0309136v2", ("math/0309136", 2)),
        ("http://arxiv.org/abs/cond-mat/9607001v1", ("cond-mat/9607001", 1)),
    ],
)
def test_arxiv_ids_of_every_style_are_found(text: str, found: tuple[str, int | None]) -> None:
    """Old and new ids come out bare, without version, whatever stands around them."""
    assert ids.parse_arxiv_id(text) == found


@pytest.mark.parametrize(
    "text",
    [
        None,
        2508.13426,
        "",
        "javascript:alert(1)",
        "../../x",
        "2508.13426/../x",
        "2508.134",
        "9" * 3_000,
        "٢٥٠٨.13426",
    ],
)
def test_what_is_no_arxiv_id_is_refused(text: object) -> None:
    """Other text, paths, scripts, numbers and digits of other scripts are no ids."""
    assert ids.parse_arxiv_id(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.1000/XYZ", "10.1000/xyz"),
        ("https://doi.org/10.1000/xyz", "10.1000/xyz"),
        ("doi: 10.1000/xyz", "10.1000/xyz"),
        ("10.1000/first 10.1000/second", "10.1000/first"),
        ("10.1002/(SICI)1097-4636(199823)43:4<338::AID-JBM>3.0.CO;2-B", None),
        ("11.1000/xyz", None),
        ("javascript:10.1000/xyz", None),
        (" ", None),
        (7, None),
    ],
)
def test_dois_are_normalized(text: object, found: str | None) -> None:
    """A DOI comes out lower case without its resolver; of several, the first."""
    expected = text.lower() if isinstance(text, str) and "SICI" in text else found
    assert ids.parse_doi(text) == expected


def test_content_ids_ignore_case_width_and_spacing() -> None:
    """Two copies of a text that differ in case, spacing or compatibility forms are one paper."""
    assert ids.content_id("A  Title", "ﬁne text") == ids.content_id("a title", "FINE\ttext")


def test_content_ids_depend_on_the_abstract() -> None:
    """Papers that share a title alone stay apart, and text cannot move between the two."""
    assert len({ids.content_id("t", "one"), ids.content_id("t", "two"), ids.content_id("t one", "")}) == 3


@given(st.from_regex(r"[0-9]{4}\.[0-9]{4,5}", fullmatch=True), st.integers(1, 9999))
def test_a_version_is_split_off(identity: str, version: int) -> None:
    """Every id with a version gives both."""
    if identity.isascii():
        assert ids.parse_arxiv_id(f"{identity}v{version}") == (identity, version)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("2508.13426", True),
        ("cs/0112017", True),
        ("doi:10.1000/xyz", True),
        ("sha256:" + "0" * 32, True),
        ("2508.13426v1", False),
        ("doi:10.1000/XYZ", False),
        ("sha256:" + "0" * 31, False),
        ("title:x", False),
        (None, False),
    ],
)
def test_only_the_librarys_own_identities_are_taken_over(text: object, valid: bool) -> None:  # noqa: FBT001 - a table
    """An identity is accepted exactly as the library writes it."""
    assert (ids.parse_paper_id(text) == text and text is not None) is valid


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://example.org/x",
        "https://",
        "https://user:pw@example.org/",
        "https://example.org/\x1b[2J",
        "https://exämple.org/",
        "https://[::1",
        "https://example.org/" + "x" * 2_000,
        7,
    ],
)
def test_other_addresses_are_dropped_and_flagged(url: object) -> None:
    """Only plain http(s) addresses stay."""
    noticed: set[str] = set()
    assert ids.clean_url(url, noticed) is None
    assert noticed == {"bad-url"}


@pytest.mark.parametrize("url", ["https://arxiv.org/abs/2508.13426", "http://example.org:80/a?b=c#d"])
def test_web_addresses_stay(url: str) -> None:
    """A plain address is kept as it is."""
    noticed: set[str] = set()
    assert ids.clean_url(url, noticed) == url
    assert not noticed


@pytest.mark.parametrize("url", [None, "", " "])
def test_no_address_is_no_fault(url: object) -> None:
    """A missing address raises no flag."""
    noticed: set[str] = set()
    assert ids.clean_url(url, noticed) is None
    assert not noticed


@pytest.mark.parametrize(
    ("title", "word"),
    [
        ("Tindersift: Filtering Passages", "tindersift"),
        ("How Does This Do What? Using Bandwidth", "bandwidth"),
        ("On the GPT4 of Élan-Vital", "elan"),
        (r"\textbf{GSM8K} for Everyone", "gsm8k"),
        ("大規模言語モデル", "paper"),
        ("A", "paper"),
        ("x" * 1_000, "x" * 24),
    ],
)
def test_a_slug_begins_with_the_first_telling_word_of_the_title(title: str, word: str) -> None:
    """Stop words, short words, LaTeX commands and other scripts are skipped."""
    short, long = ids.slugs(title, ids.content_id(title, "An abstract."))
    assert short.startswith(f"{word}-")
    assert long.startswith(short)
    assert ids.parse_paper_id(short) == short
    assert ids.parse_paper_id(long) == long


def test_only_a_hash_of_a_text_has_slugs() -> None:
    """Other ids are already short."""
    assert ids.slugs("Tindersift", "2508.13426") == ids.slugs("Tindersift", "sha256:0") == ()
