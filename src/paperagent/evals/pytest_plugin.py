"""A pytest plugin that runs your own cases as tests.

pytest loads it when paperagent is installed; it does nothing until a test uses one of its fixtures::

    # pytest.ini
    [pytest]
    paperagent_cases = cases.jsonl
    paperagent_home = library

    # test_answers.py
    def test_answer(paperagent_row):
        assert paperagent_row.failure is None, paperagent_row.answer

A test with the fixture ``paperagent_case``, or ``paperagent_row`` for the scored answer, runs once per case,
under the case's id. ``@pytest.mark.paperagent_cases("other.jsonl")`` names other files of cases, relative to
the test's folder. ``paperagent_agent`` is the `PaperAgent` that answers, one per session; its library and
mode are ``paperagent_home`` and ``paperagent_mode`` of the ini file, by default the settings. Override the
fixture to ask an agent of your own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from paperagent import PaperAgent
    from paperagent.evals.cases import Case
    from paperagent.evals.results import Row

CASE = "paperagent_case"
MARKER = "paperagent_cases"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the keys of the ini file."""
    parser.addini(MARKER, "files of cases for tests that use paperagent_case", type="paths")
    parser.addini("paperagent_home", "the library's folder (default: PAPERAGENT_HOME)", type="paths")
    parser.addini("paperagent_mode", "extractive, select or llm (default: PAPERAGENT_MODE)", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", f"{MARKER}(*files): run over the cases of these files")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a case once for each case."""
    if CASE not in metafunc.fixturenames:
        return
    from paperagent.errors import EvalError
    from paperagent.evals import cases

    try:
        all_cases = [case for path in _files(metafunc) for case in cases.load(path)]
    except EvalError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize(CASE, all_cases, ids=[case.id for case in all_cases])


def _files(metafunc: pytest.Metafunc) -> list[Path]:
    marker = metafunc.definition.get_closest_marker(MARKER)
    folder = metafunc.definition.path.parent
    files = [folder / name for name in marker.args] if marker else metafunc.config.getini(MARKER)
    if not files:
        raise pytest.UsageError(
            f"{metafunc.definition.name}: no files of cases; set {MARKER} in the ini file"
        )
    return list(files)


@pytest.fixture(scope="session")
def paperagent_agent(request: pytest.FixtureRequest) -> Iterator[PaperAgent]:
    """Yield the agent that is asked; its library must exist."""
    from paperagent import PaperAgent

    home = request.config.getini("paperagent_home")
    with PaperAgent(
        home[0] if home else None, mode=request.config.getini("paperagent_mode") or None
    ) as agent:
        yield agent


@pytest.fixture
def paperagent_row(paperagent_case: Case, paperagent_agent: PaperAgent) -> Row:
    """Return the scored answer to the case, with the reason if it is not right."""
    from paperagent.evals.runner import CaseRunner, RunConfig, gold_papers_by_id

    settings = paperagent_agent.settings
    config = RunConfig(name="pytest", mode=settings.answer_mode, k=settings.top_k)
    gold_papers = gold_papers_by_id(paperagent_agent, [paperagent_case])
    return CaseRunner(paperagent_agent, config, gold_papers).ask(paperagent_case)
