"""Subscribers come and go by their own word: states, preferences, the suppression list, files, tokens."""

from __future__ import annotations

import contextlib
import sqlite3
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_helpers import WEEK, DeliveryHarness

from paperagent.digest import links, subscriber_files
from paperagent.digest.database import _SCHEMA, APPLICATION_ID, DigestDatabase
from paperagent.digest.delivery import message as addresses
from paperagent.digest.links import SignedTokens
from paperagent.digest.preferences import Preferences
from paperagent.digest.subscribers import Subscribers
from paperagent.errors import ConfigError, FeedError, InputError

A = "ana@test.example"
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up


@pytest.fixture
def harness(tmp_path: Path) -> DeliveryHarness:
    """Return a digest with no subscribers yet."""
    return DeliveryHarness(tmp_path / "digest.db")


# --- addresses ---


@pytest.mark.parametrize(
    "text",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\nRCPT TO:<c@d.example>",
        "a\0@b.example",
        "a@b>\r\nRCPT TO:<c@d",
        "a@b.example\u2028",
        "a\u202e@b.example",
        "a@@b.example",
        "a@b@c.example",
        "no-at-sign",
        "a@",
        "@b.example",
        "a@b.example.",
        "a@b",
        "a@localhost",
        "a b@c.example",
        '"a b"@c.example',
        "a@[127.0.0.1]",
        "a" * 65 + "@b.example",
        "a@" + "b" * 250 + ".example",
        "a@b.example, c@d.example",
        "<a@b.example> <c@d.example>",
        "",
        "x" * 100_000,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """bad-034, bad-035, bad-323, bad-324, bad-327: one line, escaped, short."""
    with pytest.raises(InputError, match=r"^email") as error:
        addresses.parse_address(text)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("text", "email", "key", "envelope"),
    [
        ("Ana B <Ana+n@Test.Example>", "Ana+n@test.example", "ana@test.example", "Ana+n@test.example"),
        ("x@müller.example", "x@müller.example", "x@xn--mller-kva.example", "x@xn--mller-kva.example"),
        ("grüße@müller.example", "grüße@müller.example", "grüsse@xn--mller-kva.example",
         "grüße@xn--mller-kva.example"),
        ("  a@b.example ", "a@b.example", "a@b.example", "a@b.example"),
    ],
)  # fmt: skip
def test_addresses(text: str, email: str, key: str, envelope: str) -> None:
    """bad-325, bad-326: the name is dropped, the domain is ASCII on the wire, spellings compare alike."""
    found = addresses.parse_address(text)
    assert (found.email, found.key, found.envelope) == (email, key, envelope)


@given(st.text(max_size=60))
def test_no_text_becomes_an_address_with_controls(text: str) -> None:
    """Whatever is typed: an address that can stand in a command, or an InputError."""
    try:
        found = addresses.parse_address(text)
    except InputError:
        return
    assert not set(found.envelope) & set("\r\n\0<> ,;")
    assert found.envelope.count("@") == 1


# --- states ---


def test_pending_until_confirmed(harness: DeliveryHarness) -> None:
    """Who was only added gets no digest; confirming twice changes nothing."""
    subscriber = harness.subscribers.add(A).subscriber
    assert subscriber.state == "pending"
    first = harness.subscribers.confirm(subscriber.id)
    harness.clock.wait(days=1)
    assert harness.subscribers.confirm(subscriber.id) == first
    assert first.state == "confirmed"


def test_two_spellings_are_one_subscriber(harness: DeliveryHarness) -> None:
    """bad-328: case and what follows a + do not make another subscriber; the first spelling stays."""
    harness.subscribers.add(A, confirmed=True)
    again = harness.subscribers.add("ANA+papers@test.EXAMPLE")
    assert not again.new
    assert again.note == f"the same mailbox as {A}, which stays"
    assert again.subscriber.state == "confirmed"
    assert [s.email for s in harness.subscribers.all()] == [A]


