"""The rules for the structure of the code, checked on the code itself."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import paperagent
from paths import ROOT

SOURCE = ROOT / "src" / "paperagent"

LAYERS: dict[str, frozenset[str]] = {
    "base": frozenset(
        "types errors layout notebook storage templating text http_limits time_limits testing".split()
    ),
    "adapters": frozenset("config feeds library embedding llm".split()),
    "pipeline": frozenset("retrieval verification answering digest".split()),
    "app": frozenset("arguments async_stream factory ingest lookup agent".split()),
    "faces": frozenset("ui evals web".split()),
    "cli": frozenset("cli __main__".split()),
}
"""Layer → its packages and top-level modules, lowest first. A module imports its own layer and lower ones."""

ORDER = list(LAYERS)
FRONT = "paperagent"
"""The name of ``paperagent/__init__.py``, which only exports names."""

ONLY_IN: dict[str, frozenset[str]] = {
    "chromadb": frozenset({"library.local.vector_index"}),
    "tantivy": frozenset({"library.local.bm25_index"}),
    "sqlite3": frozenset(
        {
            "library",
            "storage.journal",
            "storage.sqlite",
            "llm.cache",
            "digest.backups",
            "digest.database",
            "digest.health",
            "digest.restore",
            "digest.delivery.ledger",
            "digest.delivery.stored_issues",
            "digest.subscribers",
        }
    ),
    "itsdangerous": frozenset({"digest.links"}),
    "email_validator": frozenset({"digest.delivery.message"}),
    "dkim": frozenset({"digest.delivery.dkim_signature"}),
    "imaplib": frozenset({"digest.delivery.inbox"}),
    "smtplib": frozenset({"digest.delivery.smtp"}),
    "openai": frozenset({"llm.client"}),
    "filelock": frozenset({"storage.locks"}),
    "tenacity": frozenset({"http_limits"}),
    "tiktoken": frozenset({"llm.pricing"}),
    "onnxruntime": frozenset({"embedding.minilm", "embedding.minilm_build"}),
    "tokenizers": frozenset({"embedding.minilm", "embedding.minilm_download"}),
    "huggingface_hub": frozenset({"embedding.minilm_download"}),
    "onnx": frozenset({"embedding.minilm_build"}),
    "click": frozenset({"cli"}),
    "rich": frozenset({"ui.render", "cli.session"}),
    "prompt_toolkit": frozenset({"ui.line_input", "cli.chat"}),
    "pytest": frozenset({"evals.pytest_plugin"}),
    "dotenv": frozenset({"config.dotenv"}),
    "defusedxml": frozenset({"feeds.strict_xml"}),
    "openpyxl": frozenset({"feeds.formats.spreadsheet"}),
    "yaml": frozenset({"feeds.formats.csl"}),
    "httpx": frozenset(
        {
            "feeds.services.http_client",
            "library.server.client",
            "digest.delivery.page_check",
            "digest.delivery.webhook_transport",
        }
    ),
    "pydantic_settings": frozenset({"config", "library.local.vector_index"}),
    "mcp": frozenset({"ui.mcp_server"}),
    "ray": frozenset({"embedding.ray_job"}),
    "jinja2": frozenset({"templating", "evals.report.html"}),
    "starlette": frozenset({"web"}),
    "uvicorn": frozenset({"web.server"}),
    "css_inline": frozenset({"digest.render.renderer"}),
    "babel": frozenset({"text.languages"}),
}
"""Library → the modules, or whole packages, that may import it."""

HEAVY = frozenset(
    """chromadb tantivy onnxruntime tokenizers openai tiktoken pydantic pydantic_settings rich prompt_toolkit
    numpy""".split()
)
"""Libraries that take long to import."""
HEAVY_AT_THE_TOP: dict[str, frozenset[str]] = {
    "config.loading": frozenset({"pydantic"}),
    "config.settings": frozenset({"pydantic", "pydantic_settings"}),
    "answering.reply": frozenset({"pydantic"}),
    "evals.cases": frozenset({"pydantic"}),
    "evals.results": frozenset({"pydantic"}),
    "evals.feedback": frozenset({"pydantic"}),
    "embedding.minilm_build": frozenset({"numpy"}),
}
"""Module that is itself imported inside functions only → the heavy libraries it may import at its top."""

MAX_LINES = 450
LONG = {
    "agent": "the public class: one documented method per feature",
    "answering.llm_pipeline": "one conversation with a model, whose steps share state",
    "types": "all public data types; two thirds are docstrings",
    "verification.lexicon": "word lists",
    "verification.synonyms": "a word list",
}
"""Module of more than `MAX_LINES` lines → the reason."""


BANNED_NAMES = frozenset(
    """found held made given wanted said told kept fresh known taken shown whole rest place listed asked
    those anew""".split()
)
"""Names that do not say what they hold."""
BANNED_EXCEPTIONS = {"types:listed", "evals.results:shown"}
"""``module:name`` of public and stored fields that keep a banned name."""


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module by its name, without ``paperagent.``."""
    return {
        name: ast.parse(path.read_text(encoding="utf-8"), filename=str(path)) for name, path in PATHS.items()
    }


