"""Language tags: validated, named, with direction and number marks."""

from __future__ import annotations

import pytest

from paperagent.errors import InputError
from paperagent.text.languages import SUGGESTED, language


@pytest.mark.parametrize(
    ("tag", "stored", "name"),
    [
        ("de", "de", "German"),
        ("DE-at", "de-AT", "German (Austria)"),
        (" pt-br ", "pt-BR", "Portuguese (Brazil)"),
        ("zh-hant", "zh-Hant", "Chinese (Traditional)"),
        ("sr-Latn", "sr-Latn", "Serbian (Latin)"),
    ],
)
def test_a_tag_has_a_name_and_its_usual_case(tag: str, stored: str, name: str) -> None:
    assert (language(tag).tag, language(tag).name) == (stored, name)
    assert language(stored) == language(tag)


@pytest.mark.parametrize(
    "tag", ["", "german", "d", "xx", "de-XX", "de_AT", "tlh", "de-1901-x", "x" * 900, "ｄｅ", "de\x1b[2J"]
)
def test_what_is_no_known_language_is_refused_in_one_line(tag: str) -> None:
    with pytest.raises(InputError, match=r"^language: ") as caught:
        language(tag)
    assert str(caught.value).isprintable()


def test_direction_and_number_marks() -> None:
    assert [tag for tag in SUGGESTED if language(tag).is_rtl] == ["ar", "fa", "he", "ur"]
    assert language("de").decimal == ","
    assert language("ja").decimal == "."
    assert language("en-GB").is_english
    assert not language("de").is_english


def test_a_language_with_its_usual_script_is_stored_with_it() -> None:
    assert language("zh-CN") == language("zh-Hans-CN")
