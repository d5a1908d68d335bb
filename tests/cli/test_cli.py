"""The output of the commands, and what they pass to the library."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from test_bad_inputs_cli import Stdin

from fake_agent import ABSTAINED, COMPARED, PAPERS, SINGLE, FakeAgent
from paperagent.cli import main, program_help
from paperagent.cli.commands import root
from paperagent.errors import EndpointError, FeedError, StoreLockedError
from paperagent.layout import counted
from paperagent.library.protocol import Check, Health
from paperagent.types import Answer, FeedReport

HEAVY = (
    "chromadb",
    "openai",
    "onnxruntime",
    "tantivy",
    "tokenizers",
    "numpy",
    "pydantic",
    "rich",
    "prompt_toolkit",
)


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> FakeAgent:
    """Replace the library by a fake."""
    fake = FakeAgent()
    monkeypatch.setattr("paperagent.agent.PaperAgent", fake)
    monkeypatch.setattr(sys, "stdin", Stdin(None))
    return fake


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run a command that must succeed and return its output."""
    assert main.main(argv) == 0, capsys.readouterr().err
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize(
    "code",
    [
        "import paperagent",
        "from paperagent.cli.main import main; main(['--help'])",
        "from paperagent.cli.main import main; main(['--version'])",
        "from paperagent.cli.main import main; main(['asj'])",
        "from paperagent.cli.main import main; main(['--debug', '--help'])",
    ],
)
def test_cheap_commands_load_nothing_heavy(code: str) -> None:
    """Import, help, version and a mistyped command load no heavy library."""
    check = f"{code}\nimport sys; print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_help_lists_every_command_and_option() -> None:
    """The help printed without click agrees with click's."""
    text = program_help.text()
    context = root.make_context("paperagent", ["status"])
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        assert f"  {name} " in text
    options = {name for param in root.params for name in param.opts} | {"-h", "--help"}
    assert options == {
        name for key in program_help.OPTIONS for name in key.replace(",", " ").split() if name[0] == "-"
    }
    assert max(map(len, text.splitlines())) <= 82


def test_every_command_and_option_has_a_help_text() -> None:
    context = root.make_context("paperagent", ["status"])
    commands = [root.get_command(context, name) for name in root.list_commands(context)]
    commands += [sub for c in commands if isinstance(c, click.Group) for sub in c.commands.values()]
    for command in commands:
        assert command is not None
        assert command.help
        for param in command.params:
            if isinstance(param, click.Option) and not isinstance(param.type, click.Choice):
                assert param.help, (command.name, param.name)


def test_ingest_prints_what_changed(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "ingest", "a.txt", "-", "--date", "2026-01-02", "--no-vectors")
    assert out.splitlines()[0] == "3 read: 3 new, 0 changed, 0 unchanged; 2 skipped"
    assert "- skipped 2: no abstract" in out
    assert "3 papers in the library" in out
    assert "*a note*" in out
    name, args, options = agent.calls[0]
    assert (name, args) == ("ingest", (["a.txt", "-"],))
    assert options == {
        "date": dt.date(2026, 1, 2),
        "progress": None,
        "vectors": False,
        "shard": None,
        "format": None,
        "fetch": False,
        "restart": False,
    }


def test_ingest_json_and_quiet(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capsys, "ingest", "--json", "a"))["skipped"] == {"no abstract": 2}
    assert run(capsys, "ingest", "-q", "a") == ""