def module_name(path: Path) -> str:
    """Return the dotted name of a file, without ``paperagent.``."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__") or FRONT


PATHS = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
INNER = [name for name in PATHS if name != FRONT]


def imports(tree: ast.AST, *, typing: bool = True) -> Iterator[str]:
    """Yield the dotted names that a module imports, those under TYPE_CHECKING only with ``typing``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from imports(ast.Module(node.body if typing else [], []), typing=typing)
            yield from imports(ast.Module(node.orelse, []), typing=typing)
        else:
            yield from imports(node, typing=typing)


def internal_imports(name: str, *, typing: bool = False) -> set[str]:
    """Return the modules of paperagent that a module imports, except `FRONT`."""
    imported_modules = set()
    for imported in imports(modules()[name], typing=typing):
        parts = imported.split(".")
        if parts[0] == FRONT:
            candidates = [".".join(parts[1:n]) for n in range(len(parts), 1, -1)]
            imported_modules.add(next((m for m in candidates if m in modules()), FRONT))
    return imported_modules - {name, FRONT}


def package(name: str) -> str:
    """Return the package, or the top-level module, that a module belongs to."""
    return name.split(".", maxsplit=1)[0]


def layer(name: str) -> int:
    """Return the index of a module's layer, 0 for the lowest."""
    return next(i for i, names in enumerate(LAYERS.values()) if package(name) in names)


def assert_no_circle(edges: dict[str, set[str]]) -> None:
    """Assert that names can be ordered so that each imports only earlier ones."""
    remaining = dict(edges)
    while remaining:
        imported = set[str]().union(*remaining.values())
        # A name that imports none of the others, or that none of them imports, is in no circle.
        free = {n for n, targets in remaining.items() if not targets & remaining.keys() or n not in imported}
        assert free, f"circular imports: { {n: sorted(t & remaining.keys()) for n, t in remaining.items()} }"
        remaining = {n: targets for n, targets in remaining.items() if n not in free}


# --- layers ---


def test_every_package_has_a_layer() -> None:
    """Each package and top-level module is in `LAYERS` exactly once."""
    names = [name for names in LAYERS.values() for name in names]
    assert len(names) == len(set(names))
    assert {package(name) for name in INNER} == set(names)


def test_imports_point_downwards() -> None:
    """No module imports a higher layer at run time."""
    upwards = [
        f"{name} imports {imported}"
        for name in INNER
        for imported in internal_imports(name)
        if layer(imported) > layer(name)
    ]
    assert not upwards


def test_no_module_imports_in_a_circle() -> None:
    """Run-time imports between modules have no circle, even inside functions."""
    assert_no_circle({name: internal_imports(name) for name in INNER})


def test_no_package_imports_in_a_circle() -> None:
    """Run-time imports between packages have no circle, even inside functions."""
    edges: dict[str, set[str]] = {package(name): set() for name in INNER}
    for name in INNER:
        edges[package(name)] |= {package(m) for m in internal_imports(name)} - {package(name)}
    assert_no_circle(edges)


def test_adapters_do_not_know_the_settings() -> None:
    """Adapters take plain values; they do not import `config`, not even for typing."""
    adapters = [n for n in INNER if layer(n) == ORDER.index("adapters") and package(n) != "config"]
    assert not [n for n in adapters if "config" in {package(m) for m in internal_imports(n, typing=True)}]


def test_the_pipeline_imports_no_adapter() -> None:
    """At run time the pipeline imports no adapter except `llm.prompts` and `llm.protocol`."""
    adapters = ORDER.index("adapters")
    violations = [
        f"{name} imports {module}"
        for name in INNER
        if layer(name) == ORDER.index("pipeline")
        for module in internal_imports(name)
        if layer(module) == adapters and module not in {"llm.prompts", "llm.protocol"}
    ]
    assert not violations


def test_only_the_app_layer_sees_settings_and_library() -> None:
    """Only the app layer, and layers above it, import both `config` and `library` at run time."""
    both = {n for n in INNER if {"config", "library"} <= {package(m) for m in internal_imports(n)}}
    assert not [n for n in both if layer(n) < ORDER.index("app")]


def test_every_layer_is_used() -> None:
    """Each layer is imported by a higher one."""
    for lower, higher in pairwise(range(len(ORDER))):
        above = [n for n in INNER if layer(n) >= higher]
        assert any(layer(m) == lower for n in above for m in internal_imports(n)), ORDER[lower]


# --- libraries ---


@pytest.mark.parametrize("library", ONLY_IN)
def test_each_library_is_imported_in_few_places(library: str) -> None:
    """A third-party library is imported only where `ONLY_IN` allows it."""
    users = {n for n in INNER if library in {i.split(".")[0] for i in imports(modules()[n], typing=False)}}
    allowed = ONLY_IN[library]
    assert not {n for n in users if n not in allowed and package(n) not in allowed}
    assert users, f"{library} is not imported; remove it from ONLY_IN"


