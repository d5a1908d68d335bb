"""A real Postfix on this machine, as root, on the loopback address alone: for the end-to-end test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mail_helpers import free_port

DOMAIN = "test.example"


def missing() -> str:
    """Return why there is no Postfix here, or nothing."""
    if shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        return "Postfix is not installed (apt-get install postfix)"
    return "" if os.geteuid() == 0 else "Postfix starts as root only"


@contextmanager
def serving(folder: Path, users: list[str]) -> Iterator[tuple[int, Path]]:
    """Run Postfix with its files under ``folder``; give its port and the folder of Maildirs."""
    port = free_port()
    etc, mail = folder / "etc", folder / "mail"
    for part in (etc, mail, folder / "data", folder / "queue"):
        part.mkdir()
    shutil.chown(folder / "data", "postfix")
    os.chown(mail, 65534, 65534)
    folder.chmod(0o755)
    _configure(etc, folder, mail, port, users)
    postfix = shutil.which("postfix", path="/usr/sbin:/usr/bin") or "postfix"
    subprocess.run([postfix, "-c", str(etc), "start"], check=True, capture_output=True, timeout=60)
    try:
        _wait_for(port)
        yield port, mail
    finally:
        subprocess.run([postfix, "-c", str(etc), "stop"], check=False, capture_output=True, timeout=60)


def _configure(etc: Path, folder: Path, mail: Path, port: int, users: list[str]) -> None:
    boxes = etc / "mailboxes"
    boxes.write_text("".join(f"{u}@{DOMAIN} {u}/\n" for u in users), "utf-8")
    settings = {
        "compatibility_level": "3.6",
        "queue_directory": folder / "queue",
        "data_directory": folder / "data",
        "myhostname": "mail.test.example",
        "mydestination": "",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.0/8",
        "default_transport": "error:disabled",
        "relay_transport": "error:disabled",
        "virtual_mailbox_domains": DOMAIN,
        "virtual_mailbox_base": mail,
        "virtual_mailbox_maps": f"texthash:{boxes}",
        "virtual_uid_maps": "static:65534",
        "virtual_gid_maps": "static:65534",
        "smtpd_relay_restrictions": "reject_unauth_destination",
        "smtputf8_enable": "yes",
        "maillog_file": folder / "postfix.log",
        "maillog_file_prefixes": folder,
        "alias_maps": "",
        "local_recipient_maps": "",
    }
    (etc / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()), "utf-8")
    services = [
        f"127.0.0.1:{port} inet n - n - - smtpd",
        "pickup unix n - n 60 1 pickup",
        "cleanup unix n - n - 0 cleanup",
        "qmgr unix n - n 300 1 qmgr",
        "rewrite unix - - n - - trivial-rewrite",
        "bounce unix - - n - 0 bounce",
        "defer unix - - n - 0 bounce",
        "trace unix - - n - 0 bounce",
        "verify unix - - n - 1 verify",
        "flush unix n - n 1000? 0 flush",
        "proxymap unix - - n - - proxymap",
        "showq unix n - n - - showq",
        "error unix - - n - - error",
        "retry unix - - n - - error",
        "discard unix - - n - - discard",
        "virtual unix - n n - - virtual",
        "anvil unix - - n - 1 anvil",
        "scache unix - - n - 1 scache",
        "postlog unix-dgram n - n - 1 postlogd",
    ]
    (etc / "master.cf").write_text("\n".join(services) + "\n", "utf-8")


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
            if sock.recv(4) == b"220 ":
                return
        time.sleep(0.1)
    raise TimeoutError("Postfix does not answer")


def wait_for_mail(folder: Path, user: str, count: int) -> list[bytes]:
    """Return the raw messages of a user once there are ``count``, or what is there after a while."""
    end = time.monotonic() + 20
    new = folder / user / "new"
    while time.monotonic() < end:
        files = sorted(new.iterdir()) if new.exists() else []
        if len(files) >= count:
            break
        time.sleep(0.1)
    return [f.read_bytes() for f in files]
