"""The command that checks one claim."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import Folder, Words, as_json, common
from paperagent.cli.session import Session, show

if TYPE_CHECKING:
    from paperagent.answering.check_claim import ClaimCheck
    from paperagent.layout import Block
    from paperagent.types import Paper

MAX_BYTES = 1024 * 1024
_SAID = {
    "quoted": "quoted: the source says this word for word",
    "supported": "supported: the source says this, as far as wording shows",
    "unverified": "unverified: wording neither confirms nor refutes it; compare it with the source",
    "unsupported": "unsupported: the source contradicts this or does not say it",
}


@click.command()
@click.argument("claim", nargs=-1)
@click.option("--paper", type=Words(), metavar="ID", help="Check the claim against this paper's abstract.")
@click.option(
    "--against", metavar="FILE", help="Check the claim against the text of FILE; - reads standard input."
)
@click.option("--question", type=Words(), help="The question that the claim answers, as context.")
@as_json
@common
@click.pass_obj
def check(session: Session, /, claim: tuple[str, ...], **given: Any) -> None:
    """Check whether a paper or a text supports CLAIM; print the verdict, the score and the reasons.

    The check compares wording and uses no model. The exit code is 0 whatever the verdict is.
    """
    from paperagent.answering.check_claim import check as checked
    from paperagent.cli.ask import words_of

    paper_id, against = given["paper"], given["against"]
    if (paper_id is None) == (against is None):
        raise click.UsageError("--paper and --against: give exactly one of them")
    if against == "-" and claim in ((), ("-",)):
        raise click.UsageError("--against -: standard input holds the text; give the CLAIM as an argument")
    text = words_of(claim, "CLAIM")
    paper = None
    if paper_id is not None:
        with session.agent() as agent:
            paper = agent.get(paper_id)
        found = checked(text, title=paper.title, abstract=paper.abstract, question=given["question"] or "")
    else:
        found = checked(text, abstract=_text_of(against), question=given["question"] or "")
    named = {"paper": {"paper_id": paper.paper_id, "title": paper.title}} if paper else {}
    show(lambda: {**found.to_dict(), **named}, _blocks(found, paper), as_json=given["as_json"])


def _blocks(found: ClaimCheck, paper: Paper | None) -> Iterator[Block]:
    from paperagent.layout import Block, row_blocks

    yield Block("text", found.claim)
    yield Block("note", _SAID[found.support])
    reasons = [("reason", reason) for reason in found.reasons]
    yield from row_blocks([("score", f"{found.score:.2f}"), *reasons])
    if paper:
        yield Block("item", paper.title, detail=paper.paper_id, url=paper.url)
    yield from (Block("quote", sentence, tight=i > 0) for i, sentence in enumerate(found.sources))


def _text_of(name: str) -> str:
    """Return the text of a file, or of standard input for ``-``.

    Raises:
        FeedError: it cannot be read, or holds no text.
    """
    from paperagent.errors import FeedError, InputError, visible
    from paperagent.ui.line_input import decode

    shown = "standard input" if name == "-" else visible(name, limit=200)
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""
        else:
            with Path(Folder().convert(name, None, None)).open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        text = decode(raw)
    except OSError as error:
        raise FeedError(f"{shown}: cannot be read: {error.strerror}; give a text file") from None
    except InputError as error:
        raise FeedError(f"{shown}: {error}") from None
    if len(raw) > MAX_BYTES:
        raise FeedError(f"{shown}: over {MAX_BYTES:,} bytes; give the part that matters")
    if not text.strip():
        raise FeedError(f"{shown}: holds no text; give the text to check the claim against")
    return text
