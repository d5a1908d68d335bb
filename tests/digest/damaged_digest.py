"""Damage to the digest's file, as caused by disks, people and power failures, and what must survive it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from mail_helpers import WEEK, DeliveryHarness, Script, serving, transport

from paperagent.digest.backups import Backups
from paperagent.digest.delivery.transport import AcceptedState, SmtpReply
from paperagent.digest.health import check_digest
from paperagent.digest.issue import Period
from paperagent.digest.schedule import parse_week

EARLIER: Period = parse_week("2026-W25")
TABLES = ("subscriber", "suppression", "webhook", "feedback", "issue", "delivery", "shown", "event")


@dataclass(frozen=True)
class Original:
    """A digest with two weeks, of which the second was sent in part, and its messages."""

    home: Path
    taken: tuple[tuple[str, bytes], ...]
    """Recipient and bytes of each message that the server took."""


@dataclass
class MemoryTransport:
    """A mail server that takes everything."""

    accepted_state: AcceptedState = "sent"
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    recipient: str = ""

    def connect(self) -> None:
        """Do nothing."""

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        self.recipient = recipient

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:
        self.taken.append((self.recipient, message))
        return SmtpReply(250, "taken")

    def reset(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def create(home: Path) -> Original:
    """Make a digest whose last changes are only in the journal and in the write-ahead log."""
    home.mkdir()
    work = home.parent / f"{home.name}-work"
    work.mkdir()
    harness, script = DeliveryHarness(work / "digest.db"), Script()
    backups = Backups(harness.database.journal)
    emails = [f"reader{n}@test.example" for n in range(24)]
    harness.plan(*emails, period=EARLIER)
    backups.make(harness.database)
    with serving(script) as url:
        harness.send(transport(url))
        backups.make(harness.database)
        harness.plan(*emails)
        backups.make(harness.database)
        for n in (3, 7, 11):
            harness.subscribers.unsubscribe(n)
        harness.subscribers.suppress("stranger@test.example")
        harness.feedback.rate(2, "paper-2026-W25-2", "more")
        for email in emails[:8]:
            harness.send(transport(url), only=email)
        harness.subscribers.remove("reader20@test.example")
        harness.subscribers.add("late@test.example", confirmed=True)
    shutil.copytree(work, home, dirs_exist_ok=True)  # with the write-ahead log, as after a kill
    harness.database.close()
    shutil.rmtree(work)
    return Original(home, tuple(script.taken))


def content(path: Path) -> dict[str, list[tuple[object, ...]]] | str:
    """Return all rows of the file, or why they cannot be read."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return {t: sorted(connection.execute(f"SELECT * FROM {t}"), key=repr) for t in TABLES}
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return str(error)


