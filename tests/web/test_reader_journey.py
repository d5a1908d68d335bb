"""A reader from the form to the last mail: real commands, a real web page and a real mail server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import postfix_server
from mail_helpers import Script, free_port, serving
from web_server import SECRET, process

from paperagent.digest.links import SignedTokens
from sample_library import write_jsonl

READER = "ana@test.example"
PAPERS = {
    "2026-06-24": {
        "Hearing a Beehive Swarm Before It Leaves": "We place acoustic sensors in beehives. The honeybee "
        "colonies in a beehive change their hum three days before the swarm leaves.",
        "Weighing Trucks on a Steel Bridge": "We place vibration sensors under a bridge deck. The weight of "
        "a truck follows from two axles.",
        "Dry Fields Seen from a Satellite": "We map soil moisture of potato fields. Farmers water 12% less.",
    },
    "2026-07-01": {
        "Repairing Harbor Walls Without Divers": "We inspect concrete under water. A small boat carries the "
        "camera along the wall.",
        "Acoustic Sensors for Honeybee Colonies in Winter": "We place acoustic sensors in beehives for five "
        "winters. Honeybee colonies in a beehive change their hum before they leave.",
        "Timetables for Night Trains": "We plan sleeping cars across borders. Delays shrink by 9 minutes.",
    },
    "2026-07-08": {"Snow on Solar Panels": "We measure losses by snow. Steep panels lose 4% in a year."},
}
"""Day → title and abstract of its papers; a day is in a week of its own."""
RATED, LIKE_IT = "Hearing a Beehive Swarm", "Acoustic Sensors for Honeybee"
MailServer = tuple[str, Callable[[int], list[bytes]]]


@contextmanager
def scripted() -> Iterator[MailServer]:
    """Run aiosmtpd; yield its address, and a function that waits for a number of mails."""
    script = Script()

    def mails(count: int) -> list[bytes]:
        end = time.monotonic() + 20
        while len(script.taken) < count and time.monotonic() < end:
            time.sleep(0.05)
        return [raw for _, raw in script.taken]

    with serving(script) as url:
        yield url, mails


@contextmanager
def postfix() -> Iterator[MailServer]:
    """Run Postfix, likewise."""
    with (
        tempfile.TemporaryDirectory(prefix="pf", dir="/tmp") as folder,
        postfix_server.serving(Path(folder), ["ana"]) as (port, boxes),
    ):

        def mails(count: int) -> list[bytes]:
            raw = postfix_server.wait_for_mail(boxes, "ana", count)
            return sorted(raw, key=lambda mail: str(message_from_bytes(mail)["Received"]))

        yield f"smtp://127.0.0.1:{port}", mails


class Journey:
    """The commands of an operator, and the mailbox of a reader."""

    def __init__(self, folder: Path, smtp_url: str, mails: Callable[[int], list[bytes]], url: str) -> None:
        self.folder, self.mails, self.url = folder, mails, url
        self.seen: list[bytes] = []
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("PAPERAGENT_", "OPENAI_"))}
        settings = {
            "HOME": str(folder / "library"), "EMBEDDER": "none", "SECRET": SECRET, "PUBLIC_URL": url,
            "SMTP_URL": smtp_url, "MAIL_FROM": "Paper digest <digest@test.example>",
        }  # fmt: skip
        self.environ = environ | {f"PAPERAGENT_{name}": value for name, value in settings.items()}

    def run(self, *argv: str) -> str:
        """Run a command; return what it printed, warnings included."""
        done = subprocess.run(
            [sys.executable, "-m", "paperagent", *argv],
            env=self.environ, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def next_mail(self) -> EmailMessage:
        """Return the mail that arrived since the last one."""
        (raw,) = [raw for raw in self.mails(len(self.seen) + 1) if raw not in self.seen]
        self.seen.append(raw)
        message = message_from_bytes(raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    def links(self, message: EmailMessage) -> list[str]:
        """Return the addresses on our page in both bodies of a mail."""
        bodies = (message.get_body((kind,)) for kind in ("plain", "html"))
        text = "\n".join(body.get_content() for body in bodies if body is not None)
        return list(dict.fromkeys(re.findall(rf"{self.url}/[^\s\"<>]+", text)))

    def issue(self, week: str) -> EmailMessage:
        """Build and send the issue of a week; return the mail."""
        self.run("digest", "build", "--week", week)
        assert "paperagent serve" not in self.run("digest", "send")
        return self.next_mail()

    def preview(self, week: str) -> str:
        """Return the text of the reader's issue as it would be sent."""
        out = self.folder / "out"
        self.run("digest", "preview", "--week", week, "--for", READER, "--out", str(out))
        return next(out.glob("*.txt")).read_text("utf-8")


def test_from_the_form_to_the_last_mail(tmp_path: Path) -> None:
    """Subscribe, confirm, read, rate, read again, and leave with one click: never written to again.

    The mail goes through Postfix; where it is missing, through aiosmtpd.
    """
    port = free_port()
    server = scripted if postfix_server.missing() else postfix
    with server() as (smtp_url, mails):
        journey = Journey(tmp_path, smtp_url, mails, f"http://127.0.0.1:{port}")
        papers = [(day, title, text) for day, group in PAPERS.items() for title, text in group.items()]
        records = [
            {"paper_id": f"2606.{n:05}", "title": title, "abstract": text, "published": day, "sources": ["a"]}
            for n, (day, title, text) in enumerate(papers)
        ]
        journey.run("ingest", "--quiet", str(write_jsonl(tmp_path / "papers.jsonl", records)))
        with (
            process(tmp_path / "library", "--port", str(port), env=journey.environ) as address,
            httpx.Client(base_url=address) as http,
        ):
            assert address == journey.url

            opened = SignedTokens(SECRET).create("form", int(time.time()) - 10)
            form = {"email": READER, "frequency": "weekly", "t": opened}
            assert http.post("/subscribe", data=form).status_code == 200
            (link,) = journey.links(journey.next_mail())
            assert "Confirm your subscription" in http.get(link).text
            assert "You are subscribed" in http.post(link).text

            first = journey.issue("2026-W26")
            links = journey.links(first)
            assert {http.get(each).status_code for each in links} == {200}
            assert {each.split("/")[3] for each in links} == {
                "archive", "feedback", "paper", "preferences", "unsubscribe",
            }  # fmt: skip

            before = journey.preview("2026-W27")
            more = [
                each for each in links if RATED in http.get(each).text and "More like" in http.get(each).text
            ]
            assert http.post(more[0]).status_code == 303
            assert http.get(more[0]).text.count("Undo") == 1
            after = journey.preview("2026-W27")
            assert after != before
            assert "You liked: Hearing a Beehive Swarm" in after
            assert before.index(LIKE_IT) > after.index(LIKE_IT)
            second = journey.issue("2026-W27")

            one_click = re.search(r"<(http[^>]+)>", str(second["List-Unsubscribe"]))
            assert one_click is not None
            assert http.post(one_click[1], data={"List-Unsubscribe": "One-Click"}).status_code == 200
            journey.run("digest", "build", "--week", "2026-W28")
            assert "none due" in journey.run("digest", "send")
            time.sleep(1)
            assert sorted(mails(3)) == sorted(journey.seen)