def test_adding_again_changes_what_is_given(harness: DeliveryHarness) -> None:
    """Interests are added to interests, or replace them on request; what is not given stays."""
    harness.subscribers.add(
        A, Preferences.validated(["graphs"], ["What is new?"], max_items=7), frequency="daily"
    )
    robots = Preferences.validated(["robots", "Graphs"])
    harness.subscribers.add(A, robots)
    found = harness.subscribers.find(A)
    assert found.preferences == Preferences.validated(["graphs", "robots"], ["What is new?"], max_items=7)
    assert found.frequency == "daily"
    harness.subscribers.add(A, replace(robots, authors=("Jane Doe",)), replace_lists=True, without=["GRAPHS"])
    found = harness.subscribers.find(A)
    assert found.preferences == Preferences.validated(
        ["robots", "Graphs"], ["What is new?"], max_items=7, authors=["Jane Doe"]
    )


def test_entries_are_removed(harness: DeliveryHarness) -> None:
    """From any list, in any case; one that is not there is an error, and changes nothing."""
    given_ = Preferences.validated(["graphs", "robots"], ["What is new?"], exclude=["medical"])
    harness.subscribers.add(A, given_)
    removed = harness.subscribers.add(A, without=["GRAPHS", "medical"]).subscriber
    assert removed.preferences == Preferences.validated(["robots"], ["What is new?"])
    for texts in (["speech"], ["robots", "robots"]):
        with pytest.raises(InputError, match="there is no entry"):
            harness.subscribers.add(A, without=texts)
    assert harness.subscribers.find(A) == removed


def test_a_list_does_not_grow_without_end(harness: DeliveryHarness) -> None:
    """Adding to it keeps to the limit, too."""
    harness.subscribers.add(A, Preferences.validated([f"topic {n}" for n in range(20)]))
    harness.subscribers.add(A, Preferences.validated(["topic 3"]))
    with pytest.raises(InputError, match="interests: 21 given, at most 20"):
        harness.subscribers.add(A, Preferences.validated(["one more"]))


def test_preferences_of_an_older_version_are_read() -> None:
    """They have fewer lists."""
    old = '{"interests": ["graphs"], "questions": [], "categories": ["cs"], "max_items": null}'
    assert Preferences.from_json(old) == Preferences(("graphs",), (), ("cs",))


def test_unsubscribing_wins_over_everything(harness: DeliveryHarness) -> None:
    """The address is refused until the subscriber asks to come back; then it is pending again."""
    subscriber = harness.subscribers.add(A, confirmed=True).subscriber
    assert harness.subscribers.unsubscribe(subscriber.id)
    assert not harness.subscribers.unsubscribe(subscriber.id)
    with pytest.raises(InputError, match=r"unsubscribed on 2026-06-29.*--resubscribe"):
        harness.subscribers.add("Ana+other@test.example", confirmed=True)
    with pytest.raises(InputError, match="unsubscribed since"):
        harness.subscribers.confirm(subscriber.id)
    again = harness.subscribers.add(A, resubscribe=True)
    assert again.subscriber.state == "pending"
    assert "was unsubscribed on" in again.note


def test_removing_forgets(harness: DeliveryHarness) -> None:
    """Wishes, ratings and what was shown go; adding again is allowed and said; the number is a new one."""
    harness.plan(A)
    first = harness.subscribers.find(A)
    harness.feedback.rate(first.id, "p1", "more")
    assert harness.subscribers.remove(A)
    assert not harness.subscribers.remove(A)
    assert harness.subscribers.all() == []
    again = harness.subscribers.add(A)
    assert "was removed on" in again.note
    assert again.subscriber.id != first.id
    assert harness.subscribers.preferences_with_feedback(again.subscriber) == Preferences()


def test_an_address_can_be_suppressed_before_it_is_added(harness: DeliveryHarness) -> None:
    """The list holds who never subscribed too."""
    assert harness.subscribers.suppress(A, "complained")
    with pytest.raises(InputError, match="complained on"):
        harness.subscribers.add(A)