def test_the_environment_is_read_in_few_places() -> None:
    """Settings come from `config.loading`; three modules set variables for libraries."""
    readers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}
    }
    assert readers <= {"config.loading", "cli.main", "llm.pricing", "embedding.ray_job"}


def test_heavy_libraries_are_imported_inside_functions() -> None:
    """Only the modules in `HEAVY_AT_THE_TOP` import a heavy library at their top."""
    for name in INNER:
        top_level = [n for n in modules()[name].body if isinstance(n, (ast.Import, ast.ImportFrom))]
        libraries = {i.split(".")[0] for n in top_level for i in imports(ast.Module([n], []))}
        assert libraries & HEAVY <= HEAVY_AT_THE_TOP.get(name, frozenset()), name


def run_python(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "code",
    [
        "import paperagent; paperagent.__version__; dir(paperagent); paperagent.StoreError",
        "from paperagent.cli.main import main; main(['--help'])",
        "from paperagent.cli.main import main; main(['--version'])",
        "import paperagent.__main__",
    ],
)
def test_importing_and_printing_help_load_nothing_heavy(code: str) -> None:
    result = run_python(
        f"import sys\ntry:\n    {code}\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print(sorted({set(HEAVY)!r} & sys.modules.keys()), file=sys.stderr)"
    )
    assert (result.returncode, result.stderr.strip()) == (0, "[]")


def test_asking_by_keywords_loads_no_model_and_no_chroma(tmp_path: Path) -> None:
    result = run_python(
        "import sys\nfrom paperagent import PaperAgent\nfrom paperagent.feeds.reader import sample_path\n"
        "with PaperAgent(sys.argv[1], embedder='none', mode='extractive') as agent:\n"
        "    agent.ingest(sample_path())\n    assert agent.ask('What is Quorvex?').citations\n"
        "heavy = {'chromadb', 'onnxruntime', 'tokenizers', 'openai', 'rich', 'prompt_toolkit', 'click'}\n"
        "print(sorted(heavy & sys.modules.keys()))",
        str(tmp_path / "library"),
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_importing_the_agent_is_cheap() -> None:
    """`agent` imports the modules that read feeds or answer questions only when they are needed."""
    result = run_python(
        "import sys, paperagent.agent\n"
        "late = ('paperagent.feeds', 'paperagent.retrieval', 'paperagent.answering', 'paperagent.digest')\n"
        "print([m for m in sys.modules if m.startswith(late)])"
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


# --- the public names ---


def test_all_lists_the_public_names() -> None:
    """`__all__` is sorted and complete, and no other name can be imported."""
    assert list(paperagent.__all__) == sorted(paperagent.__all__)
    assert all(getattr(paperagent, name) is not None for name in paperagent.__all__)
    assert set(dir(paperagent)) == set(paperagent.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        paperagent.nonsense  # noqa: B018 - the access must fail
    scope: dict[str, object] = {}
    exec("from paperagent import *", scope)  # noqa: S102 - the statement is the test
    assert set(paperagent.__all__) <= scope.keys()


def test_every_public_name_is_documented() -> None:
    """Each exported class and function has a docstring, and so has each public method."""
    undocumented = []
    for name in set(paperagent.__all__) - {"__version__"}:
        exported = getattr(paperagent, name)
        assert getattr(sys.modules[exported.__module__], name) is exported
        undocumented += [] if exported.__doc__ else [name]
        if isinstance(exported, type) and not issubclass(exported, BaseException):
            undocumented += [
                f"{name}.{method}"
                for method, value in vars(exported).items()
                if inspect.isfunction(value) and not method.startswith("_") and not value.__doc__
            ]
    assert not undocumented


def test_the_version_matches_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == paperagent.__version__


# --- style ---


def test_modules_are_short() -> None:
    """Only the modules in `LONG` have more than `MAX_LINES` lines."""
    sizes = {n: len(_path(n).read_text(encoding="utf-8").splitlines()) for n in modules()}
    assert not {n: size for n, size in sizes.items() if size > MAX_LINES and n not in LONG}
    assert LONG.keys() <= sizes.keys()


def _path(name: str) -> Path:
    base = SOURCE if name == FRONT else SOURCE.joinpath(*name.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def test_every_module_has_a_docstring() -> None:
    assert not [name for name, tree in modules().items() if not ast.get_docstring(tree)]


def test_names_say_what_they_hold() -> None:
    """No variable, parameter, function or class has one of the `BANNED_NAMES`."""
    violations = []
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            elif isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                name = node.name
            else:
                continue
            if name.strip("_").lower() in BANNED_NAMES and f"{module}:{name}" not in BANNED_EXCEPTIONS:
                violations.append(f"{module}, line {node.lineno}: {name}")
    assert not violations


def test_functions_have_at_most_five_positional_parameters() -> None:
    """Not counting ``self`` and ``cls``; further parameters are keyword-only."""
    violations = []
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
                if len([p for p in parameters if p not in {"self", "cls"}]) > 5:
                    violations.append(f"{module}.{node.name}")
    assert not violations
