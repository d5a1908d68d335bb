"""Lists of subscribers as other programs write them: who is added, who must not be mailed, who is skipped."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from mail_helpers import DeliveryHarness

from paperagent.digest.preferences import Preferences
from paperagent.digest.subscriber_files import ImportOptions, ImportReport, read_csv, write_csv
from paperagent.errors import FeedError, InputError
from paths import SHARED

Import = Callable[..., ImportReport]
CONFIRMED = ImportOptions(confirmed=True)

LISTMONK = """uuid,email,name,attributes,status,created_at,updated_at
3f0c,ana@test.example,Ana,"{""city"": ""Bonn"", ""interests"": [""graphs"", ""speech""]}",enabled,2026,2026
7a11,bo@test.example,Bo,{},disabled,2026,2026
9b00,cy@test.example,Cy,{},blocklisted,2026,2026
1c1c,di@test.example,Di,,unconfirmed,2026,2026
"""
MAILCHIMP = """Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,LEID,EUID,NOTES,TAGS
ana@test.example,Ana,A,2,2026-01-01 10:00:00,1,a1,,"""
UNSUBSCRIBED = """Email Address,First Name,UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_REASON
bo@test.example,Bo,2026-01-01 10:00:00,June,NORMAL
"""
CLEANED = """Email Address,First Name,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE
cy@test.example,Cy,2026-01-01 10:00:00,June
"""


@pytest.fixture
def harness(tmp_path: Path) -> DeliveryHarness:
    """Return a digest with no subscribers yet."""
    return DeliveryHarness(tmp_path / "digest.db")


@pytest.fixture
def read(harness: DeliveryHarness, tmp_path: Path) -> Import:
    """Return a function that imports a file."""

    def imported(
        content: str | bytes, options: ImportOptions = CONFIRMED, *, name: str = "list.csv"
    ) -> ImportReport:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_csv(path, harness.subscribers, options)

    return imported


def states(harness: DeliveryHarness) -> dict[str, str]:
    """Return the state of each subscriber by the first part of the address."""
    return {s.email.partition("@")[0]: s.state for s in harness.subscribers.all()}


def test_the_shared_file_of_listmonk(harness: DeliveryHarness, read: Import) -> None:
    """The address is read, and the other columns are named as unused."""
    path = SHARED / "data/real_inputs/s01_listmonk.csv"
    if not path.is_file():
        pytest.skip(f"no shared data at {SHARED}")
    report = read(path.read_bytes())
    assert (report.added, report.skipped, states(harness)) == (1, [], {"a": "confirmed"})
    assert set(report.unused) == {"uuid", "name", "created_at", "updated_at"}


def test_listmonk(harness: DeliveryHarness, read: Import) -> None:
    """Only who is enabled or unconfirmed is added, and nobody unconfirmed is confirmed by that."""
    report = read(LISTMONK)
    assert states(harness) == {"ana": "confirmed", "di": "pending"}
    assert harness.subscribers.find("ana@test.example").preferences == Preferences(("graphs", "speech"))
    assert report.suppressed == {"blocklisted": 1}
    assert report.skipped == [("line 3", "status: disabled; only active subscribers are added")]
    assert report.unused == ("uuid", "name", "created_at", "updated_at")
    with pytest.raises(InputError, match="blocklisted on"):
        harness.subscribers.add("cy@test.example")


def test_mailchimp(harness: DeliveryHarness, read: Import) -> None:
    """One file for each status; who is unsubscribed there stops being mailed here, too."""
    harness.subscribers.add("bo@test.example", confirmed=True)
    assert read(MAILCHIMP).added == 1
    assert read(UNSUBSCRIBED).suppressed == {"unsubscribed": 1}
    assert read(CLEANED).suppressed == {"bounced": 1}
    assert states(harness) == {"bo": "unsubscribed", "ana": "confirmed"}
    # A second time, and the older list of subscribers, change nothing.
    assert read(UNSUBSCRIBED).suppressed == {"unsubscribed": 0}
    report = read(MAILCHIMP.replace("ana@", "bo@"))
    assert (report.added, report.changed, len(report.skipped)) == (0, 0, 1)
    assert states(harness)["bo"] == "unsubscribed"


@pytest.mark.parametrize("name", ["unsubscribed_members_export_1a.csv", "cleaned_members_export_1a.csv"])
def test_the_name_of_mailchimps_file_counts(harness: DeliveryHarness, read: Import, name: str) -> None:
    """Even where its columns do not say so."""
    assert sum(read(MAILCHIMP, name=name).suppressed.values()) == 1
    assert states(harness) == {}


@pytest.mark.parametrize(
    "status",
    ["Unsubscribed", "opted-out", "BLOCKLISTED", "bounced", "complained", "disabled", "banned", "no"],
)
def test_only_an_active_status_is_added(harness: DeliveryHarness, read: Import, status: str) -> None:
    """Any other is suppressed, or skipped with the reason."""
    report = read(f"email,status\nana@test.example,{status}\n")
    assert states(harness) == {}
    assert len(report.skipped) + sum(report.suppressed.values()) == 1


EXCEL = "E-Mail;Topics;Max items\r\nana@test.example;Bücher über Graphen;5\r\n"


@pytest.mark.parametrize(
    "content",
    [
        EXCEL.encode("cp1252"),
        EXCEL.encode("utf-8"),
        EXCEL.encode("utf-8-sig"),
        EXCEL.encode("utf-16"),
        EXCEL.replace(";", "\t").encode("utf-16"),
        ("sep=;\r\n" + EXCEL).encode("cp1252"),
        EXCEL.replace(";", ",").replace("\r\n", "\n").encode(),
    ],
    ids=["cp1252", "utf-8", "BOM", "utf-16", "tabs", "sep", "commas"],
)
def test_spreadsheets(harness: DeliveryHarness, read: Import, content: bytes) -> None:
    """In every encoding and with every delimiter that Excel and LibreOffice write."""
    report = read(content)
    assert (report.added, report.skipped, report.unused) == (1, [], ())
    found = harness.subscribers.find("ana@test.example").preferences
    assert found == Preferences(("Bücher über Graphen",), max_items=5)


def test_known_subscribers_keep_their_entries(harness: DeliveryHarness, read: Import) -> None:
    """Unless the file is to replace them."""
    harness.subscribers.add("ana@test.example", Preferences(("graphs",), exclude=("medical",)))
    assert read("email,interest\nana@test.example,speech; robots\n").changed == 1
    known = harness.subscribers.find("ana@test.example")
    assert known.preferences == Preferences(("graphs", "speech", "robots"), exclude=("medical",))
    read("email,interest\nana@test.example,speech\n", ImportOptions(replace_lists=True))
    known = harness.subscribers.find("ana@test.example")
    assert known.preferences == Preferences(("speech",), exclude=("medical",))


def test_bad_attributes_are_told(read: Import) -> None:
    """Not JSON, or not what is expected of it: the line is skipped, or the value is ignored."""
    report = read(
        'email,attributes\na@test.example,"{no"\nb@test.example,[1]\nc@test.example,"{""topics"": 5}"\n'
    )
    assert report.added == 2
    assert [where for where, _ in report.skipped] == ["line 2"]


def test_a_binary_file_is_refused(read: Import) -> None:
    """A spreadsheet that was not exported as CSV, for example."""
    with pytest.raises(FeedError, match="save it as UTF-8"):
        read(b"PK\x03\x04\0\0email\0\n")


def test_a_device_has_no_end(harness: DeliveryHarness) -> None:
    """Its size is given as 0; no more is read than a file may have."""
    with pytest.raises(FeedError, match="larger than"):
        read_csv(Path("/dev/zero"), harness.subscribers)


def test_semicolons_in_entries(harness: DeliveryHarness, read: Import) -> None:
    """An entry stays one entry; no cell is a formula, in spreadsheets that split cells at ``;`` either."""
    interests = ("is it fast; or slow?", "a;=1+1", "=2+2", "-3")
    harness.subscribers.add("ana@test.example", Preferences(interests), confirmed=True)
    text = write_csv(harness.subscribers.all())
    for delimiter in ",;":
        cells = [cell for row in csv.reader(text.splitlines(), delimiter=delimiter) for cell in row]
        assert not any(cell.strip().startswith(("=", "-")) for cell in cells)
    harness.subscribers.remove("ana@test.example")
    assert read(text).added == 1
    known = harness.subscribers.find("ana@test.example").preferences.interests
    assert known == ("is it fast, or slow?", "a,=1+1", "=2+2", "-3")