def test_a_confirmation_mail_goes_out_once_a_day(harness: DeliveryHarness) -> None:
    """Whoever types somebody's address cannot flood them."""
    subscriber = harness.subscribers.add(A).subscriber
    assert harness.subscribers.may_send_confirmation(subscriber)
    harness.subscribers.record_confirmation_sent(subscriber.id)
    assert not harness.subscribers.may_send_confirmation(harness.subscribers.find(A))
    harness.clock.wait(days=1)
    assert harness.subscribers.may_send_confirmation(harness.subscribers.find(A))
    harness.subscribers.confirm(subscriber.id)
    assert not harness.subscribers.may_send_confirmation(harness.subscribers.find(A))


def test_there_is_a_limit_to_subscribers(harness: DeliveryHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-036: more than a hundred thousand are refused; who is there can still be changed."""
    monkeypatch.setattr("paperagent.digest.subscribers.MAX_SUBSCRIBERS", 1)
    harness.subscribers.add(A)
    harness.subscribers.add(A, confirmed=True)
    with pytest.raises(InputError, match="limit of 1 reached"):
        harness.subscribers.add("b@test.example")


# --- wishes ---


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"interests": [" "]}, "interest: is empty"),
        ({"interests": ["…!?"]}, "interest: is empty"),
        ({"interests": ["x" * 301]}, "301 characters, at most 300"),
        ({"interests": [f"topic {n}" for n in range(21)]}, "21 given, at most 20"),
        ({"questions": ["x" * 9_000]}, "ask: 9,000 characters"),
        ({"categories": ["cs CL"]}, "category: cs CL is not a category"),
        ({"categories": ["../../etc"]}, "category"),
        ({"exclude": ["of the"]}, "not: of the has no word to look for"),
        ({"authors": ["Wang"]}, "author: Wang is one word"),
        ({"max_items": 0}, "max-items: must be 1..30, got 0"),
        ({"max_items": 31}, "max-items: must be 1..30"),
        ({"max_items": True}, "max-items"),
    ],
)
def test_preferences_have_limits(given_: dict[str, object], message: str) -> None:
    """Too many, too long, empty: one line says which."""
    with pytest.raises(InputError, match=message):
        Preferences.validated(**given_)  # type: ignore[arg-type]


def test_preferences_are_cleaned() -> None:
    """Line ends and invisible characters go; what is given twice is kept once."""
    found = Preferences.validated(["graph\r\nneural \u202enetworks", "Graph neural networks"])
    assert found.interests == ("graph neural networks",)
    assert Preferences.from_json(found.to_json()) == found


def test_a_profile_holds_ratings_and_what_was_shown(harness: DeliveryHarness) -> None:
    """More and save are liked, less is not; more and less replace each other."""
    harness.plan(A)
    subscriber = harness.subscribers.find(A)
    for paper, kind in (("p1", "more"), ("p2", "less"), ("p3", "more"), ("p3", "less"), ("p4", "save")):
        harness.feedback.rate(subscriber.id, paper, kind)  # type: ignore[arg-type]
    profile = harness.subscribers.preferences_with_feedback(subscriber)
    assert set(profile.liked) == {"p1", "p4"}
    assert set(profile.disliked) == {"p2", "p3"}
    assert profile.seen == {f"paper-{WEEK.name}-{subscriber.id}"}
    with pytest.raises(InputError, match="more, less or save"):
        harness.feedback.rate(subscriber.id, "p", "drop table")  # type: ignore[arg-type]


# --- the file ---


def test_events_can_only_be_added(harness: DeliveryHarness) -> None:
    """What happened is neither changed nor deleted, and names no address."""
    harness.plan(A)
    with harness.database.reading() as db:
        told = db.execute("SELECT kind, detail FROM event").fetchall()
    assert [kind for kind, _ in told] == ["subscriber_added", "subscriber_confirmed", "planned"]
    assert not [detail for _, detail in told if "@" in detail]
    for statement in ("DELETE FROM event", "UPDATE event SET kind = 'x'"):
        with pytest.raises(Exception, match=r"only added|cannot be used"), harness.database.writing() as db:
            db.execute(statement)


def test_the_file_is_private_and_durable(harness: DeliveryHarness) -> None:
    """Addresses are for their keeper alone; every commit is on the disk."""
    assert harness.path.stat().st_mode & 0o777 == 0o600
    with harness.database.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 50, b"\0" * 5000])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    """StoreError with what to do."""
    from paperagent.errors import StoreError

    (tmp_path / "digest.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|not a paperagent digest"):
        DeliveryHarness(tmp_path / "digest.db")


# --- CSV ---


def test_csv_there_and_back(harness: DeliveryHarness, tmp_path: Path) -> None:
    """What is exported is imported alike; no cell begins a formula."""
    harness.subscribers.add(
        "=cmd@test.example",
        Preferences.validated(
            ['graphs, "wide"', "=1+1"],
            ["Does it help?"],
            ["cs.CL", "cs"],
            max_items=5,
            exclude=["medical images"],
            authors=["Jane Doe", "李 明"],
            language="pt-BR",
        ),
        frequency="monthly",
        confirmed=True,
    )
    harness.subscribers.add(A, confirmed=True)
    text = subscriber_files.write_csv(harness.subscribers.all())
    assert "\n=" not in text
    (tmp_path / "readers.csv").write_text("\ufeff" + text, encoding="utf-8")
    other = DeliveryHarness(tmp_path / "other.db")
    confirmed = subscriber_files.ImportOptions(confirmed=True)
    done = subscriber_files.read_csv(tmp_path / "readers.csv", other.subscribers, confirmed)
    assert (done.added, done.skipped) == (2, [])
    assert [(s.email, s.preferences, s.frequency) for s in other.subscribers.all()] == [
        (s.email, s.preferences, s.frequency) for s in harness.subscribers.all()
    ]


def test_bad_lines_of_a_csv_are_told(harness: DeliveryHarness, tmp_path: Path) -> None:
    """bad-189: the good ones are read, each bad one is named with its line, escaped."""
    lines = ["email,max_items", A, "no-at-sign\x1b[31m,5", "b@test.example,many", "c@test.example,1,2,3"]
    (tmp_path / "r.csv").write_text("\n".join(lines), encoding="utf-8")
    done = subscriber_files.read_csv(tmp_path / "r.csv", harness.subscribers)
    assert done.added == 1
    assert [where for where, _ in done.skipped] == ["line 3", "line 4", "line 5"]
    assert all(why.isprintable() for _, why in done.skipped)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,post\n", "its columns are name, post; use email"),
        (b"", "its columns are none"),
        (b"email,email\n", "its columns"),
        (b"email\n\x00\x81\n", "not UTF-8"),
        (b"Email,E-Mail Address\n", "its columns are email, email; use"),
        (b'email\n"a@b.example\n', "line"),
        (b"email\n" + b"x" * 200_000, "field larger"),
        (
            b'email\na@b.example\nc@b.example\n"d@b.example\n',
            "the 2 subscribers above it were imported; correct",
        ),
    ],
)
def test_invalid_csv_files(harness: DeliveryHarness, tmp_path: Path, content: bytes, message: str) -> None:
    """FeedError says what is wrong with the file."""
    (tmp_path / "r.csv").write_bytes(content)
    with pytest.raises(FeedError, match=message):
        subscriber_files.read_csv(tmp_path / "r.csv", harness.subscribers)


# --- tokens ---


def test_tokens_do_one_thing_only() -> None:
    """A token is for one purpose under one secret, and says what it is about."""
    made = SignedTokens(SECRET).create("feedback", 7, "arxiv:2401.00001", "more")
    assert SignedTokens(SECRET).read("feedback", made) == (7, ("arxiv:2401.00001", "more"))
    for purpose in ("confirm", "signup", "unsubscribe", "preferences", "saved", "form"):
        with pytest.raises(InputError, match="invalid or altered"):
            SignedTokens(SECRET).read(purpose, made)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="invalid or altered"):
        SignedTokens(SECRET[::-1]).read("feedback", made)
    assert set(made) <= set(string.ascii_letters + string.digits + "-_.")


def test_a_secret_is_replaced_without_breaking_links() -> None:
    """The first of two secrets signs, both are accepted; the old one alone does not accept new links."""
    old, both = SignedTokens(SECRET), SignedTokens(f"{SECRET[::-1]}, {SECRET}")
    before, after = old.create("unsubscribe", 7), both.create("unsubscribe", 7)
    assert both.read("unsubscribe", before) == both.read("unsubscribe", after) == (7, ())
    assert after == SignedTokens(SECRET[::-1]).create("unsubscribe", 7)
    with pytest.raises(InputError, match="invalid or altered"):
        old.read("unsubscribe", after)
    with pytest.raises(ConfigError, match="shorter than 32 bytes"):
        SignedTokens(f"{SECRET},short")


@given(st.integers(0, 200), st.characters())
def test_an_altered_token_is_refused(at: int, char: str) -> None:
    """bad-351: any other character anywhere, cut or grown, and the token is none."""
    signed = SignedTokens(SECRET)
    made = signed.create("unsubscribe", 42)
    place = at % (len(made) - 1)  # two bits of the last character mean nothing
    altered = made[:place] + char + made[place + 1 :]
    for wrong in (altered, made[:-1], made + "A", "", "." * 5_000, made * 500):
        if wrong != made:
            with pytest.raises(InputError, match="invalid or altered"):
                signed.read("unsubscribe", wrong)


def test_only_confirming_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 48 hours the confirmation is too old; an unsubscribe link works for ever, always the same."""
    signed = SignedTokens(SECRET)
    confirm, unsubscribe = signed.create("confirm", 1), signed.create("unsubscribe", 1)
    assert unsubscribe == signed.create("unsubscribe", 1)
    assert signed.read("confirm", confirm) == (1, ())
    import time

    later = time.time() + links.CONFIRM_SECONDS + 2
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    with pytest.raises(InputError, match="older than 48 hours"):
        signed.read("confirm", confirm)
    assert signed.read("unsubscribe", unsubscribe) == (1, ())


def test_a_short_secret_is_refused() -> None:
    """32 bytes at least."""
    with pytest.raises(ConfigError, match="shorter than 32 bytes"):
        SignedTokens("short")


# --- files of an earlier version ---


def test_subscribers_of_version_2_are_kept(tmp_path: Path) -> None:
    """They keep their ids, an id is not given again, and they may now choose months."""
    path = tmp_path / "digest.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(
            "CREATE TABLE subscriber (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, "
            "key TEXT NOT NULL UNIQUE, "
            "state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'unsubscribed', 'bounced')), "
            "frequency TEXT NOT NULL CHECK (frequency IN ('weekly', 'daily')), profile TEXT NOT NULL, "
            "created_at TEXT NOT NULL, confirmed_at TEXT, asked_at TEXT);"
        )
        profile = Preferences(interests=("citations",)).to_json()
        for n in (1, 2):
            row = (
                n,
                f"{n}@test.example",
                f"{n}@test.example",
                "confirmed",
                "daily",
                profile,
                "2026-06-01T00:00:00Z",
            )
            db.execute("INSERT INTO subscriber VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)", row)
        db.execute("DELETE FROM subscriber WHERE id = 2")
        statements = _SCHEMA.split("\n;\n")
        for statement in statements[1:]:
            db.execute(statement)
        for table in ("webhook", "journal", "restored"):
            db.execute(f"DROP TABLE {table}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 2")
    with DigestDatabase(path) as database:
        subscribers = Subscribers(database)
        (subscriber,) = subscribers.all()
        assert (subscriber.id, subscriber.frequency) == (1, "daily")
        assert subscriber.preferences.interests == ("citations",)
        assert subscribers.add("1@test.example", frequency="monthly").subscriber.frequency == "monthly"
        assert subscribers.add(A).subscriber.id == 3
