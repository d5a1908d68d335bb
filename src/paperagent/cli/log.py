"""The log command: earlier answers of ask and chat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from paperagent.cli.options import IntegerParam, common_options, json_option
from paperagent.cli.session import Session, show, show_json, show_text
from paperagent.layout import Block

if TYPE_CHECKING:
    from paperagent.ui.answer_log import LoggedAnswer


@click.command()
@click.argument("name", metavar="[N|ID]", required=False)
@click.option(
    "-n", "--last", type=IntegerParam(1, 10_000), default=20, show_default=True, help="How many to list."
)
@click.option("--quotes", is_flag=True, help="Print the quoted sentences under the sources.")
@click.option("--clear", is_flag=True, help="Delete the log.")
@json_option
@common_options
@click.pass_obj
def log(
    session: Session, /, name: str | None, *, last: int, quotes: bool, clear: bool, as_json: bool
) -> None:
    """List the last answers of 'ask' and 'chat', or show one of them.

    N is the number of an answer in the list; 1 is the last one. An ID, which may be abbreviated, does not
    change when answers are added. No model is called. PAPERAGENT_LOG=false switches the log off.
    """
    from paperagent.layout import answer_blocks
    from paperagent.library.home import check_home
    from paperagent.ui.answer_log import AnswerLog

    settings = session.settings()
    if settings.chroma_url is None:
        check_home(settings.home, create=False)
    answer_log = AnswerLog(settings.home)
    if clear:
        if name is not None or as_json:
            raise click.UsageError("--clear: cannot be combined with other arguments")
        answer_log.clear()
        show_text("log deleted")
        return
    if name is not None:
        entry = answer_log.find(name)
        if as_json:
            show_json(entry.to_dict())
        else:
            heading = Block("note", f"{_about(entry)}: {_one_line(entry.answer.question)}")
            show([heading, *answer_blocks(entry.answer, quotes=quotes)])
        return
    entries = answer_log.entries()[: -last - 1 : -1]
    if as_json:
        keys = ("id", "time", "session", "status", "question")
        show_json({"answers": [{key: entry.to_dict()[key] for key in keys} for entry in entries]})
    else:
        show(_list_blocks(entries))


def _list_blocks(entries: Sequence[LoggedAnswer]) -> Iterator[Block]:
    if not entries:
        yield Block("text", "no answers yet; 'paperagent ask' and 'paperagent chat' log theirs")
    for number, entry in enumerate(entries, 1):
        question = _one_line(entry.answer.question)
        yield Block("item", question, marker=f"{number}.", detail=_about(entry), tight=True)


def _about(entry: LoggedAnswer) -> str:
    time = entry.time.astimezone()
    return f"{time:%Y-%m-%d %H:%M} · {entry.answer.status} · {entry.id}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
