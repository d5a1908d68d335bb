"""Text in a wrong encoding is repaired, and other text stays."""

from __future__ import annotations

import pytest

from paperagent.text.mojibake import DAMAGED, REPAIRED, repair_encoding


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lampen im KalkÃ¼l", "Lampen im Kalkül"),
        ("SchÃ¼tte â€ž5 Lampenâ€œ â€“ 3 Âµm", "Schütte „5 Lampen“ – 3 µm"),
        ("the lampâ€™s hum", "the lamp’s hum"),
    ],
)
def test_mojibake_is_repaired_and_flagged(text: str, expected: str) -> None:
    """UTF-8 that was read as Windows-1252 is read as UTF-8."""
    flags = set[str]()
    assert repair_encoding(text, flags) == expected
    assert flags == {REPAIRED}


@pytest.mark.parametrize(
    "text",
    ["a “café” – naïve", "São Paulo, façade", "ÉTÉ” à la carte", "Å¡ 5 Å… â", "ﬁne １２ 𝛼 and ½", "&eacute;"],
)
def test_correct_text_stays(text: str) -> None:
    """Quotes after accented letters, ligatures and wide characters are not mojibake."""
    flags = set[str]()
    assert repair_encoding(text, flags) == text
    assert not flags


def test_what_cannot_be_repaired_is_flagged() -> None:
    """A lost byte leaves the text as it is, with a flag."""
    flags = set[str]()
    repair_encoding("Ã\ufffdtude Ã¼ber â€ Ã°ÂŸ", flags)
    assert DAMAGED in flags
