"""One claim against its source, from Python and on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from test_bad_inputs_cli import Stdin

import paperagent
from paperagent import ClaimCheck, InputError, check
from paperagent.cli import main
from sample_library import home, paper_titled

PAPER = paper_titled("Tindersift")
RIGHT = "Tindersift removes 61% of the tokens in the prompt."
WRONG = "Tindersift removes 16% of the tokens in the prompt."
SENTENCE = next(s for s in PAPER.abstract.split(". ") if "61%" in s) + "."

# --- from Python ---


def test_a_claim_is_held_against_the_sentences_given() -> None:
    """Support, score and reasons, and the same as JSON."""
    found = check(RIGHT, [SENTENCE], title=PAPER.title, abstract=PAPER.abstract)
    assert isinstance(found, ClaimCheck)
    assert (found.support, found.reasons, found.sources) == ("supported", (), (SENTENCE,))
    assert found.score > 0.5
    assert json.loads(json.dumps(found.to_dict())) == {
        "claim": RIGHT,
        "support": "supported",
        "score": found.score,
        "reasons": [],
        "checks": dict(found.checks),
        "sources": [SENTENCE],
    }


def test_what_contradicts_its_source_is_unsupported() -> None:
    """The reason names what was found."""
    found = check(WRONG, [SENTENCE], abstract=PAPER.abstract)
    assert found.support == "unsupported"
    assert any("16" in reason for reason in found.reasons)


def test_without_sentences_the_abstract_is_looked_through() -> None:
    """The sentence that supports the claim is named; where none does, the nearest ones are."""
    assert check(RIGHT, abstract=PAPER.abstract).sources == (SENTENCE,)
    found = check(WRONG, abstract=PAPER.abstract)
    assert found.support == "unsupported"
    assert SENTENCE in found.sources
    assert len(found.sources) <= 3


def test_one_sentence_may_be_given_as_a_text() -> None:
    """It is not taken for a list of letters."""
    assert check(SENTENCE, SENTENCE).support == "quoted"


def test_a_long_text_is_looked_through_within_limits() -> None:
    """Of a whole paper the sentences that share words with the claim are read."""
    filler = [f"Section {n} describes another matter in detail." for n in range(900)]
    text = " ".join([*filler[:450], SENTENCE, *filler[450:]])
    assert check(RIGHT, abstract=text).sources == (SENTENCE,)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", ["x"]), "claim: is empty"),
        ((" \n", ["x"]), "claim: is empty"),
        ((None, ["x"]), "claim: must be str, got NoneType"),
        (("x", [3]), "sources: must be str, got int"),
        (("x", []), "sources: none given"),
        (("x", [" "]), "sources: none given"),
        (("x", ["y" * 200_001]), "sources: over 200,000 characters"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments: tuple[Any, Any], said: str) -> None:
    """The error names the argument."""
    with pytest.raises(InputError, match=said):
        check(*arguments)


def test_the_front_door_has_it() -> None:
    """Under the name that the contract gives."""
    assert paperagent.check is check


# --- on the command line ---


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, *argv: str, stdin: bytes | None = None
) -> tuple[int, str, str]:
    monkeypatch.setenv("PAPERAGENT_HOME", str(home()))
    monkeypatch.setattr(sys, "stdin", Stdin(stdin))
    code = main.main(["check", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_claim_is_held_against_a_paper(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Verdict, score, the paper and the sentence."""
    code, out, err = run(monkeypatch, capsys, "--paper", PAPER.paper_id, RIGHT)
    assert (code, err) == (0, "")
    assert out.startswith(
        f"{RIGHT}\n\n*supported: the wording of the source agrees with the claim*\n- score: "
    )
    assert f"**{PAPER.title}** — {PAPER.paper_id}" in out
    assert f"   > {SENTENCE}" in out


def test_a_claim_that_is_not_supported_is_a_finding(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The exit code is 0, and the reasons are given."""
    code, out, _ = run(monkeypatch, capsys, "--paper", PAPER.paper_id, *WRONG.split())
    assert code == 0
    assert "*unsupported: " in out
    assert "- reason: number 16" in out


def test_the_finding_as_json(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The same fields as in Python, and the paper."""
    _, out, _ = run(monkeypatch, capsys, "--json", "--paper", PAPER.paper_id, WRONG)
    found = json.loads(out)
    assert found["paper"] == {"paper_id": PAPER.paper_id, "title": PAPER.title}
    assert {k: v for k, v in found.items() if k != "paper"} == check(
        WRONG, title=PAPER.title, abstract=PAPER.abstract
    ).to_dict()


def test_a_claim_is_held_against_a_text(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    """A file, or standard input; paragraphs are read apart. The claim may come from standard input, too."""
    text = "A heading\n\nOwls sleep at night.\n"
    file = tmp_path / "text.txt"
    file.write_text(text)
    claim = "Owls sleep at night."
    ways = [
        (("--against", str(file), claim), None),
        (("--against", "-", claim), text.encode()),
        (("--against", str(file)), claim.encode()),
        (("--against", str(file), "-"), claim.encode()),
    ]
    for argv, stdin in ways:
        code, out, _ = run(monkeypatch, capsys, *argv, stdin=stdin)
        assert (code, "*quoted: " in out, "   > Owls sleep at night.\n" in out) == (0, True, True), argv


def test_strangers_texts_are_shown_as_text(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    """Escapes, markup and links of claim and file stay visible characters."""
    file = tmp_path / "text.txt"
    file.write_text("Owls \x1b[31msleep <b>[now](https://evil.example)</b>.\n")
    _, out, _ = run(monkeypatch, capsys, "--against", str(file), "Owls \x1b[2Jsleep **now**.")
    assert "\x1b" not in out
    assert r"\x1b\[31msleep [now\](https://evil.example)" in out
    _, out, _ = run(monkeypatch, capsys, "--json", "--against", str(file), "Owls \x1b[2Jsleep.")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("argv", "stdin", "code", "said"),
    [
        (["x"], None, 2, "--paper and --against: give exactly one of them"),
        (["--paper", "a", "--against", "b", "x"], None, 2, "--paper and --against: give exactly one of them"),
        (["--paper", "a"], None, 2, "missing CLAIM"),
        (["--paper", "a", ""], None, 2, "claim is empty"),
        (["--paper", "nothing-here", "x"], None, 2, "no paper with the id nothing-here"),
        (["--against", "-"], b"text", 2, "standard input is the text"),
        (["--against", "-", "-"], b"text", 2, "standard input is the text"),
        (["--against", "/no/such/file", "x"], None, 4, "/no/such/file: cannot be read: No such file"),
        (["--against", "/", "x"], None, 4, "/: cannot be read: Is a directory"),
        (["--against", "-", "x"], b" \n", 4, "standard input: is empty"),
        (["--against", "-", "x"], b"\xff\xfe", 4, "standard input: input is not UTF-8"),
        (["--against", "-", "x"], b"a" * (1 << 20) + b"b", 4, "standard input: larger than 1,048,576 bytes"),
        (["--against", "", "x"], None, 2, "path is empty"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, argv: list[str], stdin: bytes | None, code: int, said: str
) -> None:
    """Wrong usage is 2, a text that cannot be read 4."""
    found, out, err = run(monkeypatch, capsys, *argv, stdin=stdin)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert said in err
