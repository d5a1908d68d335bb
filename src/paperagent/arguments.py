"""Check the arguments of `PaperAgent`. Every error is an InputError that names the argument."""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

from paperagent.errors import InputError, visible
from paperagent.types import AskMode, Filters

if TYPE_CHECKING:
    from paperagent.answering.answer_config import Effort
    from paperagent.answering.claims import Policy
    from paperagent.answering.judge import JudgeWhen
    from paperagent.library.protocol import ListSort, Shard

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

Day = dt.date | str | None
"""A date, a string ``YYYY-MM-DD``, an aware datetime (its day in UTC), or None."""
MAX_K = 100
"""The maximum number of papers of a search or an overview."""
_ACL = re.compile(
    r"\s*(?:https?://(?:www\.)?aclanthology\.org/|acl:\s*)?"
    r"([0-9]{4}\.[a-z0-9]+-[a-z0-9]+\.[0-9]+|[a-z][0-9]{2}-[0-9]{4,5})(?:\.pdf|/)?\s*",
    re.IGNORECASE | re.ASCII,
)
"""An id of the ACL Anthology, alone or in a URL: ``2024.acl-long.1``, ``P19-1001``."""


LIST_SORTS = ("newest", "oldest", "title", "upvotes")
_EXCLUSION = re.compile(r"""(?<!\S)-(?:["“”]([^"“”]+)["“”]|([^\W\d_][\w'’-]*))(?!\S)""")
_MAX_NAME_LENGTH = 200
_MAX_EXCLUDED = 20


class AskOptions(TypedDict, total=False):
    """The options of a question. All are optional; None means the value from the settings."""

    history: Iterable[Any] | None
    """The earlier turns of the conversation, oldest first: ``(question, answer)`` pairs or Answers."""
    k: int | None
    """The number of papers to retrieve, 1 to 100."""
    since: Day
    """The first day of publication, inclusive."""
    until: Day
    """The last day of publication, inclusive."""
    category: str | None
    """A category such as ``cs.CL``, or an archive such as ``cs``."""
    source: str | None
    """The feed that the papers come from, such as ``daily-papers``."""
    author: str | None
    """An author, such as ``Henderson`` or ``P. Henderson``."""
    exclude: str | Iterable[str] | None
    """Words or phrases that title and abstract must not contain."""
    ids: str | Iterable[str] | None
    """The only papers to answer from, with ids as for `PaperAgent.get`."""
    mode: AskMode | None
    """``extractive`` quotes sentences, ``select`` quotes sentences that a model chooses, ``llm`` lets a model
    write the answer."""
    model: str | None
    """The name of the model."""
    effort: Effort | None
    """``fast`` allows one search; ``deep`` first splits the question into several searches."""
    max_cost: float | None
    """The maximum cost in US dollars; a call that could exceed it is not made."""
    unsupported: Policy | None
    """What to do with claims that fail verification: ``withhold``, ``mark`` or ``repair`` them."""
    judge: JudgeWhen | bool | None
    """When an LLM judges the claims: ``auto`` (if one is unverified), ``always`` or ``never``."""
    cache: bool | None
    """Whether replies of the model may come from the cache."""
    fallback: bool
    """Whether to quote sentences if the model gives no answer (the default), or else raise its error."""


class UnknownOptionError(InputError, TypeError):
    """`ask` was called with an option that does not exist."""


def check_names(options: Mapping[str, object]) -> None:
    """Raise UnknownOptionError for a name that is not in `AskOptions`, and suggest similar ones."""
    names = list(AskOptions.__annotations__)
    for name in options:
        if name not in names:
            similar = " or ".join(f"'{other}'" for other in difflib.get_close_matches(name, names, n=2))
            hint = f"did you mean {similar}?" if similar else f"options: {', '.join(names)}"
            raise UnknownOptionError(f"ask: unknown option '{visible(name, limit=40)}'; {hint}")


def shows_options(function: _Function) -> _Function:
    """Decorate a function that takes `AskOptions` as ``**options`` so that `help` lists each option."""
    signature = inspect.signature(function)
    *named, _ = signature.parameters.values()
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind.__forward_arg__)
        for name, kind in AskOptions.__annotations__.items()
    ]
    function.__signature__ = signature.replace(parameters=[*named, *options])  # type: ignore[attr-defined]
    return function


