"""Recognizes questions about the library itself, which are answered from the database, not from abstracts.

`classify` is a list of rules. Each rule must match the whole message, so a question that only begins like one
about the library ("how many papers does the survey cover?") matches none. Rules use only the words of the
message. If the library must decide, such as whether X in "the authors of X" is a paper, the intent is marked
``if_found``: without such a paper, the message is an ordinary question.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from paperagent.answering.library_questions import rules
from paperagent.answering.library_questions.canonical import MAX_LENGTH, canonical
from paperagent.answering.library_questions.intents import (
    Intent,
    IntentKind,
    Request,
    author_name,
    is_full_name,
    topic_name,
    with_conditions,
    with_limits,
    with_topic,
    without_limits,
)
from paperagent.answering.library_questions.languages import in_english
from paperagent.answering.library_questions.references import (
    LAST,
    MAX_TITLE_WORDS,
    PaperRef,
    is_name_like,
    parse_ref,
)
from paperagent.answering.library_questions.small_talk import small_talk, without_opening
from paperagent.answering.library_questions.wording import END_MARKS, plain, without_politeness, without_typos
from paperagent.types import Filters

_MAX_MENTION_WORDS, _MIN_TITLE_WORDS = 4, 3
_MENTION_WORDS, _MIN_NAME, _MIN_ABSENT_WORDS, _MAX_NEWS_WORDS = range(1, 5), 4, 4, 3


def classify(text: str, *, has_history: bool = False, today: dt.date | None = None) -> Intent | None:
    """Return the intent of a question about the library or of small talk; None for all other questions.

    Args:
        text: The message.
        has_history: Whether there are earlier answers, to which "it" may refer.
        today: The current day, for periods such as "this week".
    """
    if len(text) > MAX_LENGTH:
        return None
    today = today or dt.datetime.now(tz=dt.UTC).date()
    line = " ".join(unicodedata.normalize("NFC", text).split())
    for opened in dict.fromkeys((line, without_opening(line))):
        if opened in ("?", "??", "???", "？"):
            return Intent("help")
        intents = list(_readings(opened, today, has_history=has_history))
        if intents:
            return min(intents, key=lambda i: (i.if_found, i.if_found and i.kind == "paper"))
        if request := in_english(opened.strip(END_MARKS)):
            request = canonical(request)
            return Intent("help") if request == "help" else _library_intent(Request(request, False, today))
    return _whole_title(line, has_history=has_history)


def _readings(text: str, today: dt.date, *, has_history: bool) -> Iterator[Intent]:
    """Yield what a message may ask, as typed, in canonical words, and with typing errors corrected."""
    bare = without_politeness(text)
    for candidate in dict.fromkeys((text, bare, without_typos(bare))):
        if kind := small_talk(plain(candidate), has_history=has_history):
            yield Intent(kind)
        if candidate == text != bare:
            continue
        for wording in dict.fromkeys((canonical(candidate, has_history=has_history), candidate)):
            if intent := _library_intent(Request(wording, has_history, today)):
                yield intent


def is_goodbye(text: str) -> bool:
    """Return whether a message asks to end the session, such as ``quit`` or ``bye``."""
    return len(text) <= MAX_LENGTH and small_talk(plain(text), has_history=True) == "quit"


# --- rules ---


def _library_intent(request: Request) -> Intent | None:
    """Return the first intent whose rule matches the whole text."""
    if any(rule.fullmatch(request.text) for rule in rules.SIZE):
        asks_of_answer = request.has_history and rules.SIZE_OF_ANYTHING.fullmatch(request.text)
        return None if asks_of_answer else Intent("count")
    if rules.LIST_ALL.fullmatch(request.text):
        return Intent("list")
    about_papers = (_metadata, _contents) if request.has_history else (_contents, _metadata)
    first = (_oldest, _newest, _whats_new, _count, _count_in_other_words, _days_papers, _authors)
    last = (_existence, _about_paper, _similar, _overview, _which_papers, _papers, _paper)
    for make in (*first, *about_papers, _which_mention, _by_author, _contents_within, *last):
        if intent := make(request):
            return intent
    return None


def _count_in_other_words(request: Request) -> Intent | None:
    """Return the intent of "in how many papers is X mentioned"."""
    if match := rules.COUNT_PASSIVE.fullmatch(request.text):
        topic = topic_name(match["topic"] or match["times"])
        return Intent("count", topic=topic, mention=True) if topic else None
    rule = rules.COUNT_MENTIONING if request.has_history else rules.COUNT_OF_THEM
    if match := rules.COUNT_MENTIONING.fullmatch(request.text) or rule.fullmatch(request.text):
        topic = topic_name(match["topic"])
        return Intent("count", topic=topic, mention=True) if len(topic.split()) in _MENTION_WORDS else None
    return None


def _authors(request: Request) -> Intent | None:
    of_answer = request.has_history and rules.AUTHORS_OF_ANSWER.fullmatch(request.text)
    return Intent("authors") if rules.AUTHORS.fullmatch(request.text) and not of_answer else None


def _existence(request: Request) -> Intent | None:
    """Return the intent of asking for a paper: "do you have X", "is X in the library"."""
    match = rules.IS_HERE.fullmatch(request.text)
    is_here = match is not None
    if match is None and (match := rules.IN_HERE.fullmatch(request.text)):
        ref = parse_ref(match["ref"])
        is_paper = ref is not None and (ref.kind == "id" or (ref.kind == "title" and ref.certain))
        return Intent("existence", paper=ref) if is_paper else None
    if match is None:
        match = next((m for rule in rules.EXISTS if (m := rule.fullmatch(request.text))), None)
    ref = (
        parse_ref(re.sub(r"^(?:the )?(?:doi|arxiv(?: id)?|id)[: ]+(?=\S*\d)", "", match["ref"]))
        if match
        else None
    )
    if ref is None or ref.kind not in ("id", "title"):
        return None
    words = [w for w in ref.text.split() if w.lower() not in rules.SMALL_WORDS]
    lower = {w.lower().strip(",") for w in ref.text.split()}
    if ref.kind == "title" and not ref.certain:
        ref = replace(ref, text=re.sub(r"^the ", "", ref.text, flags=re.IGNORECASE))
        generic = lower & rules.GENERIC
        if (
            not words
            or (generic and not (is_here and len(words) >= _MIN_TITLE_WORDS))
            or rules.NO_TOPIC_START.match(ref.text)
        ):
            return None
        if re.match(r"(?:an?|any|some|to|there|much|many|more|enough|other)\b", ref.text, re.IGNORECASE):
            return None
        is_clause = not rules.CLAUSE_WORDS.isdisjoint(lower) and not ref.text.istitle()
        capitals = all(w[0].isupper() or w[0].isdigit() or is_name_like(w) for w in words)
        is_word = len(words) == 1 and len(words[0]) >= _MIN_NAME and not request.has_history
        asks_for_it = is_here or rules.EXISTS[0].fullmatch(request.text) or rules.GOT.match(request.text)
        certain = asks_for_it and not generic and (capitals or (is_here and not is_clause) or is_word)
        ref = replace(ref, certain=bool(certain) and len(ref.text.split()) <= MAX_TITLE_WORDS // 2)
    return Intent("existence", paper=ref, if_found=not ref.certain)


def _about_paper(request: Request) -> Intent | None:
    """Return the intent of "what is the X paper about": an overview of that paper, if there is one."""
    match = rules.ABOUT_PAPER.fullmatch(request.text)
    ref = parse_ref(rules.named_paper(match) or "") if match else None
    if (
        ref is None
        or ref.kind not in ("id", "title", "topic")
        or (ref.kind == "topic" and not topic_name(ref.text))
    ):
        return None
    return Intent("overview", paper=ref, if_found=ref.kind == "topic" or not ref.certain)


def _count(request: Request) -> Intent | None:
    match = rules.COUNT.fullmatch(request.text)
    if match is None:
        return None
    intent, remaining = with_limits(Intent("count"), match["rest"], request.today)
    if (match["new"] or "").strip().lower() in ("new", "recent", "newer", "latest") and not intent.filters:
        intent = replace(intent, kind="newest")
    if before := match["topic"].strip():
        if remaining or not rules.MODIFIED_NOUN.fullmatch(match["noun"]):
            return None
        if rules.IS_CATEGORY.fullmatch(before):
            return replace(intent, filters=replace(intent.filters, category=before))
        topic = topic_name(before)
        is_clause = before.lower().split()[-1] in rules.SMALL_WORDS  # "authors annotated the"
        return replace(intent, topic=topic) if topic and not is_clause else None
    if not (remaining or match["rest"].strip()) and rules.ALSO_IN_PAPERS.fullmatch(match["noun"]):
        return None  # "how many studies?" may be about a survey
    counted = with_conditions(intent, remaining, request, verbs=True)
    in_titles = counted and counted.mention and rules.TITLES.fullmatch(match["noun"])
    return replace(counted, text_field="title") if counted and in_titles else counted


def _oldest(request: Request) -> Intent | None:
    if match := rules.OLDEST.fullmatch(request.text):
        return with_conditions(Intent("list", sort="oldest"), match["rest"], request)
    return None


def _newest(request: Request) -> Intent | None:
    if not request.has_history and rules.NEWEST_ONE.fullmatch(request.text):
        return Intent("newest")
    match = rules.NEWEST.fullmatch(request.text)
    if match is None or rules.LAST_ONE.fullmatch(f"{match['adjective']} {match['noun']}"):
        return None
    intent, remaining = with_limits(Intent("newest"), match["rest"], request.today)
    if before := match["topic"].strip():
        if not remaining and rules.IS_CATEGORY.fullmatch(before):
            return replace(intent, filters=replace(intent.filters, category=before))
        topic = "" if remaining else topic_name(before)
        return replace(intent, topic=topic) if topic else None
    if remaining and not remaining.lower().startswith(rules.ABOUT):
        return None
    return with_conditions(intent, remaining, request)


def _whats_new(request: Request) -> Intent | None:
    match = rules.WHATS_NEW.fullmatch(request.text)
    if match is None:
        return None
    intent, remaining = with_limits(Intent("newest"), match["rest"], request.today)
    if not remaining or rules.NOTHING_MORE.fullmatch(remaining):
        return intent
    about = rules.NEW_ON.fullmatch(remaining)
    topic = topic_name(about["topic"]) if about else ""
    if about is None or not topic:
        return None
    if about["word"].lower() in ("on", "regarding", "concerning"):
        return replace(intent, topic=topic)
    if len(topic.split()) > _MAX_NEWS_WORDS:
        return None
    # "what is new in X" is a question about X if that is a name
    is_name = is_name_like(topic) or re.search(r"\d|[a-z][A-Z]", topic)
    return None if is_name else replace(intent, topic=topic, unless_title=True)


def _days_papers(request: Request) -> Intent | None:
    if match := rules.DAYS_PAPERS.fullmatch(request.text):
        return with_limits(Intent("list"), match["period"], request.today)[0]
    if match := rules.ANYTHING_IN_PERIOD.fullmatch(request.text):
        intent, remaining = with_limits(Intent("newest"), match["period"], request.today)
        return intent if not remaining else None
    if match := rules.CATEGORY_PAPERS.fullmatch(request.text):
        intent = Intent("list", filters=Filters(category=match["category"]))
        return with_conditions(intent, match["rest"], request)
    return None


def _contents(request: Request) -> Intent | None:
    for rule in rules.CONTENTS:
        if match := rule.fullmatch(request.text):
            limited, remaining = with_limits(
                Intent("contents"), match.groupdict().get("rest") or "", request.today
            )
            if not remaining:
                by_person = limited.author == "same" or is_full_name(limited.author)
                return limited if by_person else replace(limited, author="")  # "topics by frequency"
    if not request.has_history and any(
        rule.fullmatch(request.text) for rule in rules.CONTENTS_WITHOUT_HISTORY
    ):
        return Intent("contents")
    return None


def _contents_within(request: Request) -> Intent | None:
    """Return the intent of a question about a part of the library: "what is in the library since May"."""
    text = request.text
    for end in (len(text), *(match.start() for match in re.finditer(r"\s+", text))):
        limited, before = without_limits(Intent("contents"), text[:end], request.today)
        if before == text[:end] or limited.author:
            continue
        within = _contents(replace(request, text=f"{before}{text[end:]}"))
        if within is not None and within == Intent("contents"):
            return limited
    return None


def _by_author(request: Request) -> Intent | None:
    for rule in rules.BY_AUTHOR:
        if match := rule.fullmatch(request.text):
            intent, name = with_limits(Intent("list"), match["name"], request.today)
            topic = ""
            if on := rules.AUTHOR_ON.fullmatch(name):
                name, topic = on["name"], topic_name(on["topic"])
            if author := author_name(name):
                certain = author == "same" or rule is rules.BY_AUTHOR[0] or is_full_name(author)
                return replace(intent, author=author, topic=topic, if_found=not certain)
    return None


def _metadata(request: Request) -> Intent | None:
    for field, rule in rules.FIELD_RULES:
        match = rule.fullmatch(request.text)
        if match is None:
            continue
        named = rules.named_paper(match)
        if named is None and not request.has_history and rules.ALSO_A_TOPIC.fullmatch(request.text):
            return None
        ref = parse_ref(named) if named else LAST
        if rules.SOURCES.fullmatch(request.text):
            ref = PaperRef("all")
        if ref is not None and not (ref.kind == "topic" and not topic_name(ref.text)):
            kind: IntentKind = "paper" if field == "abstract" else "metadata"
            is_name = (
                ref.kind == "title" and len(ref.text.split()) in _MENTION_WORDS and ref.text[0].isupper()
            )
            certain = ref.certain or (is_name and rules.ONLY_OF_PAPERS.fullmatch(request.text))
            return Intent(kind, paper=ref, field=field, if_found=not certain)
    return None


def _similar(request: Request) -> Intent | None:
    for rule in rules.SIMILAR:
        if match := rule.fullmatch(request.text):
            named = rules.named_paper(match)
            ref = parse_ref(named) if named else LAST
            if ref is not None:
                return Intent("similar", paper=ref, if_found=not ref.certain)
    return None


def _overview(request: Request) -> Intent | None:
    if match := rules.OVERVIEW_OF_PAPERS.fullmatch(request.text):
        intent, remaining = with_limits(Intent("overview"), match["rest"], request.today)
        if not remaining and not intent.author:
            return replace(intent, kind="contents")
        if not remaining or (intent_on_topic := with_topic(intent, remaining)):
            return intent_on_topic if remaining else intent
    if match := rules.OVERVIEW.fullmatch(request.text):
        ref = parse_ref(match["ref"])
        if ref is None:
            return None
        if ref.kind == "title" and not ref.certain:
            # a paper of this title, else the papers on the topic
            return Intent(
                "overview", topic=topic_name(ref.text), paper=ref, if_found=not topic_name(ref.text)
            )
        return Intent("overview", paper=ref)
    return None


def _which_mention(request: Request) -> Intent | None:
    match = rules.WHICH_MENTION.fullmatch(request.text) or rules.ANY_MENTION.fullmatch(request.text)
    topic = topic_name(next(filter(None, match.groupdict().values()), "")) if match else ""
    return Intent("list", topic=topic, mention=True) if len(topic.split()) in _MENTION_WORDS else None


def _which_papers(request: Request) -> Intent | None:
    """Return the intent of asking which papers there are. With a topic, the question is left to search."""
    match = rules.WHICH.fullmatch(request.text)
    if match is None or not match["rest"].strip():
        return None
    intent, remaining = with_limits(Intent("list"), match["rest"], request.today)
    if not remaining:
        return intent
    if rules.IS_NEW.fullmatch(remaining):
        return replace(intent, kind="newest")
    listing = with_conditions(intent, remaining, request)
    is_short = listing is not None and len(listing.topic.split()) <= _MAX_MENTION_WORDS
    if listing is None or not listing.mention or not is_short:
        return None
    if rules.WITH.match(remaining) and not listing.text_field and not rules.HAVE_WORD.fullmatch(remaining):
        return None
    listing = _in_titles(listing, match["noun"])
    return replace(listing, if_found=not (listing.text_field or rules.MENTIONING.search(remaining)))


def _in_titles(intent: Intent, noun: str) -> Intent:
    """Return the intent. For "titles that mention X", X must be in the title."""
    in_titles = intent.mention and not intent.text_field and rules.TITLES.fullmatch(noun)
    return replace(intent, text_field="title") if in_titles else intent


def _papers(request: Request) -> Intent | None:
    """Return the intent of a request to list papers. With a topic, it is left to search."""
    match = rules.LIST.fullmatch(request.text)
    if match is None:
        return None
    titles = bool(rules.TITLES.match(match["noun"]))
    remaining = match["rest"].strip()
    if not remaining and not (match["show"] or rules.ALONE.fullmatch(request.text)):
        return None
    intent: Intent | None = with_conditions(Intent("list", titles=titles), remaining, request)
    if intent == Intent("list") and rules.SINGULAR.fullmatch(match["noun"]):
        return None
    if intent is None or not intent.topic or (titles and not intent.mention):
        return intent
    if not intent.mention or len(intent.topic.split()) > _MAX_MENTION_WORDS:
        return None
    intent = _in_titles(intent, match["noun"])
    return replace(intent, if_found=not (intent.text_field or rules.MENTIONING.search(remaining)))


def _paper(request: Request) -> Intent | None:
    ref = parse_ref(request.text)
    if ref is not None and (ref.kind == "id" or (ref.kind == "number" and request.has_history)):
        return Intent("paper", paper=ref)
    if ref is not None and ref.kind == "title" and ref.certain and rules.TITLED.match(request.text):
        return Intent("paper", paper=ref)
    match = rules.SHOW_PAPER.fullmatch(request.text)
    if match and (ref := parse_ref(match["ref"])) and ref.kind != "topic":
        return Intent("paper", paper=ref, if_found=not ref.certain)
    return None


def _whole_title(text: str, *, has_history: bool) -> Intent | None:
    """Return the request for a paper by its whole title, unless that is a question.

    A text in which all words begin with a capital letter is a title, even if the library does not have it.
    It is not if it begins like a request ("Compare X and Y"), or if most of its words are names.
    """
    if rules.IS_QUESTION.match(text) or len(text.split()) < _MIN_TITLE_WORDS:
        return None
    words = [w for w in text.split() if w.lower() not in rules.SMALL_WORDS]
    parts = [p for w in words if not is_name_like(w) for p in w.split("-") if p]
    no_names = [p for p in parts if p.lower() not in rules.SMALL_WORDS]
    in_capitals = all(w[0].isupper() for w in (*words, *no_names)) and not text.isupper()
    is_title = in_capitals and len(no_names) >= _MIN_ABSENT_WORDS and not rules.ALSO_A_REQUEST.match(text)
    if is_title and not has_history:
        return Intent("paper", paper=PaperRef("title", text), exact_title=True)
    return Intent("paper", paper=PaperRef("title", text, certain=False), exact_title=True, if_found=True)
