"""A real Dovecot on this machine, on the loopback address alone: for the tests of the inbox."""

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

PASSWORD = "hunter2&/ä"  # noqa: S105 - made up
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
_CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
log_path = {folder}/dovecot.log
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%n
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/mail/%n
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
}}
"""


def missing() -> str:
    """Return why there is no Dovecot here, or nothing."""
    if shutil.which("dovecot", path=_PATH) is None or shutil.which("openssl") is None:
        return "Dovecot or openssl is not installed (apt-get install dovecot-imapd openssl)"
    return "" if os.geteuid() == 0 else "Dovecot starts as root only"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """Run Dovecot with its files under ``folder``; give its ports for plain text and for TLS."""
    port, tls_port = free_port(), free_port()
    (folder / "mail").mkdir()
    os.chown(folder / "mail", 65534, 65534)
    folder.chmod(0o755)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    config = folder / "dovecot.conf"
    text = _CONFIG.format(folder=folder, port=port, tls_port=tls_port, password=PASSWORD)
    config.write_text(text, "utf-8")
    program = shutil.which("dovecot", path=_PATH) or "dovecot"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([program, "-F", "-c", str(config)], **quiet)  # type: ignore[call-overload]
    try:
        _wait_for(port)
        yield port, tls_port
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
            if sock.recv(4) == b"* OK":
                return
        time.sleep(0.1)
    raise TimeoutError("Dovecot does not answer")