def renamed(
    **aliases: str,
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Decorate a function so that it accepts former names of keyword arguments (former name=name)."""

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @functools.wraps(function)
        def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            for alias in aliases.keys() & kwargs.keys():
                kwargs[aliases[alias]] = kwargs.pop(alias)
            return function(*args, **kwargs)

        return call

    return decorate


def home(home: str | Path | None) -> Path | None:
    """Return the library's folder as an absolute path."""
    if home is None:
        return None
    if not isinstance(home, (str, Path)):
        raise InputError(f"home: must be str or Path, got {type(home).__name__}")
    text = str(home)
    if not text.strip():
        raise InputError("home: path is empty; name the library's folder")
    if "\0" in text:
        raise InputError("home: path contains NUL; name the library's folder")
    return Path(text).expanduser().absolute()


def paper_ids(paper_id: str) -> list[str]:
    """Return the ids that ``paper_id`` may mean: itself, and the arXiv id, DOI or ACL id in it."""
    from paperagent.feeds import ids

    if not isinstance(paper_id, str):
        raise InputError(f"paper_id: must be str, got {type(paper_id).__name__}")
    arxiv, doi, acl = ids.parse_arxiv_id(paper_id), ids.parse_doi(paper_id), _ACL.fullmatch(paper_id)
    candidates = [paper_id]
    if arxiv:
        candidates.append(arxiv.id)
    if doi:
        candidates.append(f"doi:{doi}")
    if acl:
        candidates += _acl_ids(acl[1])
    return list(dict.fromkeys(candidates))


def _acl_ids(name: str) -> list[str]:
    """Return the ids that an Anthology paper may have in the library; other feeds give its DOI."""
    name = name.lower() if name[0].isdigit() else name.upper()
    return [f"acl:{name}", f"doi:10.18653/v1/{name.lower()}"]


def sources(sources: str | Path | Iterable[str | Path]) -> list[str | Path]:
    """Return the feeds to read as a list."""
    is_single = isinstance(sources, (str, bytes)) or not isinstance(sources, Iterable)
    feeds: list[Any] = [sources] if is_single else list(sources)  # type: ignore[arg-type]
    if not feeds:
        raise InputError("ingest: no source; name a feed file, or - for standard input")
    for source in feeds:
        if not isinstance(source, (str, Path)):
            raise InputError(f"ingest: a source must be str or Path, got {type(source).__name__}")
    return feeds


def answer_mode(mode: AskMode | None) -> AskMode | None:
    """Return ``mode`` if it is valid."""
    if mode in (None, "extractive", "select", "llm"):
        return mode
    raise InputError(f"mode: must be extractive, select or llm, got {visible(str(mode), limit=40)}")


def shard(text: str | None) -> Shard | None:
    """Return the share of the papers that the text ``I/N`` describes."""
    if text is None:
        return None
    from paperagent.library.protocol import Shard

    return Shard.parse(str(text))


def top_k(k: object) -> int:
    """Return a number of papers from 1 to `MAX_K`."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise InputError(f"k: must be int, got {type(k).__name__}")
    if not 1 <= k <= MAX_K:
        raise InputError(f"k: must be 1..{MAX_K}, got {k}")
    return k


def ids(ids: str | Iterable[str], *, limit: int | None = MAX_K) -> list[str]:
    """Return the ids of the papers to summarize or remove, without duplicates."""
    if not isinstance(ids, Iterable):
        raise InputError(f"ids: must be str or a list of str, got {type(ids).__name__}")
    paper_ids = [ids] if isinstance(ids, str) else list(ids)
    if not paper_ids:
        raise InputError("ids: none given; name at least one paper")
    if limit is not None and len(paper_ids) > limit:
        raise InputError(f"ids: must be 1..{limit}, got {len(paper_ids):,}")
    if any(not isinstance(paper_id, str) for paper_id in paper_ids):
        raise InputError("ids: must be strings")
    return list(dict.fromkeys(paper_ids))


def is_text(text: str) -> bool:
    """Return whether ``text`` can be looked up in a library: it is valid Unicode without NUL."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def at_least_one(value: object, name: str) -> int:
    """Return ``value`` if it is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name}: must be int, got {type(value).__name__}")
    if value < 1:
        raise InputError(f"{name}: must be at least 1, got {value}")
    return value


def list_sort(sort: ListSort) -> ListSort:
    """Return ``sort`` if it is a valid order of a list."""
    if sort in LIST_SORTS:
        return sort
    raise InputError(f"sort: must be {', '.join(LIST_SORTS)}, got {visible(str(sort), limit=40)}")


def split_exclusions(query: str, filters: Filters) -> tuple[str, Filters]:
    """Return a query without its excluded words (``-word``, ``-"two words"``), and the filters with them.

    A hyphen excludes a word only after a space and before a letter or a quotation mark, so not in "few-shot".

    Raises:
        InputError: The query has only excluded words.
    """
    excluded = tuple(match[1] or match[2] for match in _EXCLUSION.finditer(query))
    text = " ".join(_EXCLUSION.sub(" ", query).split())
    if excluded and not any(map(str.isalnum, text)):
        raise InputError("query: has only excluded words; add words to search for")
    if not excluded:
        return query, filters
    return text, replace(filters, exclude=(*filters.exclude, *excluded))


def filters(
    since: Day,
    until: Day,
    category: str | None,
    source: str | None,
    *,
    author: str | None = None,
    exclude: str | Iterable[str] | None = (),
) -> Filters:
    """Return the filters of a search; raise InputError for an empty or future range of days."""
    for name, value in (("category", category), ("source", source), ("author", author)):
        if value is not None and not (isinstance(value, str) and value.strip() and is_text(value)):
            raise InputError(f"{name}: must be a non-empty string")
    if author and (len(author) > _MAX_NAME_LENGTH or not any(map(str.isalpha, author))):
        raise InputError(f"author: {visible(author, limit=40)} is not a name; write it like P. Henderson")
    first, last = day(since, "since"), day(until, "until")
    if first and last and first > last:
        raise InputError(f"since: {first} is after until {last}; the range is empty")
    if first and first > today(dt.UTC) + dt.timedelta(days=1):  # east of UTC, tomorrow may have begun
        raise InputError(f"since: {first} is in the future; nothing can match")
    return Filters(first, last, category, source, author, _excluded(exclude))


def day_filters(
    since: Day, until: Day, category: str | None, source: str | None, author: str | None
) -> Filters:
    """Return the filters of a list by day, whose range of days may be empty or in the future."""
    others = filters(None, None, category, source, author=author)
    return replace(others, since=day(since, "since"), until=day(until, "until"))


def _excluded(exclude: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the words and phrases to exclude; raise InputError for one without an indexed word."""
    if exclude is not None and not isinstance(exclude, Iterable):
        raise InputError(f"exclude: must be str or a list of str, got {type(exclude).__name__}")
    phrases = [exclude] if isinstance(exclude, str) else list(exclude or ())
    if not phrases:
        return ()
    from paperagent.text.terms import index_terms

    if len(phrases) > _MAX_EXCLUDED:
        raise InputError(f"exclude: at most {_MAX_EXCLUDED} words or phrases, got {len(phrases):,}")
    for phrase in phrases:
        if not (isinstance(phrase, str) and is_text(phrase) and 0 < len(phrase.strip()) <= _MAX_NAME_LENGTH):
            raise InputError("exclude: must be words or short phrases")
        if not index_terms(phrase):
            raise InputError(
                f"exclude: {visible(phrase, limit=40)} is too common to exclude; give another word"
            )
    return tuple(dict.fromkeys(phrases))


def day(value: Day, name: str) -> dt.date | None:
    """Return a day. An aware datetime is converted to its day in UTC; a naive one is refused."""
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise InputError(f"{name}: timezone missing; pass a date or an aware datetime")
        return value.astimezone(dt.UTC).date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        text = visible(str(value), limit=40)
        raise InputError(f"{name}: {text} is not a date; write YYYY-MM-DD") from None


def check_llm_options(
    model: str | None, effort: str | None, max_cost: float | None, unsupported: str | None
) -> None:
    """Raise InputError for a model, effort, cost limit or policy that cannot be used."""
    if model is not None and (not isinstance(model, str) or not model.strip()):
        raise InputError("model: is empty; name a model")
    if effort not in (None, "fast", "deep"):
        raise InputError(f"effort: must be fast or deep, got {visible(str(effort), limit=40)}")
    if unsupported not in (None, "withhold", "mark", "repair"):
        raise InputError(
            f"unsupported: must be withhold, mark or repair, got {visible(str(unsupported), limit=40)}"
        )
    if max_cost is not None and not (isinstance(max_cost, (int, float)) and 0 <= max_cost < float("inf")):
        raise InputError("max_cost: must be a number of US dollars, 0 or more")


def judge(judge: JudgeWhen | bool | None) -> JudgeWhen | None:  # noqa: FBT001 - a flag in earlier versions
    """Return when an LLM judges the claims; True means always, False means never."""
    if isinstance(judge, bool):
        return "always" if judge else "never"
    if judge in (None, "auto", "always", "never"):
        return judge
    raise InputError(f"judge: must be auto, always or never, got {visible(str(judge), limit=40)}")


def today(zone: dt.tzinfo | None = None) -> dt.date:
    """Return the current day in a time zone; None stands for the system's."""
    return dt.datetime.now(dt.UTC).astimezone(zone).date()
