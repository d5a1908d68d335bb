"""The files in ``deploy/`` and ``serve --print-unit``, checked by the programs that read them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
import web_server

from paperagent import InputError
from paperagent.testing import ScriptedServer
from paperagent.web import server
from paperagent.web.deployment import service_unit
from paths import ROOT
from scripted_model import SHORTER, SMALL, saying

DEPLOY = ROOT / "deploy"
BEHIND_PROXY = {
    "PAPERAGENT_EMBEDDER": "none",
    "PAPERAGENT_PUBLIC_URL": "https://papers.example.org",
    "PAPERAGENT_WEB_TRUSTED_PROXIES": "127.0.0.1",
}


# --- systemd ---


def test_the_example_unit_is_what_print_unit_prints() -> None:
    unit = service_unit(
        Path("/opt/paperagent/bin/paperagent"),
        Path("/var/lib/paperagent"),
        cache=Path("/var/cache/paperagent"),
        user="paperagent",
        env_file=Path("/etc/paperagent.env"),
    )
    assert (DEPLOY / "paperagent.service").read_text(encoding="utf-8") == unit


def test_print_unit_uses_the_settings(tmp_path: Path) -> None:
    env_file = tmp_path / "my settings.env"
    env_file.write_text("PAPERAGENT_WEB_PORT=8701\n")
    command = [sys.executable, "-m", "paperagent", "serve", "--print-unit"]
    command += ["--home", str(tmp_path / "a b%c"), "--env-file", str(env_file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert f'"PAPERAGENT_HOME={tmp_path}/a b%%c"' in result.stdout
    assert f'"serve" "--env-file" "{env_file}"' in result.stdout


def test_a_home_folder_is_readable_for_the_unit() -> None:
    folders = {"cache": Path("/var/cache/x"), "user": "ana"}
    assert "ProtectHome=yes" in service_unit(Path("/bin/true"), Path("/srv/x"), **folders)  # type: ignore[arg-type]
    assert "ProtectHome=read-only" in service_unit(Path("/bin/true"), Path("/home/ana/x"), **folders)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        service_unit(Path("/bin/true"), Path("/srv/a\nExecStart=/bin/false"), **folders)  # type: ignore[arg-type]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    program, home = Path(sys.executable), Path("/srv/a b%c")
    file = tmp_path / "paperagent.service"
    file.write_text(service_unit(program, home, cache=Path("/var/cache/paperagent"), user="root"))
    result = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")


# --- proxies ---


@contextmanager
def running(command: list[str], url: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a proxy until the block ends."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env) as process:
        try:
            for _ in range(100):
                try:
                    httpx.get(url, trust_env=False)
                    break
                except httpx.TransportError:
                    assert process.poll() is None, process.stderr and process.stderr.read().decode()
                    time.sleep(0.1)
            yield
        finally:
            process.terminate()


def caddy(folder: Path, port: int, upstream: str) -> tuple[list[str], Mapping[str, str]]:
    """Write our Caddyfile for a local port without HTTPS, and return the command that runs it."""
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    text = text.replace(
        "papers.example.org {", f"http://127.0.0.1:{port}, http://papers.example.org:{port} {{"
    )
    file = folder / "Caddyfile"
    file.write_text("{\n\tadmin off\n}\n" + text.replace("127.0.0.1:8700", upstream))
    command = ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
    return command, {"HOME": str(folder), "PATH": "/usr/bin:/bin"}


def nginx(folder: Path, port: int, upstream: str) -> tuple[list[str], Mapping[str, str]]:
    """Write our server block for a local port without HTTPS, and return the command that runs it."""
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    block = text[text.rindex("server {") :]
    lines = [line for line in block.splitlines() if not line.strip().startswith(("listen", "ssl_"))]
    lines.insert(1, f"listen 127.0.0.1:{port};")
    site = "\n".join(lines).replace("127.0.0.1:8700", upstream)
    paths = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; worker_processes 1; events {{}}\n"
        f"http {{ {paths}\n{site} }}\n"
    )
    return ["nginx", "-c", str(file), "-e", f"{folder}/error.log"], {"PATH": "/usr/sbin:/usr/bin:/bin"}


@pytest.mark.parametrize("make", [caddy, nginx])
def test_our_proxy_configuration(make: object, sample_home: Path, tmp_path: Path) -> None:
    """HTTPS, host and address of the reader reach the page, compression works, and bodies are limited."""
    name = make.__name__  # type: ignore[attr-defined]
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    with web_server.process(sample_home, env=BEHIND_PROXY) as upstream:
        with server.listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
        command, env = make(tmp_path, port, upstream.removeprefix("http://"))  # type: ignore[operator]
        url = f"http://127.0.0.1:{port}"
        host = {"host": "papers.example.org"}
        with (
            running(command, url, env),
            closing(httpx.Client(trust_env=False, headers=host, timeout=60)) as client,
        ):
            front = client.get(f"{url}/", headers={"accept-encoding": "gzip"})
            assert front.status_code == 200
            assert front.headers["content-encoding"] == "gzip"
            assert "server" not in front.headers or name in front.headers["server"].lower()
            # What a reader writes into the header does not count, and the proxy is no person at this machine.
            statuses = [
                client.post(f"{url}/subscribe", headers={"x-forwarded-for": f"198.51.100.{n}"}).status_code
                for n in range(6)
            ]
            assert statuses == [404] * 5 + [429]
            assert client.post(f"{url}/", content=b"x" * 70_000).status_code == 413
            stranger = client.get(f"{url}/", headers={"host": "rebound.example"})
            assert stranger.status_code in {200, 404, 421}
            assert "Papers" not in stranger.text or stranger.status_code == 421


@pytest.mark.parametrize("make", [caddy, nginx])
def test_answers_are_streamed_through_the_proxy(make: object, sample_home: Path, tmp_path: Path) -> None:
    """Each claim arrives when it is written, though the browser accepts compression."""
    name = make.__name__  # type: ignore[attr-defined]
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    home = shutil.copytree(sample_home, tmp_path / "library")
    settings = {**BEHIND_PROXY, "PAPERAGENT_MODE": "llm", "PAPERAGENT_MODEL": "test-model"}
    settings["PAPERAGENT_WEB_ASK"] = "model"
    with ExitStack() as stack:
        model = stack.enter_context(ScriptedServer())
        model.responder = saying(SHORTER, SMALL, pause=0.15)
        settings["OPENAI_BASE_URL"] = model.url
        upstream = stack.enter_context(web_server.process(home, env=settings))
        with server.listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
        command, env = make(tmp_path, port, upstream.removeprefix("http://"))  # type: ignore[operator]
        url = f"http://127.0.0.1:{port}"
        stack.enter_context(running(command, url, env))
        headers = {"host": "papers.example.org", "accept-encoding": "gzip"}
        client = stack.enter_context(httpx.Client(base_url=url, trust_env=False, headers=headers, timeout=60))
        answered = client.post("/ask", data={"question": "How many tokens does Tindersift remove?"})
        assert answered.status_code == 303
        arrivals: dict[str, float] = {}
        text = ""
        with client.stream("GET", answered.headers["location"].partition("#")[0]) as response:
            for piece in response.iter_text():
                text += piece
                arrivals |= {
                    claim: time.monotonic()
                    for claim, _ in (SHORTER, SMALL)
                    if claim in text and claim not in arrivals
                }
        assert arrivals[SMALL[0]] - arrivals[SHORTER[0]] > 0.2
