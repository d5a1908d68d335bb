"""Identities and addresses."""

from __future__ import annotations

import time

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
        ("arXiv:2401.01234v2 [cs.CL]", ("2401.01234", 2)),
        ("https://arxiv.org/abs/2401.01234?context=cs", ("2401.01234", None)),
        ("https://arxiv.org/pdf/2401.01234v2.pdf#page=3", ("2401.01234", 2)),
        ("https://www.arxiv.org/abs/2401.01234/", ("2401.01234", None)),
        ("arxiv.org/html/2401.01234v1", ("2401.01234", 1)),
        ("https://arxiv.org/abs/arXiv:2401.01234", ("2401.01234", None)),
        ("https://arxiv.org/abs/2401.01234 (accessed 2024-02-20)", ("2401.01234", None)),
        ("https://arxiv.org/abs/2401.01234 https://example.org/a", ("2401.01234", None)),
        ("https://www.alphaxiv.org/overview/2401.01234v2", ("2401.01234", 2)),
        ("https://ar5iv.labs.arxiv.org/html/2401.01234", ("2401.01234", None)),
        ("https://www.doi.org/10.48550/ARXIV.2401.01234", ("2401.01234", None)),
        ("info:doi/10.48550/arXiv.hep-th/9901001", ("hep-th/9901001", None)),
        ("arXiv preprint arXiv:2401.01234, 2024", ("2401.01234", None)),
        ("arXiv e-prints, arXiv:hep-th/9901001", ("hep-th/9901001", None)),
        ("CoRR abs/1801.01234", ("1801.01234", None)),
        ("ArXiv, abs/1801.01234", ("1801.01234", None)),
        ("arXiv:2401.01234 (2024)", ("2401.01234", None)),
        (r"{{\url{https://arxiv.org/abs/cs.CL/0102003}}}", ("cs/0102003", None)),
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
        "An extension of arXiv:2401.01234",
        "arXiv:2401.01234 is extended here",
        "see https://arxiv.org/abs/2401.01234",
        "2401.01234 and 2",
        "https://arxiv.org/list/cs.CL/2401",
        "https://evilarxiv.org/abs/2401.01234",
        "https://arxiv.org.example.org/abs/2401.01234",
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


@pytest.mark.parametrize(
    "text",
    [
        "{{10.1000/XYZ.1}}",
        "info:doi/10.1000/xyz.1",
        "urn:doi:10.1000/xyz.1",
        "DOI: 10.1000/xyz.1",
        "doi:10.1000/xyz.1",
        "DOI 10.1000/xyz.1",
        "doi.org/10.1000/xyz.1",
        "https://www.doi.org/10.1000/xyz.1",
        "http://dx.doi.org/10.1000/xyz.1",
        "http://doi.acm.org/10.1000/xyz.1",
        "https://doi.ieeecomputersociety.org/10.1000/xyz.1",
        "https://doi-org.proxy.example.edu/10.1000/xyz.1",
        "https://doi.org/doi:10.1000/xyz.1",
        "https://doi.org/https://doi.org/10.1000/xyz.1",
        "https://doi.org/10.1000%2Fxyz.1#abstract",
        "10.1000/xyz.1.",
        "10.1000/xyz.1,",
        "10.1000/xyz.1;",
        "(10.1000/xyz.1).",
        "<https://doi.org/10.1000/xyz.1/>",
        "10.1000/xyz.1 [doi]",
        "10.1000/xyz.1 (open access)",
        "10.1000/xyz.1, 10.1000/other",
        "10.1000/xyz.1;https://doi.org/10.1000/other",
        "\u200b10.1000/xyz.1",
        r"\url{https://doi.org/10.1000/xyz.1}",
        r"\href{https://doi.org/10.1000/xyz.1}{10.1000/xyz.1}",
        "https://dl.acm.org/doi/abs/10.1000/xyz.1",
        "https://dl.acm.org/doi/10.1000/xyz.1?download=true",
        "https://link.springer.com/article/10.1000/xyz.1",
        "https://link.springer.com/content/pdf/10.1000/xyz.1.pdf",
        "https://onlinelibrary.wiley.com/doi/10.1000/xyz.1/abstract",
        "https://journals.plos.org/plosone/article?id=10.1000/xyz.1&type=printable",
        "https://www.scopus.com/record.uri?eid=2-s2.0-85&doi=10.1000%2fxyz.1&partnerID=40",
    ],
)
def test_dois_are_read_in_every_writing(text: str) -> None:
    """Labels, resolvers, pages of publishers, LaTeX, codes and what follows are taken off."""
    assert ids.parse_doi(text) == "10.1000/xyz.1"


