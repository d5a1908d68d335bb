"""Prompt files: found, filled strictly, hashed."""

from __future__ import annotations

from pathlib import Path

import pytest

from paperagent.errors import ConfigError
from paperagent.llm import prompts

GOOD = "name: x\nversion: 1\npurpose: p\nvariables: a, b\noutput: o\n--- system\nS {{a}}\n--- user\nU {{b}}\n"


def written(folder: Path, text: str) -> Path:
    (folder / "x.md").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("name", ["answer", "plan", "repair", "judge"])
def test_the_packaged_prompts_are_whole(name: str) -> None:
    """Each has a header that names exactly the variables it uses."""
    prompt = prompts.load(name)
    assert prompt.name == name
    assert len(prompt.hash) == 12


def test_values_are_inserted_once_and_never_read_as_templates(tmp_path: Path) -> None:
    """A place written inside a value stays as it is."""
    system, user = prompts.load("x", written(tmp_path, GOOD)).fill(a="{{b}}", b="$1 \\g<0> {a}")
    assert system == {"role": "system", "content": "S {{b}}"}
    assert user == {"role": "user", "content": "U $1 \\g<0> {a}"}


@pytest.mark.parametrize("values", [{"a": "1"}, {"a": "1", "b": "2", "c": "3"}])
def test_a_missing_or_unknown_variable_is_an_error(tmp_path: Path, values: dict[str, str]) -> None:
    """Filling is strict both ways."""
    with pytest.raises(ConfigError, match="variable"):
        prompts.load("x", written(tmp_path, GOOD)).fill(**values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        GOOD.replace("--- user\n", ""),
        GOOD.replace("variables: a, b", "variables: a"),
        GOOD.replace("output: o\n", ""),
    ],
)
def test_a_file_that_is_no_prompt_is_named(tmp_path: Path, text: str) -> None:
    """The message says which file and what is wrong with it."""
    with pytest.raises(ConfigError, match=r"x\.md"):
        prompts.load("x", written(tmp_path, text))


def test_a_persons_folder_wins_and_the_rest_is_packaged(tmp_path: Path) -> None:
    """Only the prompts that the folder holds are replaced."""
    written(tmp_path, GOOD)
    assert prompts.load("x", tmp_path).version == "1"
    assert prompts.load("answer", tmp_path).hash == prompts.load("answer").hash


def test_a_prompt_that_is_nowhere_names_the_places(tmp_path: Path) -> None:
    """The message lists where was looked."""
    with pytest.raises(ConfigError, match="not found in"):
        prompts.load("nonesuch", tmp_path)


def test_a_prompt_may_follow_a_reply(tmp_path: Path) -> None:
    """The messages before stay as they were; what follows is one message."""
    before = [{"role": "system", "content": "Rules."}, {"role": "user", "content": "Question."}]
    told = prompts.load("x", written(tmp_path, GOOD)).follow(before, "The reply.", a="1", b="2")
    assert told[:2] == before
    assert told[2:] == [
        {"role": "assistant", "content": "The reply."},
        {"role": "user", "content": "S 1\n\nU 2"},
    ]
