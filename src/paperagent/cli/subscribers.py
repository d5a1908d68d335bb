"""Commands for the digest's readers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from paperagent.cli.options import Folder, Whole, Words, as_json, common
from paperagent.cli.session import Session, show, warn
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from paperagent.digest.service import DigestService
    from paperagent.digest.subscribers import Subscriber


@contextmanager
def opened(session: Session, **overrides: Any) -> Iterator[DigestService]:
    """Open the digest of the library, with these settings first."""
    from paperagent.factory.digest import digest_service

    with digest_service(session.settings(**overrides)) as desk:
        yield desk


@click.group()
@common
def subscribers() -> None:
    """Keep the readers of the digest, and what they want to read."""


@subscribers.command()
@click.argument("email")
@click.option("--interest", "interests", multiple=True, type=Words(), help="A topic; give it several times.")
@click.option(
    "--ask", "questions", multiple=True, type=Words(), help="A standing question, answered in each issue."
)
@click.option("--category", "categories", multiple=True, type=Words(), help="Only such papers: cs.CL, or cs.")
@click.option(
    "--frequency", type=click.Choice(["weekly", "daily"]), help="How often (default: weekly, or as before)."
)
@click.option("--max-items", type=Whole(1, 30), help="Papers in an issue (default: 12, or as before).")
@click.option("--confirmed", is_flag=True, help="They have agreed already: no confirmation mail.")
@click.option("--resubscribe", is_flag=True, help="They unsubscribed, and asked to come back.")
@common
@click.pass_obj
def add(session: Session, /, email: str, **given: Any) -> None:
    """Add a reader, or change the wishes of one who is there.

    Without --confirmed they are sent a mail, and get no digest until they have agreed.
    """
    from paperagent.digest.preferences import Preferences

    with opened(session) as desk:
        added = desk.subscribers.add(
            email,
            Preferences.validated(
                given["interests"], given["questions"], given["categories"], max_items=given["max_items"]
            ),
            frequency=given["frequency"],
            confirmed=given["confirmed"],
            resubscribe=given["resubscribe"],
        )
        if added.note:
            warn(added.note)
        reader = added.subscriber
        _say(f"{'added' if added.new else 'changed'} {reader.email}: {reader.state}, {reader.frequency}")
        if reader.state == "pending":
            _say(desk.send_confirmation(reader))


def _say(text: str) -> None:
    show(dict, [Block("text", text, tight=True, plain=True)], as_json=False)


@subscribers.command("list")
@as_json
@common
@click.pass_obj
def list_(session: Session, *, as_json: bool) -> None:
    """List the readers with their states and wishes."""
    with opened(session) as desk:
        readers = desk.subscribers.all()
    blocks = _rows(readers) if readers else [Block("text", "no readers; add one: 'subscribers add EMAIL'")]
    show(lambda: {"subscribers": [r.to_dict() for r in readers]}, blocks, as_json=as_json)


def _rows(readers: Iterable[Subscriber]) -> Iterator[Block]:
    for reader in readers:
        wishes = reader.preferences
        about = [*wishes.interests, *wishes.questions, *(f"in {c}" for c in wishes.categories)]
        papers = wishes.item_limit
        detail = f"{reader.frequency}, at most {counted(papers, 'paper')}: {'; '.join(about) or 'anything'}"
        yield Block("row", reader.email, marker=reader.state.ljust(12), detail=detail, tight=True, plain=True)


@subscribers.command()
@click.argument("email")
@common
@click.pass_obj
def remove(session: Session, *, email: str) -> None:
    """Forget a reader; the address gets nothing until it is added again."""
    from paperagent.errors import InputError, visible

    with opened(session) as desk:
        if not desk.subscribers.remove(email):
            raise InputError(
                f"subscriber: {visible(email, limit=80)} is none; 'subscribers list' shows them all"
            )
    _say("removed")


@subscribers.command("import")
@click.argument("file", type=Folder())
@click.option("--confirmed", is_flag=True, help="All of them have agreed already.")
@common
@click.pass_obj
def import_(session: Session, *, file: Path, confirmed: bool) -> None:
    """Add the readers of a CSV file: email, interests, questions, categories, frequency, max_items.

    Only the email is needed; several interests of a reader stand between semicolons. Nobody is
    written to: send confirmation mails with 'subscribers confirm --ask'.
    """
    from paperagent.digest import subscriber_files

    with opened(session) as desk:
        done = subscriber_files.read_csv(file, desk.subscribers, confirmed=confirmed)
    for where, why in done.skipped:
        warn(f"{where} skipped: {why}")
    _say(f"{done.added:,} added, {done.changed:,} changed, {len(done.skipped):,} skipped")
    _refuse_nothing(file, done.added + done.changed, len(done.skipped))


def _refuse_nothing(file: Path, used: int, skipped: int) -> None:
    from paperagent.errors import FeedError, visible

    if skipped and not used:
        raise FeedError(f"{visible(str(file), limit=200)}: no line could be used; see the warnings")


@subscribers.command()
@click.option("--out", type=Folder(), help="Write to this file instead of standard output.")
@common
@click.pass_obj
def export(session: Session, *, out: Path | None) -> None:
    """Write the confirmed readers as CSV."""
    from paperagent.digest.subscriber_files import write_csv
    from paperagent.ui.export import write

    with opened(session) as desk:
        text = write_csv(desk.subscribers.all(state="confirmed"))
    if out is None:
        sys.stdout.write(text)
    else:
        write(out, [text], force=False)


@subscribers.command()
@click.argument("who", required=False, metavar="EMAIL|TOKEN")
@click.option("--ask", is_flag=True, help="Send the confirmation mail to all who are pending.")
@common
@click.pass_obj
def confirm(session: Session, *, who: str | None, ask: bool) -> None:
    """Note that a reader agreed: by the code of their mail, or because they told you."""
    if bool(who) == ask:
        raise click.UsageError("confirm: give an EMAIL or TOKEN, or --ask")
    with opened(session) as desk:
        if who is None:
            for reader in desk.subscribers.all(state="pending"):
                _say(f"{reader.email}: {desk.send_confirmation(reader)}")
            return
        reader = desk.confirm(who)
    _say(f"{reader.email}: {reader.state}")


@subscribers.command()
@click.argument("email")
@click.argument("paper_id")
@click.argument("kind", type=click.Choice(["more", "less", "save"]))
@common
@click.pass_obj
def rate(session: Session, *, email: str, paper_id: str, kind: Literal["more", "less", "save"]) -> None:
    """Keep what a reader thinks of a paper: more like it, less like it, or save."""
    with opened(session) as desk:
        title = desk.rate(email, paper_id, kind)
    _say(f"{kind}: {title}")


@subscribers.command("import-unsubscribes")
@click.argument("mbox", type=Folder())
@common
@click.pass_obj
def import_unsubscribes(session: Session, *, mbox: Path) -> None:
    """Stop writing to all who asked so by mail; MBOX is a mailbox file."""
    from paperagent.digest import subscriber_files

    with opened(session) as desk:
        done = subscriber_files.read_unsubscribes(mbox, desk.subscribers, desk.mailer.tokens)
    for where, why in done.skipped:
        warn(f"{where}: {why}")
    _say(f"{done.changed:,} unsubscribed, {len(done.skipped):,} not understood")