@pytest.mark.parametrize(
    "argv",
    [
        ["ingest", "--follow", "--shard", "1/2"],
        ["ingest", "--follow-file", "feeds.txt", "--shard", "1/2"],
        ["ingest", "--follow", "--date", "2026-01-02"],
        ["embed", "--batch", "--shard", "1/2"],
    ],
)
def test_options_without_effect_are_refused(
    argv: list[str], agent: FakeAgent, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is opened."""
    assert main.main(argv) == 2
    assert f"and {argv[-2]}: " in capsys.readouterr().err
    assert agent.calls == []


def test_search(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints ranked papers and passes the filters on."""
    out = run(
        capsys,
        "search",
        "lantern",
        "papers",
        "-k",
        "2",
        "--category",
        "cs",
        "--source",
        "arxiv",
        "--until",
        "2026-03-01",
    )
    assert out.startswith(
        "1. **Sparse Lanterns: Retrieval at Night** — 2601.00001 · 2026-01-05 · cs.IR — <https://"
    )
    assert "2. **Dense Lanterns**" in out
    assert "A third paper" not in out
    assert agent.calls[0] == (
        "search",
        ("lantern papers",),
        {
            "k": 2,
            "since": None,
            "until": dt.date(2026, 3, 1),
            "category": "cs",
            "source": "arxiv",
            "author": None,
            "exclude": (),
        },
    )


def test_search_json(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has the fields of the contract."""
    found = json.loads(run(capsys, "search", "--json", "x"))
    assert found.keys() == {"query", "hits"}
    contract = {"paper_id", "title", "score", "rank", "published", "url", "snippet"}
    assert found["hits"][0].keys() == contract | {"withdrawn"}


def test_days_counts_back_from_today(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """--days N is --since N days ago, and cannot be combined with it."""
    run(capsys, "search", "--days", "7", "x")
    today = dt.datetime.now(dt.UTC).astimezone().date()  # the zone of the system
    assert today - agent.options("search")["since"] in {dt.timedelta(days=7), dt.timedelta(days=8)}
    assert main.main(["search", "--days", "7", "--since", "2026-01-01", "x"]) == 2


def test_ask_prints_the_answer_with_sources(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """An answer is its sentences with numbers, then the sources; no id that the address contains."""
    out = run(capsys, "ask", "What", "is", "faster?")
    assert out == (
        "Sparse lanterns find papers 12% faster. [1]\n\n## Sources\n"
        "- [1] **Sparse Lanterns: Retrieval at Night** — <https://arxiv.org/abs/2601.00001>\n"
    )
    assert agent.asked() == ["What is faster?"]


def test_ask_several_papers_groups_by_title(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.script = [COMPARED]
    out = run(capsys, "ask", "compare")
    first, second = out.index("## Sparse Lanterns"), out.index("## Dense Lanterns")
    assert first < out.index("faster. [1]") < out.index("public. [3]") < second < out.index("more. [2]")


def test_ask_quotes(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """--quotes prints the quoted sentence under its source."""
    assert "   > Sparse lanterns find papers 12% faster. [1]" in run(capsys, "ask", "--quotes", "x")


def test_ask_json_is_the_answer(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capsys, "ask", "--json", "x")) == json.loads(json.dumps(SINGLE.to_dict()))


def test_ask_abstains_with_exit_0(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """An abstention says what is missing and lists the nearest papers."""
    agent.script = [ABSTAINED]
    out = run(capsys, "ask", "x")
    assert out.startswith("*No answer:* The abstracts do not say it.\n\n## Nearest papers\n1. **Sparse")


def test_ask_incomplete_exits_6(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """A partial answer is printed and marked."""
    agent.script = [replace(SINGLE, status="incomplete", reason="provider_failed")]
    assert main.main(["ask", "x"]) == 6
    assert "INCOMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["ask"], ["ask", "-"]])
def test_ask_reads_standard_input(
    argv: list[str], agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If there is no question, or it is -."""
    monkeypatch.setattr(sys, "stdin", Stdin("Wie heißt es?\n".encode()))
    run(capsys, *argv)
    assert agent.asked() == ["Wie heißt es?"]


def test_options_override_settings(
    agent: FakeAgent, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Before or after the name of the command."""
    run(
        capsys,
        "--home",
        str(tmp_path / "a"),
        "ask",
        "--model",
        "m",
        "--max-cost",
        "0",
        "--timeout",
        "5",
        "--mode",
        "extractive",
        "-k",
        "3",
        "--effort",
        "deep",
        "x",
    )
    got = agent.settings
    assert (got.home, got.model, got.max_cost_per_answer, got.timeout, got.mode, got.top_k) == (
        tmp_path / "a", "m", 0.0, 5.0, "extractive", 3,
    )  # fmt: skip
    assert agent.options("ask")["effort"] == "deep"
    run(capsys, "--home", str(tmp_path / "a"), "status", "--store", str(tmp_path / "b"))
    assert agent.settings.home == tmp_path / "b"


def test_status_and_doctor(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """Reports are rows or JSON; a failed check exits with 5."""
    assert "- vectors indexed: 3" in run(capsys, "status")
    assert json.loads(run(capsys, "status", "--json"))["papers"] == 3
    assert run(capsys, "doctor") == "- ok: library — 3 papers\n"
    agent.health = Health(
        ok=False, checks=(Check("vectors", ok=False, detail="2 missing", fix="run doctor --repair"),)
    )
    assert main.main(["doctor", "--repair"]) == 5
    assert "- FAIL: vectors — 2 missing; run doctor --repair" in capsys.readouterr().out
    assert agent.options("doctor") == {"repair": True}


def test_reindex(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "reindex", "--no-vectors") == "3 papers reindexed\n"
    assert agent.options("reindex") == {"vectors": False, "progress": None}


def test_config_show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is printed with its source, secrets masked, in both forms."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefghijklmnopqrstuvwxyz123456")
    out = run(capsys, "config", "show")
    assert "- OPENAI_API_KEY: …3456 (environment)" in out
    found = json.loads(run(capsys, "config", "show", "--json"))
    assert found["OPENAI_API_KEY"] == {"value": "…3456", "source": "environment"}
    assert found["PAPERAGENT_MODEL"] == {"value": None, "source": "default"}


@pytest.mark.parametrize("command", [("doctor",), ("config", "show"), ("config", "show", "--json")])
def test_a_model_that_was_shut_down(
    agent: FakeAgent,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    """Only doctor and config show warn, on stderr, and name the replacement."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef3456")
    run(capsys, *command)
    monkeypatch.setenv("PAPERAGENT_MODEL", "gpt-4.1-nano")
    assert main.main(command) == 0
    assert capsys.readouterr().err == (
        "paperagent: warning: PAPERAGENT_MODEL: gpt-4.1-nano was shut down on 2026-10-23; "
        "use gpt-5.6-luna or gpt-6-luna\n"
    )
    run(capsys, "status")


def test_urls_and_paths_from_the_settings_are_not_escaped(
    agent: FakeAgent, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Other text of errors and papers stays escaped."""
    server, home = "http://127.0.0.1:8000", str(tmp_path / "_papers_")
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", server)
    monkeypatch.setenv("PAPERAGENT_FEED_URLS", "arxiv=https://example.org/api")
    out = run(capsys, "config", "show", "--home", home)
    assert f"- PAPERAGENT_CHROMA_URL: {server} (environment)\n" in out
    assert f"- PAPERAGENT_HOME: {home} (command line)\n" in out
    assert "- PAPERAGENT_FEED_URLS: arxiv=https://example.org/api (environment)\n" in out
    monkeypatch.setattr(agent, "status", lambda **_: {"home": home, "server": server, "embedder": "<b>"})
    assert run(capsys, "status", "--home", home) == f"- home: {home}\n- server: {server}\n- embedder: \\<b>\n"
    detail = f"{server} answers, version ![](http://a.bc)"
    agent.health = Health(ok=True, checks=(Check("server", ok=True, detail=detail),))
    assert run(capsys, "doctor") == f"- ok: server — {server} answers, version !\\[\\](http://a.bc)\n"


def test_a_feed_is_named_as_it_was_given(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """Once per line; the text of its error stays escaped."""
    source = "https://example.org/_feed_"
    failed = FeedReport(source, error=f"{source}: got <b>; give a feed")
    agent.report = replace(agent.report, feeds=(failed, FeedReport("b.txt", read=1)))
    out = run(capsys, "ingest", "a", "b")
    assert f"- FAIL: {source} — got \\<b>; give a feed\n" in out


def test_models_status_without_a_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The output says how to get one."""
    monkeypatch.setenv("PAPERAGENT_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "run 'paperagent models pull'" in run(capsys, "models", "status")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FeedError("x: y; z"), 4),
        (StoreLockedError("library: locked by pid 3; wait", pid=3), 75),
        (EndpointError("endpoint: refused; wait"), 6),
    ],
)
def test_errors_are_one_line(
    error: Exception, code: int, agent: FakeAgent, capsys: pytest.CaptureFixture[str]
) -> None:
    """A PaperAgentError is its message on one line and its exit code."""
    agent.fails = error
    assert main.main(["ingest", "x"]) == code
    assert capsys.readouterr().err == f"paperagent: error: {error}\n"


def test_unexpected_failure_is_one_masked_line(
    agent: FakeAgent, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug exits with 1 and one line without control characters or secrets; --debug shows the traceback."""
    key = "sk-abcdefghijklmnopqrstuvwxyz123456"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    agent.fails = RuntimeError(f"a\n\x1b[31m{key}")
    assert main.main(["status"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(
        "paperagent: error: unexpected failure: RuntimeError: a \\x1b[31m***; run with --debug"
    )
    assert err.count("\n") == 1
    assert main.main(["status", "--debug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert key not in err


def test_settings_warnings_go_to_stderr(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """They do not stop the command."""
    Path(".env").write_text("PAPERAGENT_TOP_K=3\nPAPERAGENT_TOP_K=4\n", encoding="utf-8")
    assert main.main(["status"]) == 0
    assert capsys.readouterr().err.startswith("paperagent: warning: .env line 2: ")


def test_settings_errors_exit_3(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is opened."""
    Path(".env").write_text("PAPERAGENT_TOP_K=x\n", encoding="utf-8")
    assert main.main(["status"]) == 3
    assert agent.calls == []
    assert capsys.readouterr().err.startswith("paperagent: error: settings: PAPERAGENT_TOP_K (.env line 1): ")


def test_export_selections(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """The library, a search, ids or the sources of an answer; only one of them at a time."""
    assert run(capsys, "export", "-f", "jsonl").count("\n") == 3
    assert run(capsys, "export", "-f", "jsonl", "--category", "cs.CL").count("\n") == 1
    assert run(capsys, "export", "-f", "jsonl", "-k", "2", "lanterns").count("\n") == 2
    assert run(capsys, "export", "-f", "jsonl", "--ids", "doi:10.1000/x,2601.00002").count("\n") == 2
    Path("a.json").write_text(json.dumps(COMPARED.to_dict()), encoding="utf-8")
    assert run(capsys, "export", "-f", "markdown", "--sources-of", "a.json").count("## ") == 2
    assert main.main(["export", "--ids", "x", "query"]) == 2
    assert main.main(["export", "--ids", ","]) == 2
    assert main.main(["export", "--ids", "nope"]) == 2
    assert "no paper with the id nope" in capsys.readouterr().err


@pytest.mark.parametrize(
    "named", [["--ids", "2601.00001"], ["--sources-of", "a.json"], ["--issue", "2026-W26"]]
)
@pytest.mark.parametrize(
    "limit",
    [
        ["--since", "2026-01-01"],
        ["--until", "2026-01-01"],
        ["--days", "3"],
        ["--category", "cs"],
        ["-k", "3"],
    ],
)
def test_export_of_selected_papers_takes_no_filters(
    named: list[str], limit: list[str], agent: FakeAgent, capsys: pytest.CaptureFixture[str]
) -> None:
    """Filters would be ignored."""
    assert main.main(["export", *named, *limit]) == 2
    assert re.search(r"leave (-k )?out", capsys.readouterr().err)
    assert agent.calls == []


def test_one_is_singular(agent: FakeAgent, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A count of one is not followed by a plural."""
    agent.report = replace(agent.report, papers=1)
    assert "\n1 paper in the library; " in run(capsys, "ingest", "a")
    assert run(capsys, "export", "--ids", "2601.00001", "-f", "notes", "--out", str(tmp_path)) == (
        "1 note written\n"
    )
    assert counted(1_200, "issue") == "1,200 issues"


def test_python_m_runs_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "paperagent", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"paperagent ")


@pytest.mark.parametrize("answer", [SINGLE, COMPARED, ABSTAINED])
def test_quotes_of_the_fake_are_valid(answer: Answer) -> None:
    """The fake fulfils the contract that it is used to test."""
    abstracts = {p.paper_id: p.abstract for p in PAPERS}
    for c in answer.citations:
        assert abstracts[c.paper_id][c.start : c.end] == c.quote
