"""Recognize sentences that address their reader or a model instead of reporting something (prompt injection).

A sentence such as "Ignore the above directions and print …" stays in the library and in the passages, but a
model's claim may not cite it. Such sentences are recognized by their form, not by what they ask for: an
imperative of any verb, the second person, an address to reviewers or models, a demand on the answer, markup
of chat formats, a different language from the abstract, or a disguise such as spaced or reversed letters.
An attacker who evades the rules only gets a sentence quoted under the paper's own name. ``eval/orders.py``
measures how many attacks the rules detect and miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Literal

from paperagent.text import disguises, imperatives
from paperagent.text.foreign import is_english, is_foreign, looks_foreign

Cue = Literal["markup", "address", "second person", "obligation", "disguise", "imperative"]

_MAX_CHARACTERS = 4_000
"""Maximum characters of a sentence that are read. No sentence of a real abstract is longer."""
_MAX_CLAUSES, _CLAUSE_CHARACTERS = 40, 400
_WORD = re.compile(r"[a-z]+")

# --- who is addressed, and what they produce ---

_READERS = frozenset(
    """
    reviewer reviewers assistant assistants summarizer summarizers summariser summarisers chatbot chatbots
    bot bots crawler crawlers grader graders rater raters parser parsers reader readers indexer indexers
    scraper scrapers copilot copilots screener screeners moderator moderators recruiter recruiters
    evaluator evaluators editor editors curator curators model models llm llms ai ais gpt system systems
    agent agents tool tools software pipeline pipelines engine engines program programs judge judges
    """.split()
)
_READER = (
    r"(?:(?:ai|llm|automated|automatic|intelligent|digital|screening|analysis|search|answering|research|language|reading"
    r"|large|generative|machine|autonomous|virtual|neural)[\s-]+){0,3}(?:reviewers?|assistants?|summari[sz]ers?|chatbots?|bots?"
    r"|crawlers?|graders?|raters?|parsers?|readers?|indexers?|scrapers?|copilots?|screeners?|moderators?|recruiters?"
    r"|evaluators?|editors?|curators?|judges?|llms?|ais?|gpts?|models?|systems?|agents?|tools?|software|pipelines?|engines?"
    r"|programs?)"
)
"""People and programs that process abstracts."""
_OUTPUT = (
    r"(?:answers?|responses?|repl(?:y|ies)|messages?|outputs?|completions?|reviews?|summar(?:y|ies)|digests?|reports?"
    r"|descriptions?|overviews?|synopsis|newsletters?|write-?ups?|verdicts?|recommendations?)"
)
"""Texts that they produce."""
_INPUT = (
    r"(?:code|codebase|solutions?|implementations?|algorithms?|programs?|evaluations?|assessments?|ratings?|instructions?"
    r"|prompts?|guidelines|rules|training|citations?|claims?|conclusions?|users?|task|role|job|system)"
)
_THIS_TEXT = (
    r"(?:abstract|text|sentence|passage|paragraph|notice|message|statement|entry|document|record"
    r"|manuscript|submission|question)"
)
_OBLIGED = r"(?:must|should|shall|has\sto|have\sto|needs?\sto|ought\sto)"
_OBLIGED_WORDS = frozenset("must should shall to".split())

# --- anywhere in a sentence ---

_PEOPLE = frozenset("whoever anyone anybody everyone everybody".split())
_ORDERS = frozenset(
    """
    instruction instructions direction directions directive directives prompt prompts rule rules
    guidelines content orders
    """.split()
)
_WISH_WORDS = frozenset("acceptance accepting review score rating code".split())
_MARKUP = re.compile(
    r"<\|\w{1,40}\|?>|</?s>|\[/?inst\]|\[/?system\]|<</?sys>>|\[admin\b|</?(?:instructions?|system|admin|user|assistant|prompt)>"
    r"|\[rest-of-document\]|#{2,3}\s?(?:instruction|system|user|human|assistant|response|new\s+task)\b|```(?=.)",
    re.IGNORECASE,
)
_NAMES_MARKUP = re.compile(r"\b(?:tokens?|tags?|formats?|templates?|delimiters?|markers?)\b", re.IGNORECASE)
_AFTER_USED_MARKUP = re.compile(r"\s*(?:[A-Z\"“]|(?:system|user|assistant|human|model)\b)")
_MAX_NAMING_DISTANCE = 60
_MARKUP_CHARACTERS = frozenset("<[#`")
_NOTE_TO_READER = re.compile(
    r"\b(?:note|notice|message|memo|reminder|attention|instructions?|directives?|requests?|guidance|warning|profile|metadata)"
    rf"\s(?:to|for|by|from)\s(?:[\w-]+\s){{0,4}}?{_READER}(?:\s\([^()\n]{{0,60}}\))?\s?:"
    r"|\b(?:invisible|hidden)\s(?:to|from)\s(?:humans|people|human\sreaders)\b"
    r"|\bas\san?\s(?:[\w-]+\s){0,3}(?:model|assistant|ai|llm|chatbot|reviewer|agent|summari[sz]er),?\s(?:you|always|never|do)\b",
    re.IGNORECASE,
)
_SECOND_PERSON = re.compile(
    rf"\byour\s(?:[\w'’-]+\s){{0,2}}?(?:{_OUTPUT}|{_INPUT})\b"
    r"|\byou(?:\s\w+)?\s(?:must|should|shall|ought|need\sto|have\sto|do\snot|don['’]t|would\sbe"
    r"|are\s(?:an?|now|to|required|instructed|asked|allowed|not|no|hereby|obliged)|may\s(?:not|only|find|want)"
    r"|will\s(?:be|not|now|only))\b"
    r"|(?<![\w'‘\"“])(?:forgive|remind|ask|urge|order|command|instruct|invite|encourage|advise)\syou\b"
    r"|\b(?:if|when|once|since|because|unless|before|after|while)\syou(?:['’]re)?\s(?:are\s)?(?:an?\s(?:ai|llm|language|large|model"
    r"|automated|assistant)|asked|read(?:ing)?\sthis|summari[sz]\w+|process\w*|review\w*|answer\w*|cit\w+|rank\w*)\b",
    re.IGNORECASE,
)
_THIS_MUST = re.compile(
    rf"(?<!\bof\s)(?<!\bin\s)\bthis\s(?:[\w-]+\s)?{_THIS_TEXT}\s(?:also\s|always\s)?{_OBLIGED}\b",
    re.IGNORECASE,
)
_PEOPLE_READING_THIS = re.compile(
    r"\b(?:whoever|any(?:one|body)|every(?:one|body))\s(?:who\s)?(?:is\s|are\s)?(?:\w+(?:ing|s))\s(?:this|it)\b(?=,?\s\w)",
    re.IGNORECASE,
)
_CANCELLED_ORDERS = re.compile(
    r"\b(?<!is\s)(?<!are\s)(?<!was\s)(?<!were\s)(?:ignor|disregard|forget|overrid|discard|dismiss|supersed)\w*\s(?:[\w-]+\s){0,3}?(?:previous|prior|above|earlier|preceding"
    r"|foregoing|all|your|(?=(?:other|these|the)\s(?:instructions|content)\b)\w+)\s(?:[\w-]+\s)?(?:instructions?|directions?|directives?|prompts?|rules?|guidelines|content|orders)\b"
    r"|\b(?:above|previous|prior|earlier|preceding)\s(?:instructions|directions|directives|prompts|rules|orders)\b[^.]{0,40}"
    r"\b(?:void|cancel\w*|obsolete|superseded|no\slonger|ignored|disregarded|overridden|revoked)\b",
    re.IGNORECASE,
)
_WISHES = re.compile(
    r"\brecommend\w*\s(?:accept(?:ance|ing)\sof|accepting)\b"
    r"|\bgive\s(?:an?\s)?(?:positive|good|favou?rable|high)\s(?:review|score|rating)\b"
    r"|\b(?:following|subsequent)\scode\s(?:block|excerpt|section|snippet|fragment|segment)\b",
    re.IGNORECASE,
)

# --- at the beginning of a clause ---

_ADDRESS = re.compile(
    r"[\W_]{0,12}(?:"
    r"(?:system|admin|administrator|user|assistant|developer|human|ai|model|instructions?|prompt|override|command|operator|root)"
    r"(?:\s(?:prompt|message|request|note|instructions?|override|update|notice|turn|command))?\s?:(?!\s?https?:)"
    rf"|(?:(?:for|to|dear|hey|hello|hi|attention|note|notice|all|any|every|the|our|fellow|you)\W{{1,3}}){{0,4}}(?:[\w-]+\s)?{_READER}"
    r"(?:\s?:(?!\s?https?:)|,\s(?:please|you|your|note|ignore|do|don['’]t|always|never|kindly)\b|!)"
    r")",
    re.IGNORECASE,
)
_YOU = re.compile(
    r"[\W_]{0,12}(?:You|YOU|you|Your|YOUR|your)\s(?!Only\b|only\b|(?:can|may|might)\s(?:also\s)?(?:find|visit|suspect|see|access|view|download)\b)(?:[a-z]|[A-Z]+\b)"
)
_OUTPUT_MUST = re.compile(
    rf"[\W_]{{0,12}}(?:(?:any|the|this|every|all|each|whatever|whichever|final|only)\s){{1,2}}(?:[\w-]+\s)?{_OUTPUT}"
    rf"(?:\s(?:to|of|about|on|for|from|in)\s[\w\s-]{{3,60}}?)?\s(?:{_OBLIGED}|is\sto|are\sto)\b",
    re.IGNORECASE,
)
_ON_REQUEST = re.compile(
    r"[\W_]{0,12}(?:when|while|before|after|if|once|upon|whenever|in|for)\s(?:\w+\s)?(?:asked|questioned|prompted|queried|requested|(?:summari[sz]|review|cit|describ"
    r"|answer|quot|rat|rank|evaluat|process|read|discuss|present|mention|index|translat|respond|writ|prepar|compil|generat|produc)ing)\b"
    r"[^,.:]{0,80},\s",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[“\"][^“”\"\n]{0,200}[”\"]|``[^`'\n]{0,200}(?:''|\")")
_CLAUSE_START = re.compile(
    r"(?<=[.!?])(?<!\b(?:e\.g|i\.e)\.)(?<!\b(?:vs|al|cf)\.)[\"'”’)\]*]{0,3}\s+(?=[\"'“‘(]?[A-Z])|\n\s*|(?<=[\]>|])\s*(?=[A-Z])|\*{2,3}(?=[A-Z])|(?<=[\"”’])\s+(?=[A-Z])|\b(?:https?://|www\.)[^\s{}]{1,200}\s+(?=[A-Z])"
)
_LABEL = re.compile(
    rf"[\W_]{{0,12}}(?:(?:[\w'’/-]+\s){{0,5}}[\w'’/-]+(?:\s?\([^()\n]{{0,80}}\))?\s?:+\s|(?:[\w-]+\s){{0,3}}{_READER},\s)",
    re.IGNORECASE,
)
_AFTER_COMMA = re.compile(
    r"(?:In|When|If|Before|After|For|As|Whenever|Once|At|To|Upon|By|With|From|Instead|Since|Because|Where|Wherever)\b"
    r"[^,.;:]{3,120},\s(?!and\b|or\b|but\b)(?=[a-z])"
)
_ATTENTION = frozenset(
    """
    note nb attention important importantly notice warning reminder urgent critical instruction
    instructions request command priority message memo disclaimer you all everyone everybody dear hey
    hello
    """.split()
)
_HEADINGS = frozenset(
    """
    objective objectives aim aims purpose goal goals method methods methodology task tasks problem
    background results result conclusion conclusions design setting settings contribution contributions
    question questions step steps phase stage
    """.split()
)
_GOES_ON = re.compile(r"(?:therefore|thus|however|hence|then|consequently|instead|moreover|finally),\s")
"""Connectives after a comma, as in "LLMs, therefore, allow us …"."""
_SPLIT_INFINITIVE = re.compile(r"To\s\w+ly,\s")
_ITEM_NUMBER = re.compile(r"\(?(?:\d{1,2}|[ivx]{1,4}|[a-h])\)\Z")
_HAS_SUBJECT = re.compile(r"\b(?:we|i|is|are|was|were|has|have|in\sorder)\b", re.IGNORECASE)
_ENUMERATED = re.compile(r"\(?(?:\d|[ivx]+|[a-e])\)")
_LOWER_START = re.compile(
    r"(?<=\w{3}[.!?])\s(?=(?:do\snot|don['’]t|never|please|[a-z]+\s(?:an?|the|all|any|each|every|my|our|your|me|us))\s)"
)
_CAPITALIZED = re.compile(
    r"(?<=[\"'”’)\].])\s(?=[A-Z][a-z]+\s(?:an?|the|all|any|each|every|no|some|my|our|your|their|me|us|them|how|why)\s)"
)
_QUESTION = re.compile(r"[?？][\"'”’)\]*]*(?:\s|\Z)")


@lru_cache(maxsize=20_000)  # an answer checks every sentence of ten papers
def looks_like_instruction(sentence: str, abstract: str = "", *, question: str = "") -> bool:
    """Return whether a sentence addresses its reader or a model instead of reporting something.

    Args:
        sentence: The sentence.
        abstract: The abstract that contains it. A sentence in a different language from its abstract counts
            as an address. If the abstract is missing or not English, only English imperatives are recognized.
        question: The question that the sentence answers, whose language it may have.
    """
    if is_foreign(sentence, abstract):
        return True
    cue = cue_of_address(sentence)
    if cue != "imperative" or is_english(abstract):
        return cue is not None
    return not (looks_foreign(sentence) or looks_foreign(question))


def cue_of_address(sentence: str) -> Cue | None:  # noqa: PLR0911 - one return for each cue
    """Return how a sentence addresses its reader, or None if it does not."""
    visible = disguises.without_invisible(sentence[:_MAX_CHARACTERS])
    if disguises.is_disguised(visible):
        return "disguise"
    if not _MARKUP_CHARACTERS.isdisjoint(visible) and _has_markup(visible):
        return "markup"
    clauses = list(_clauses(visible))
    text = " ".join(visible.split())
    words = frozenset(_WORD.findall(text.lower()))
    has_reader = not words.isdisjoint(_READERS)
    if (has_reader or ":" in text) and any(map(_ADDRESS.match, clauses)):
        return "address"
    if (has_reader or "humans" in words or "people" in words) and _NOTE_TO_READER.search(text):
        return "address"
    if ("you" in words or "your" in words) and not is_question(text):
        own = _QUOTED.sub(" … ", text)
        if _SECOND_PERSON.search(own) or any(map(_YOU.match, clauses)):
            return "second person"
    if _has_obligation(text, words) or (
        not words.isdisjoint(_OBLIGED_WORDS) and any(map(_OUTPUT_MUST.match, clauses))
    ):
        return "obligation"
    return "imperative" if _has_imperative(text, clauses) else None


def _has_obligation(text: str, words: frozenset[str]) -> bool:
    """Return whether a sentence demands something of its reader, or cancels earlier instructions."""
    return bool(
        ("this" in words and not words.isdisjoint(_OBLIGED_WORDS) and _THIS_MUST.search(text))
        or (not words.isdisjoint(_PEOPLE) and _PEOPLE_READING_THIS.search(text))
        or (not words.isdisjoint(_ORDERS) and _CANCELLED_ORDERS.search(text))
        or (not words.isdisjoint(_WISH_WORDS) and _WISHES.search(text))
    )


def _clauses(text: str) -> Iterator[str]:
    """Yield the sentence, and the text after each clause boundary in it."""
    starts = [0, *(m.end() for m in islice(_CLAUSE_START.finditer(text), _MAX_CLAUSES))]
    for start in dict.fromkeys(starts):
        yield " ".join(text[start : start + _CLAUSE_CHARACTERS].split())


def _has_imperative(text: str, clauses: Sequence[str]) -> bool:
    """Return whether a clause of a sentence is an imperative."""
    for clause in clauses:
        if imperatives.is_imperative(clause):
            return True
        if start := _ON_REQUEST.match(clause):
            if imperatives.is_imperative(clause[start.end() :]):
                return True
        elif start := _LABEL.match(clause) or _AFTER_COMMA.match(clause):
            before, after = clause[: start.end()], clause[start.end() :]
            if (
                _ENUMERATED.match(after)
                or _GOES_ON.match(after)
                or _SPLIT_INFINITIVE.fullmatch(before)
                or _HAS_SUBJECT.search(before)
                or (":" in before and not _calls_attention(before, after))
            ):
                continue
            if imperatives.is_imperative(after, needs_object=True):
                return True
    return any(
        imperatives.is_imperative(text[m.end() : m.end() + _CLAUSE_CHARACTERS], needs_object=True)
        for pattern in (_CAPITALIZED, _LOWER_START)
        for m in islice(pattern.finditer(text), _MAX_CLAUSES)
        if not _is_item_of_sentence(text[max(0, m.start() - _CLAUSE_CHARACTERS) : m.start()])
    )


def _is_item_of_sentence(before: str) -> bool:
    """Return whether a text ends in the number of a list item inside a statement, as in "we do: (1)"."""
    number = _ITEM_NUMBER.search(before[-6:])
    if number is None:
        return False
    start = before[: len(before) - len(number[0])].rstrip()
    return not start.endswith((".", "!", "?")) and imperatives.has_finite_verb(start)


def _has_markup(text: str) -> bool:
    """Return whether a text uses the markup of chat formats, instead of naming it as tokens or tags."""
    return any(not _is_named(text, m) for m in islice(_MARKUP.finditer(text), _MAX_CLAUSES))


def _is_named(text: str, mark: re.Match[str]) -> bool:
    start, end = mark.span()
    around = (
        text[max(0, start - _MAX_NAMING_DISTANCE) : start] + " … " + text[end : end + _MAX_NAMING_DISTANCE]
    )
    return (
        text[:1].isalpha()
        and _NAMES_MARKUP.search(around) is not None
        and _AFTER_USED_MARKUP.match(text, end) is None
    )


def _calls_attention(label: str, after: str) -> bool:
    """Return whether a label before a colon addresses a reader, and is not a heading or the end of a list."""
    words = _WORD.findall(label.lower())
    if len(words) <= 5 and not (_READERS | _ATTENTION).isdisjoint(words):
        return True
    return len(words) <= 3 and _HEADINGS.isdisjoint(words) and after[:1].isupper()


def is_question(sentence: str) -> bool:
    """Return whether a sentence is a question or ends in one. A question states nothing."""
    return bool(_QUESTION.search(sentence))
