"""What a person may pass to `PaperAgent`, checked; every fault is an InputError that names the argument."""

from __future__ import annotations

import datetime as dt
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from paperagent.errors import InputError, visible
from paperagent.types import AskMode, Filters

if TYPE_CHECKING:
    from paperagent.answering.answer_config import Effort
    from paperagent.answering.claims import Policy
    from paperagent.answering.judge import JudgeWhen
    from paperagent.library.shard import Shard

_Function = TypeVar("_Function", bound=Callable[..., Any])

Day = dt.date | str | None
"""A day, ``YYYY-MM-DD``, an aware datetime (its UTC day counts), or none."""
MAX_K = 100
_ACL = re.compile(
    r"\s*(?:https?://(?:www\.)?aclanthology\.org/|acl:\s*)?"
    r"([0-9]{4}\.[a-z0-9]+-[a-z0-9]+\.[0-9]+|[a-z][0-9]{2}-[0-9]{4,5})(?:\.pdf|/)?\s*",
    re.IGNORECASE | re.ASCII,
)
"""An id of the ACL Anthology, bare or as an address: ``2024.acl-long.1``, ``P19-1001``."""


class AskOptions(TypedDict, total=False):
    """The options of a question. Each may be left out; None leaves it to the settings."""

    history: Iterable[Any] | None
    """The earlier turns, oldest first, as ``(question, answer)`` pairs or Answers."""
    k: int | None
    """The number of papers retrieved, 1 to 100."""
    since: Day
    """Only papers of this day or later."""
    until: Day
    """Only papers of this day or earlier."""
    category: str | None
    """Only papers of this category, such as ``cs.CL``, or archive, such as ``cs``."""
    source: str | None
    """Only papers from this feed, such as ``daily-papers``."""
    mode: AskMode | None
    """``extractive`` quotes sentences; ``select`` quotes a model's choice; ``llm`` has a model write."""
    model: str | None
    """The model to use."""
    effort: Effort | None
    """``fast`` forbids a second search; ``deep`` splits the question into several searches first."""
    max_cost: float | None
    """US dollars; a call that could cost more is refused."""
    unsupported: Policy | None
    """What happens to claims that fail their check: ``withhold``, ``mark`` or ``repair``."""
    judge: JudgeWhen | bool | None
    """When a second reader judges the claims: ``auto`` (if one is unverified), ``always`` or ``never``."""
    cache: bool | None
    """Whether an earlier reply to the same call is reused."""
    fallback: bool
    """Whether to quote sentences where the model gives no answer (the default) or raise its error."""


class UnknownOptionError(InputError, TypeError):
    """An option of a question that does not exist."""


def check_names(options: Mapping[str, object]) -> None:
    """Refuse an option that is not in `AskOptions`, and name the nearest one."""
    known = list(AskOptions.__annotations__)
    for name in options:
        if name not in known:
            close = " or ".join(f"'{other}'" for other in difflib.get_close_matches(name, known, n=2))
            hint = f"did you mean {close}?" if close else f"options: {', '.join(known)}"
            raise UnknownOptionError(f"ask: unknown option '{visible(name, limit=40)}'; {hint}")


def shows_options(function: _Function) -> _Function:
    """Make `help` show each option of `AskOptions` for a ``function`` that takes them as ``**options``."""
    signature = inspect.signature(function)
    *named, _ = signature.parameters.values()
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind.__forward_arg__)
        for name, kind in AskOptions.__annotations__.items()
    ]
    function.__signature__ = signature.replace(parameters=[*named, *options])  # type: ignore[attr-defined]
    return function


def home(home: str | Path | None) -> Path | None:
    """Return the folder as an absolute path."""
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