SICI = "10.1002/(SICI)1097-4571(199806)49:8<693::AID-ASI4>3.0.CO;2-O"


@pytest.mark.parametrize(
    "text",
    [
        SICI,
        f"{SICI}.",
        f"({SICI})",
        "https://doi.org/" + SICI.replace("<", "%3C").replace(">", "%3e"),
        SICI.replace("<", "&lt;").replace(">", "&gt;"),
        SICI.replace("<", "&amp;lt;").replace(">", "&amp;gt;"),
        SICI.replace("<", r"{\textless}").replace(">", "$>$"),
    ],
)
def test_matched_brackets_belong_to_a_doi(text: str) -> None:
    """DOIs of old journals have brackets, angles and a semicolon inside."""
    assert ids.parse_doi(text) == SICI.lower()


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        (r"10.1007/978-3-031-06773-0\_38", "10.1007/978-3-031-06773-0_38"),
        (r"10.1007/978-3-031-06773-0{\_}38", "10.1007/978-3-031-06773-0_38"),
        ("10.1007/978–3–031–06773–0", "10.1007/978-3-031-06773-0"),
        ("https://www.biorxiv.org/content/10.1101/2020.01.02.123456v2.full", "10.1101/2020.01.02.123456"),
        ("https://academic.oup.com/b/article/doi/10.1093/b/btx123/3045678", None),
        ("see 10.1000/x", None),
        ("An extension of doi:10.1000/x", None),
        ("10.1000/", None),
    ],
)
def test_a_doi_is_neither_cut_nor_guessed(text: str, doi: str | None) -> None:
    """Where the end is unclear, or the text is a sentence, there is none."""
    assert ids.parse_doi(text) == doi


@given(st.from_regex(r"10\.[0-9]{4,9}/[a-z0-9._()\-]{0,20}[a-z0-9]", fullmatch=True))
def test_a_plain_doi_stays(doi: str) -> None:
    """A DOI in the usual characters is its own normal form."""
    assert ids.parse_doi(doi) == doi
    assert ids.parse_paper_id(f"doi:{doi}") == f"doi:{doi}"


@pytest.mark.parametrize(
    ("text", "pmid"),
    [
        ("29123456", "pmid:29123456"),
        (29123456, "pmid:29123456"),
        ("{PMID: 29123456}", "pmid:29123456"),
        ("29123456 [pmid]", "pmid:29123456"),
        ("https://pubmed.ncbi.nlm.nih.gov/29123456/?from=a", "pmid:29123456"),
        ("https://www.ncbi.nlm.nih.gov/pubmed/29123456", "pmid:29123456"),
        ("PMC5812345", None),
        ("0", None),
        ("4 of 29123456", None),
        (None, None),
    ],
)
def test_pmids_are_read(text: object, pmid: str | None) -> None:
    """A number, a label or an address; the id of PubMed Central is another one."""
    assert ids.parse_pmid(text) == pmid


@pytest.mark.parametrize(
    "text",
    ["at " * 100, "arxiv " * 50, "https://a.example/" + "a/" * 140, "https://a.example/?" + "a&" * 140]
    + [piece * 60 for piece in ("{", "\\url{", "a-", "doi ", "%25", "&amp;", ")")],
)
def test_ids_take_no_time(text: str) -> None:
    """No text of the permitted length is shared out in many ways."""
    start = time.process_time()
    for _ in range(20):
        ids.parse_arxiv_id(text)
        ids.parse_doi(f"{text[:290]}10.1/")
        ids.parse_doi(f"10.1000/{text[:290]}")
        ids.parse_pmid(text)
    assert time.process_time() - start < 0.5


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
