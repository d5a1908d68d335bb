"""The slash commands of the chat, and completion of their names and arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent import arguments
from paperagent.errors import InputError, PaperAgentError, visible
from paperagent.layout import counted, hit_blocks, paper_blocks, row_blocks, source_blocks, transcript
from paperagent.retrieval.conversation import numbers_papers
from paperagent.text.sanitize import safe_json
from paperagent.text.spelling import nearest_name
from paperagent.types import Answer, Hit, Paper
from paperagent.ui.clipboard import copy_text

if TYPE_CHECKING:
    from paperagent.ui.chat import Chat

EFFORTS = ("fast", "normal", "deep")
MAX_MODEL_NAME = 200
LIST_SIZE = 20
"""The number of papers that /list shows at a time."""
COMMANDS = {
    "/help": "show this list",
    "/sources": "show the sources of the last answer with their quotes",
    "/open N": "show paper N of the last answer or list",
    "/retry": "ask the last question again, with the current filters, model and effort",
    "/copy": "copy the last answer to the clipboard",
    "/list [FILTER…]": "list papers, newest first; /list more shows the next ones",
    "/filter [FILTER…]": "show or set filters: since= until= category= author= not= source=, or off",
    "/summarize [TOPIC]": "summarize the papers on a topic, or those of the last answer",
    "/new": "start a new conversation (also /clear)",
    "/model [NAME]": "show or change the model",
    "/effort [LEVEL]": "show or change the effort: fast, normal or deep",
    "/cost": "show calls, tokens and cost",
    "/good [NOTE]": "rate the last answer as right, for 'paperagent eval cases add'",
    "/bad [NOTE]": "rate the last answer as wrong",
    "/save FILE": "save the conversation as Markdown, or the last answer if FILE ends in .json",
    "/quit": "quit (also Ctrl-D)",
}
_NAMES = tuple(command.partition(" ")[0] for command in COMMANDS)
FILTERS = {name: name for name in ("since", "until", "category", "source", "author")} | {"not": "exclude"}
"""The name of a filter in /filter and /list → the option of `PaperAgent.ask`."""
_FILTER = re.compile(r"(\w+)=")
_NO_MODEL = (
    "no model is configured, so answers are quoted; set OPENAI_API_KEY or OPENAI_BASE_URL and restart chat"
)


@dataclass(slots=True)
class ChatCommands:
    """Runs the slash commands of one chat session."""

    chat: Chat
    repeat: Callable[[], None] | None = None
    """Asks the last question again, or summarizes the last topic."""
    listing: list[Paper] = field(default_factory=list)
    """The papers that /list has shown since the last answer."""
    list_filters: dict[str, Any] = field(default_factory=dict)
    """The filters of that list."""

    def run(self, line: str) -> bool:
        """Run a command; return False if the session should end."""
        name, _, argument = line.partition(" ")
        if name in {"/quit", "/exit", "/q"}:
            return False
        commands: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/sources": self._sources,
            "/open": self._open,
            "/retry": self._retry,
            "/copy": self._copy,
            "/list": self._list,
            "/filter": self._filter,
            "/summarize": self._summarize,
            "/new": self._new,
            "/clear": self._new,
            "/model": self._model,
            "/effort": self._effort,
            "/cost": self._cost,
            "/good": partial(self._rate, good=True),
            "/bad": partial(self._rate, good=False),
            "/save": self._save,
        }
        command = commands.get(name)
        if command is None:
            self._unknown(name)
            return True
        try:
            command(argument.strip())
        except PaperAgentError as error:
            self.chat.print_error(error)
        return True

    def before_answer(self, repeat: Callable[[], None]) -> None:
        """Store how to repeat the next answer, to which the numbers of /open then refer."""
        self.repeat, self.listing = repeat, []

    def _unknown(self, name: str) -> None:
        near = nearest_name(name[1:], [name[1:] for name in (*_NAMES, "/clear", "/exit")])
        unknown = f"unknown command {visible(name, limit=40)}"
        if near:
            self.chat.print_note(f"{unknown}; did you mean /{near}?")
        else:
            self.chat.print_note(f"{unknown}; to ask a question that starts with /, type //")
            self._help("")

    def _help(self, _argument: str) -> None:
        self.chat.screen.show(row_blocks(COMMANDS.items()))

    # --- the last answer ---

    def _sources(self, _argument: str) -> None:
        citations = self._last().citations
        if citations:
            self.chat.screen.show(source_blocks(citations, quotes=True))
        else:
            self.chat.print_note("the last answer has no sources")

    def _open(self, argument: str) -> None:
        number = argument.strip("[]#.")
        if self.listing:
            numbered = {str(n): paper for n, paper in enumerate(self.listing, 1)}
            paper = numbered.get(number)
            if paper is None:
                raise self._no_such("paper", argument, f"1 to {len(self.listing)}")
            self.chat.screen.show(paper_blocks(self.chat.agent.get(paper.paper_id), []))
            return
        last = self._numbered() or self._last()
        citation = next((c for c in last.citations if str(c.n) == number), None)
        if citation is not None:
            cited = [c for c in last.citations if c.paper_id == citation.paper_id]
            self.chat.screen.show(paper_blocks(self.chat.agent.get(citation.paper_id), cited))
        elif last.citations:
            raise self._no_such("source", argument, ", ".join(str(c.n) for c in last.citations))
        else:  # nearest papers and the papers of a library question are numbered by rank
            hit = next((h for h in last.hits if str(h.rank) == number), None)
            if hit is None:
                raise self._no_such("paper", argument, f"1 to {len(last.hits)}" if last.hits else "none")
            self.chat.screen.show(paper_blocks(self.chat.agent.get(hit.paper_id), []))

    def _numbered(self) -> Answer | None:
        """Return the last answer that numbers papers; a fact or a greeting after it does not."""
        answers = reversed(self.chat.history.answers)
        return next((a for a in answers if numbers_papers(a.kind, a.answer)), None)

    @staticmethod
    def _no_such(what: str, argument: str, valid: str) -> InputError:
        problem = f"no {what} {visible(argument, limit=20)}" if argument else f"no {what} number given"
        return InputError(f"/open: {problem}; {what}s: {valid}")

    def _retry(self, _argument: str) -> None:
        if self.repeat is None:
            raise InputError("/retry: no question yet; ask one first")
        self.listing = []
        retracted = self.chat.history.retract(self.chat.last_answer)
        self.repeat()
        if retracted and self.chat.last_answer is None:  # it failed, so the former answer is restored
            self.chat.history.turns.append(retracted)

    def _copy(self, _argument: str) -> None:
        self.chat.print_note(copy_text(str(self._last()), self.chat.screen))

    def _save(self, file: str) -> None:
        if not file:
            raise InputError("/save: no file name given; use /save FILE")
        last = self._last()
        if file.endswith(".json"):
            text = safe_json(last.to_dict()) + "\n"
        else:
            text = "".join(transcript(self.chat.history.answers))
        path = _write_new_file(file, text)
        self.chat.print_note(f"saved to {visible(str(path.absolute()))}", plain=True)

    def _rate(self, note: str, *, good: bool) -> None:
        last = self._last()
        if self.chat.feedback is None:
            raise InputError("/good, /bad: no feedback file in this session; use /save FILE.json")
        from paperagent.evals import feedback

        feedback.save_feedback(
            self.chat.feedback, last, self.chat.history.before_last(), good=good, note=note
        )
        self.chat.print_note("saved; 'paperagent eval cases add FILE' turns it into a test case")

    def _last(self) -> Answer:
        if self.chat.history.last is None:
            raise InputError("no answer yet; ask a question first")
        return self.chat.history.last

    # --- papers ---

    def _summarize(self, topic: str) -> None:
        if topic:
            options = (*FILTERS.values(), "model")
            self.chat.answer(topic, lambda: self.chat.agent.summarize(topic, **self._options(*options)))
            return
        last = self._last()
        ids = list(dict.fromkeys(c.paper_id for c in last.citations))
        if not ids and last.kind == "library":
            ids = [hit.paper_id for hit in last.hits[: arguments.MAX_K]]
        if not ids:
            raise InputError("/summarize: the last answer has no sources; use /summarize TOPIC")
        self.chat.answer(last.question, lambda: self.chat.agent.summarize(ids=ids, **self._options("model")))

    def _options(self, *names: str) -> dict[str, Any]:
        return {name: value for name, value in self.chat.options.items() if name in names}

    def _list(self, argument: str) -> None:
        if argument == "more":
            if not self.listing:
                raise InputError("/list more: no list yet; use /list")
        else:
            self.list_filters, self.listing = self._limits("/list", argument), []
        papers = self.chat.agent.list(limit=len(self.listing) + LIST_SIZE, **self.list_filters)
        first, self.listing = len(self.listing) + 1, papers
        hits = [Hit(paper, 0.0, n) for n, paper in enumerate(papers[first - 1 :], first)]
        self.chat.screen.show(replace(block, tight=True) for block in hit_blocks(hits, snippets=False))
        count = self.chat.agent.count(**self.list_filters)
        more = count - len(papers)
        end = f"; {more:,} more: /list more" if more > 0 else ""
        self.chat.print_note(f"{counted(count, 'paper')}{end}" if papers else "no papers")

    def _filter(self, argument: str) -> None:
        off = argument == "off"
        limits = dict.fromkeys(FILTERS.values()) if off else self._limits("/filter", argument)
        self.chat.options.update(limits)
        limited = {name: limits[option] for name, option in FILTERS.items() if limits[option]}
        active = ", ".join(f"{name}={visible(_filter_text(value))}" for name, value in limited.items())
        self.chat.print_note(f"filters: {active or 'none'}")

    def _limits(self, command: str, text: str) -> dict[str, Any]:
        """Return the filters of the session with the changes in ``text``, as `PaperAgent.ask` takes them.

        Raises:
            InputError: ``text`` cannot be parsed, or a value cannot be used.
        """
        limits = {option: self.chat.options.get(option) for option in FILTERS.values()}
        limits |= {FILTERS[name]: value for name, value in parse_filters(command, text).items()}
        arguments.filters(**limits)
        return limits

    # --- the session ---

    def _new(self, _argument: str) -> None:
        self.chat.start_conversation()
        self.repeat, self.listing = None, []
        self.chat.print_note("conversation cleared")

    def _model(self, argument: str) -> None:
        chat = self.chat
        if argument:
            current = self._require_model("/model")
            name = argument.strip("\"'")
            if not name or len(name) > MAX_MODEL_NAME or not name.isprintable() or " " in name:
                raise InputError(
                    f'/model: "{visible(argument, limit=40)}" is not a model name; '
                    f"keeping {visible(current) or 'none'}"
                )
            chat.model = chat.options["model"] = name
        if chat.model is None:
            chat.print_note(_NO_MODEL)
        elif chat.model:
            chat.print_note(f"model: {visible(chat.model)}")
        else:
            chat.print_note("no model selected; use /model NAME")

    def _effort(self, argument: str) -> None:
        level = self.chat.options.get("effort") or "normal"
        if argument:
            self._require_model("/effort")
            if argument not in EFFORTS:
                raise InputError(
                    f'/effort: "{visible(argument, limit=40)}" is not one of {", ".join(EFFORTS)}; '
                    f"keeping {level}"
                )
            level = argument
            self.chat.options["effort"] = None if argument == "normal" else argument
        self.chat.print_note(_NO_MODEL if self.chat.model is None else f"effort: {level}")

    def _require_model(self, command: str) -> str:
        if self.chat.model is None:
            raise InputError(f"{command}: {_NO_MODEL}")
        return self.chat.model

    def _cost(self, _argument: str) -> None:
        self.chat.screen.show(row_blocks(self.chat.usage.rows()))

    # --- completion ---

    def complete(self, line: str) -> list[str]:
        """Return the completions of the last word of a line; none for a question."""
        command, space, argument = line.partition(" ")
        if not line.startswith("/") or "\n" in line:
            return []
        if not space:
            names = (name + space for name, space, _ in (text.partition(" ") for text in COMMANDS))
            return [name for name in names if name.startswith(command)]
        word = argument.rpartition(" ")[2]
        return [value for value in self._values(command, argument) if value.startswith(word)]

    def _values(self, command: str, argument: str) -> Iterator[str]:
        if command == "/effort":
            yield from EFFORTS
        elif command == "/open":
            yield from self._numbers()
        elif command in {"/filter", "/list"}:
            word = argument.rpartition(" ")[2]
            name, equals, _ = word.partition("=")
            if equals:
                yield from (f"{name}={value}" for value in self._filter_values(name))
                return
            yield from (f"{name}=" for name in FILTERS)
            if word == argument:
                yield "off" if command == "/filter" else "more"
        elif command == "/save":
            yield from _file_names(argument)

    def _numbers(self) -> list[str]:
        last = self._numbered()
        if self.listing:
            return [str(n) for n in range(1, len(self.listing) + 1)]
        if last is None:
            return []
        return [str(c.n) for c in last.citations] or [str(h.rank) for h in last.hits]

    def _filter_values(self, name: str) -> list[str]:
        try:
            facets = self.chat.agent.facets() if name in {"category", "source"} else None
        except PaperAgentError:  # it is reported when a question is asked
            facets = None
        if facets is None:
            return []
        return list(facets.categories if name == "category" else facets.sources)


def parse_filters(command: str, text: str) -> dict[str, Any]:
    """Parse filters such as ``name=value name=value``. A value may contain spaces; an empty one is None.

    The value of ``not`` is a list of words or phrases separated by commas.

    Raises:
        InputError: The text cannot be parsed, or there is no such filter.
    """
    starts = list(_FILTER.finditer(text))
    form = f"use {command} {' '.join(f'{name}=…' for name in FILTERS)}"
    if text and (not starts or starts[0].start() > 0):
        raise InputError(f'{command}: "{visible(text, limit=40)}" is not a filter; {form}')
    limits: dict[str, Any] = {}
    for start, after in pairwise([*starts, None]):
        assert start is not None
        name = start[1].lower()
        if name not in FILTERS:
            near = nearest_name(name, FILTERS)
            hint = f"did you mean {near}=?" if near else form
            raise InputError(f"{command}: no filter {visible(name, limit=40)}; {hint}")
        value = text[start.end() : after.start() if after else None].strip().strip("\"'")
        limits[name] = value or None
        if name == "not" and value:
            limits[name] = tuple(word.strip() for word in value.split(",") if word.strip())
    return limits


def _filter_text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _file_names(text: str) -> Iterator[str]:
    """Yield the files and folders whose name begins with ``text``, each as its last word."""
    folder, _, start = text.rpartition("/")
    try:
        entries = sorted(Path(f"{folder}/" if "/" in text else ".").expanduser().iterdir())
    except (OSError, ValueError, RuntimeError):
        return
    typed = f"{folder}/" if "/" in text else ""
    prefix = typed.rpartition(" ")[2]
    for entry in entries:
        name = entry.name
        if name.startswith(start) and name.isprintable() and (start or not name.startswith(".")):
            yield f"{prefix}{name}{'/' if entry.is_dir() else ''}"


def _write_new_file(name: str, text: str) -> Path:
    """Write a file that must not exist yet, and return its path.

    Raises:
        InputError: The file exists or cannot be written.
    """
    path = Path(name)
    try:
        path = path.expanduser()
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"/save: {visible(name)} exists; choose another name") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"/save: cannot write {visible(name)}: {reason}; choose another place") from None
    return path