def truncate(rng: random.Random, path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(rng.randrange(size))


def truncate_to_pages(rng: random.Random, path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(rng.randrange(size // 4096) * 4096)


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def zero_page(rng: random.Random, path: Path) -> None:
    overwrite(path, rng.randrange(path.stat().st_size // 4096) * 4096, b"\0" * 4096)


def zero_pages(rng: random.Random, path: Path) -> None:
    for _ in range(3):
        zero_page(rng, path)


def random_block(rng: random.Random, path: Path) -> None:
    overwrite(path, rng.randrange(path.stat().st_size), rng.randbytes(512))


def flip(path: Path, place: int, bit: int) -> None:
    overwrite(path, place, bytes([path.read_bytes()[place] ^ 1 << bit]))


def flip_header(rng: random.Random, path: Path) -> None:
    flip(path, rng.randrange(100), rng.randrange(8))


def flip_one(rng: random.Random, path: Path) -> None:
    flip(path, rng.randrange(path.stat().st_size), rng.randrange(8))


def flip_many(rng: random.Random, path: Path) -> None:
    for _ in range(40):
        flip_one(rng, path)


def delete(_: random.Random, path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def empty(_: random.Random, path: Path) -> None:
    delete(_, path)
    path.touch()


def another_digest(_: random.Random, path: Path) -> None:
    delete(_, path)
    home = path.parent.parent / f"{path.parent.name}-other"
    home.mkdir()
    harness = DeliveryHarness(home / "digest.db")
    harness.plan("somebody@test.example")
    harness.database.close()
    shutil.copy(harness.path, path)
    shutil.rmtree(home)


def another_program(_: random.Random, path: Path) -> None:
    delete(_, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")


def a_text(rng: random.Random, path: Path) -> None:
    delete(rng, path)
    path.write_bytes(rng.randbytes(20_000))


def old_copy(rng: random.Random, path: Path) -> None:
    delete(rng, path)
    shutil.copy(rng.choice(sorted(path.parent.glob("backups/*.db"))), path)


def on_log(damage: Callable[[random.Random, Path], None]) -> Callable[[random.Random, Path], None]:
    """Return the same damage to the write-ahead log."""

    def damage_log(rng: random.Random, path: Path) -> None:
        damage(rng, path.with_name(f"{path.name}-wal"))

    damage_log.__name__ = f"{damage.__name__} of the log"
    return damage_log


DAMAGES: tuple[Callable[[random.Random, Path], None], ...] = (
    truncate,
    truncate_to_pages,
    zero_page,
    zero_pages,
    random_block,
    flip_header,
    flip_one,
    flip_one,
    flip_many,
    delete,
    empty,
    another_digest,
    another_program,
    a_text,
    old_copy,
    on_log(truncate),
    on_log(flip_one),
    on_log(flip_many),
    on_log(zero_page),
)


BACKUP_DAMAGES = DAMAGES[: DAMAGES.index(another_digest)]


def run_case(original: Original, folder: Path, seed: int) -> str:
    """Damage a copy of the file, let doctor examine and repair it, and send what is due.

    Returns:
        ``seen``, ``unchanged``, or ``refused`` for a file that a newer version may have written.

    Raises:
        AssertionError: Doctor missed the damage, or the repair lost something.
    """
    rng, damage = random.Random(seed), DAMAGES[seed % len(DAMAGES)]  # noqa: S311 - no secret
    home = Path(shutil.copytree(original.home, folder / f"case-{seed}"))
    path, name = home / "digest.db", f"seed {seed}, {damage.__name__}"
    if rng.random() < 0.8 and "log" not in damage.__name__:  # else most of the file is in the log
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint (TRUNCATE)")
    before = content(Path(shutil.copytree(home, folder / f"before-{seed}")) / "digest.db")
    assert isinstance(before, dict)
    damage(rng, path)
    after = content(Path(shutil.copytree(home, folder / f"after-{seed}")) / "digest.db")
    is_seen = not all(check.ok for check in check_digest(home))
    assert is_seen or after == before, f"{name}: doctor sees nothing"
    checks = check_digest(home, repair=True)
    if "newer paperagent" in checks[0].detail:  # one bit of the number of the format
        assert damage is flip_header
        assert check_digest(home, repair=True)[0].ok is False
        return "refused"
    assert all(check.ok for check in checks), f"{name}: {checks}"
    assert all(check.ok for check in check_digest(home)), name
    repaired = content(path)
    assert isinstance(repaired, dict)
    for table in TABLES[:-1]:
        assert repaired[table] == before[table], f"{name}: {table} differs"
    assert send_again(original, path) == 1, f"{name}: a message was sent twice"
    for part in ("case", "before", "after"):
        shutil.rmtree(folder / f"{part}-{seed}")
    return "seen" if is_seen else "unchanged"


def run_backup_case(original: Original, folder: Path, seed: int) -> str:
    """Damage a backup or the journal, and in two of three cases delete the file too.

    Returns:
        ``seen``, ``unchanged``, or for a deleted file ``complete``, ``incomplete`` or ``refused``.

    Raises:
        AssertionError: Doctor missed the damage, or somebody gets mail twice.
    """
    rng, damage = random.Random(seed), BACKUP_DAMAGES[seed % len(BACKUP_DAMAGES)]  # noqa: S311
    home = Path(shutil.copytree(original.home, folder / f"backup-case-{seed}"))
    path, name = home / "digest.db", f"backup seed {seed}, {damage.__name__}"
    victims = sorted(home.glob("backups/*"))
    is_deleted = rng.random() < 0.67
    chosen = rng.sample(victims, rng.randint(1, 2))
    if len({victim.stem for victim in chosen}) < len(chosen):  # nothing would say that the last one existed
        chosen.pop()
    for victim in chosen:
        original_bytes = victim.read_bytes()
        damage(rng, victim)
        is_changed = not victim.exists() or victim.read_bytes() != original_bytes
    assert is_changed or damage in {truncate_to_pages, zero_page, zero_pages}
    if is_deleted:
        delete(rng, path)
    before = check_digest(home)
    checks = check_digest(home, repair=True)
    if not is_deleted:
        result = "unchanged" if all(check.ok for check in before) else "seen"
        assert all(check.ok for check in checks), f"{name}: {checks}"
    else:
        assert not all(check.ok for check in before), f"{name}: {before}"
        result = "refused" if not checks[0].ok else "complete"
        result = "incomplete" if "; lost: " in checks[0].detail else result
    if result != "refused":
        assert send_again(original, path) == 1, f"{name}: {result}: a message was sent twice"
    shutil.rmtree(home)
    return result


def send_again(original: Original, path: Path) -> int:
    """Build both weeks again, send what is due, and return how many copies somebody got at most."""
    harness, mail = DeliveryHarness(path), MemoryTransport()
    suppressed = {
        "reader2@test.example",
        "reader6@test.example",
        "reader10@test.example",
        "reader20@test.example",
    }
    confirmed = [s.email for s in harness.subscribers.all(state="confirmed")]
    for period in (EARLIER, WEEK):
        harness.plan(*confirmed, period=period)
    harness.send(mail)
    is_complete = not harness.database.find_damage()
    with harness.database.reading() as connection:
        lost = connection.execute("SELECT uncertain_until FROM restored").fetchall()
    harness.database.close()
    assert is_complete
    if not [row for row in lost if row[0]]:
        assert not suppressed & {to for to, _ in mail.taken}, f"{path.parent.name}: mail after unsubscribing"
    identities = Counter(
        (to, raw.split(b"Message-ID: ")[1].split()[0]) for to, raw in [*original.taken, *mail.taken]
    )
    return max(identities.values())
