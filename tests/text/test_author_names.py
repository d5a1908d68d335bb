"""Comparison of authors' names."""

from __future__ import annotations

import pytest

from paperagent.text.author_names import has_author


@pytest.mark.parametrize(
    ("author", "name", "same"),
    [
        ("Henderson", "Peter Henderson", True),
        ("henderson", "PETER HENDERSON", True),
        ("P. Henderson", "Peter Henderson", True),
        ("Peter Henderson", "Peter A. Henderson", True),
        ("Henderson, Peter", "Peter Henderson", True),
        ("Peter Henderson", "P. Henderson", True),
        ("Peter Henderson", "Paula Henderson", False),
        ("A. Henderson", "Peter Henderson", False),
        ("Hender", "Peter Henderson", False),
        ("Peter", "Peterson Hale", False),
        ("P.", "Peter Henderson", False),
        ("Muller", "Jörg Müller", True),
        ("Strom", "Liv Strøm", True),
        ("O'Brien", "Mary O'Brien", True),
        ("Jean Pierre Lund", "Jean-Pierre Lund", True),
        ("王小明", "王小明", True),
        ("王大明", "王小明", False),
        ("Peter Peter", "Peter Henderson", False),
        ("%", "Peter Henderson", False),
    ],
)
def test_a_name_is_found_as_people_write_it(author: str, name: str, same: bool) -> None:  # noqa: FBT001 - a table
    """Whole words in any order, without case and accents; an initial stands for a word."""
    assert has_author(["Someone Else", name], author) is same