def paper_ids(given: str) -> list[str]:
    """Return the ids that a text may mean: itself, and the arXiv id, DOI or ACL id that it is written for."""
    from paperagent.feeds import ids

    if not isinstance(given, str):
        raise InputError(f"paper_id: must be str, got {type(given).__name__}")
    arxiv, doi, acl = ids.parse_arxiv_id(given), ids.parse_doi(given), _ACL.fullmatch(given)
    known = [*([arxiv.id] if arxiv else []), *([f"doi:{doi}"] if doi else [])]
    return list(dict.fromkeys([given, *known, *(_acl_ids(acl[1]) if acl else [])]))


def _acl_ids(name: str) -> list[str]:
    """Return what a paper of the Anthology may be called here; other feeds know it by its DOI."""
    name = name.lower() if name[0].isdigit() else name.upper()
    return [f"acl:{name}", f"doi:10.18653/v1/{name.lower()}"]


def sources(given: str | Path | Iterable[str | Path]) -> list[str | Path]:
    """Return the feeds to read: one, or several in their order."""
    listed = given if isinstance(given, Iterable) and not isinstance(given, (str, bytes)) else [given]
    found = list(listed)
    if not found:
        raise InputError("ingest: no source; name a feed file, or - for standard input")
    for source in found:
        if not isinstance(source, (str, Path)):
            raise InputError(f"ingest: a source must be str or Path, got {type(source).__name__}")
    return found


def answer_mode(mode: AskMode | None) -> AskMode | None:
    """Return the mode if it is one."""
    if mode in (None, "extractive", "select", "llm"):
        return mode
    raise InputError(f"mode: must be extractive, select or llm, got {visible(str(mode), limit=40)}")


def shard(text: str | None) -> Shard | None:
    """Return the share that ``I/N`` names."""
    if text is None:
        return None
    from paperagent.library.shard import Shard

    return Shard.parsed(str(text))


def top_k(k: object) -> int:
    """Return a number of papers, 1 to 100."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise InputError(f"k: must be int, got {type(k).__name__}")
    if not 1 <= k <= MAX_K:
        raise InputError(f"k: must be 1..{MAX_K}, got {k}")
    return k


def ids(given: Iterable[str]) -> list[str]:
    """Return the ids of the papers to summarise, each once."""
    listed = [given] if isinstance(given, str) else list(given)
    if not listed:
        raise InputError("ids: none given; name at least one paper")
    if len(listed) > MAX_K:
        raise InputError(f"ids: must be 1..{MAX_K}, got {len(listed):,}")
    if any(not isinstance(i, str) for i in listed):
        raise InputError("ids: must be texts")
    return list(dict.fromkeys(listed))


def filters(since: Day, until: Day, category: str | None, source: str | None) -> Filters:
    """Return the filters of a search; an empty or future range is refused."""
    for name, value in (("category", category), ("source", source)):
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise InputError(f"{name}: must be a non-empty text")
    first, last = day(since, "since"), day(until, "until")
    if first and last and first > last:
        raise InputError(f"since: {first} is after until {last}; the range is empty")
    if first and first > today() + dt.timedelta(days=1):
        raise InputError(f"since: {first} is in the future; nothing can match")
    return Filters(first, last, category, source)


def day(value: Day, name: str) -> dt.date | None:
    """Return a day; an aware datetime counts by its UTC day, a naive one is refused."""
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
        shown = visible(str(value), limit=40)
        raise InputError(f"{name}: {shown} is not a date; write YYYY-MM-DD") from None


def check_llm_options(
    model: str | None, effort: str | None, max_cost: float | None, unsupported: str | None
) -> None:
    """Refuse a model, effort or limit that cannot be meant."""
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


def judge(given: JudgeWhen | bool | None) -> JudgeWhen | None:  # noqa: FBT001 - an option that was a flag once
    """Return when a second reader is asked; True and False stand for always and never."""
    if isinstance(given, bool):
        return "always" if given else "never"
    if given in (None, "auto", "always", "never"):
        return given
    raise InputError(f"judge: must be auto, always or never, got {visible(str(given), limit=40)}")


def today() -> dt.date:
    """Return the day, UTC."""
    return dt.datetime.now(dt.UTC).date()
