"""What a question asks for, and whether a paper has words for it: a cost, a rate, a count, a model.

"The right paper, but the fact is absent" is the hardest kind of unanswerable question. Each test here looks
for the words or figures of which any answer has at least one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from paperagent.text.terms import STOP_WORDS, stem, words

NUMBER = re.compile(
    r"""(?<![\w-])[$€£~<>]?\d[\d.,]*\s?(?:\\?%|[kmb]\b|x\b)?
    |\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?
        |billions?|half|halv\w+|twice|doubl\w+|tripl(?:ed?|ing)|order\ of\ magnitude|percent)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""A number, but not one that is part of a name, such as in GPT-4."""
_SHARE = re.compile(r"%|percent|hal[fv]|twice|doubl|tripl|magnitude|^\D*\d+\.\d+\W*$", re.IGNORECASE)
"""A number that counts nothing: a share, a factor or a plain decimal."""
_COUNTED = re.compile(
    r"""\b(?:how\ many|number\ of)\s+((?:[\w-]+\s+){0,2}?[\w-]+)
    (?=\s+(?:is|are|was|were|do|does|did|has|have|can|could|in|of|on|with|per|from|for|to|used|which|that|there
        |came|come|went|took|they|it|each)\b|\s*[?,.;:]|\s*$)""",
    re.IGNORECASE | re.VERBOSE,
)
_COUNTED_PLURAL = re.compile(
    r"\bhow\ many\s+((?:[\w-]+\s+){0,2}?(?:[\w-]*[^s\W]s|people|children))\b", re.IGNORECASE
)
"""Before any other verb: "how many students wrote them"."""
_COUNT_SYNONYMS = tuple(
    frozenset(map(stem, group.split()))
    for group in (
        "examples samples instances items pairs triples triplets quadruplets entries records",
        "people persons participants subjects respondents users volunteers",
        "methods approaches techniques algorithms baselines",
        "papers articles publications documents",
        "images pictures photos",
        "countries nations",
        "languages tongues",
    )
)
"""Stems of words that count the same things."""
_COUNT_WINDOW, _COUNT_CHARACTERS = 4, 120
"""Words after a number among which the counted noun may be, and the most characters that they take."""
_COUNTS_THEM = re.compile(
    r"\bhow\ many(?:\ of\ (?:them|those|these))?(?:\ (?:are|were|did|do)\ (?:there|they)\b.*)?\W*$",
    re.IGNORECASE | re.VERBOSE,
)
"""A question for a number that does not say of what: "how many of them are there?"."""
_RATE = re.compile(
    r"""\bhow\ accurate\b
    |(?:\b(?:what|which|how\ much|the)\s+(?:\w+\s+){0,2}?|^(?:\S+\s+){0,8}?)
     (?:accuracy|f-?(?:1|scores?|measures?)|bleu|elo|pass@\d+|perplexity|scores?
        |(?:success|error|win|collision|acceptance)[ -]rates?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_STARTS_OTHERWISE = re.compile(
    r"""^\W*(?:is|are|was|were|do|does|did|can|could|has|have|should|will|why|who|where|when
        |how(?!\ accurate|\ much))\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""A question that is not for a rate, even if it mentions one."""
_RATE_FIGURE = re.compile(
    r"\d\s?\\?%|percent|\d\.\d|\bpoints?\b|\bhalf\b|twice|double|\d\s?[x×]|times\b|\d/\d|out of \d|\bperfect",
    re.IGNORECASE,
)
_NAMED_THING = re.compile(
    r"\b(?:which|what)\s+(?:\w+\s+){0,2}?(?:llm|model|backbone|datasets?|benchmarks?)\b", re.IGNORECASE
)
"""What has a name. The answer to "which models" may be "the larger ones"."""
_NAMED_MODEL = re.compile(
    r"\b(?:which|what)\s+(?:[\w-]+\s+){0,2}?(?:llm|(?:language )?model|backbone|famil(?:y|ie))s?\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<![A-Za-z])[A-Za-z]*(?:[A-Z]\w*[A-Z]|[A-Za-z]\d)\w*|\b[A-Z][a-z]+(?=[ -]\d)")
"""A word with several capitals, with letters and digits, or with a version."""
_ADDRESS = re.compile(r"(?<!\S)\S*(?:://|www\.)\S*")
_MAX_QUESTION = 2_000
"""Maximum characters of a question that are searched for its parts."""
COMMON_ACRONYMS = frozenset(
    """llm llms lm lms plm plms vlm vlms lvlm lvlms mllm mllms nlp ai ml qa vqa rl rlhf sft cot icl xai gpu
    api apis 2d 3d""".split()
)


def _attribute(in_question: str, in_paper: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(rf"\b(?:{in_question})", re.IGNORECASE), re.compile(in_paper, re.IGNORECASE)


_PEOPLE = (
    r"(?:people|person|participant|student|user|worker|annotator|respondent|rater|author|patient|volunteer|player"
    r"|subject|teacher|expert|human|they)s?"
)
_LITERAL = """population, drop-?\\s?out, attrition, weight[ -]decay, beams?, context (?:length|window)
    vocabular, embedding (?:size|dimension), hidden (?:layer|size|dimension), heads?\\b, rank\\b, momentum
    clipping, schedul, rollouts?, p-values?, confidence intervals?, standard deviations?, tokeni[sz]er, gender
    conference, journal, salar, backbone, bits?\\b"""
"""Words that an answer repeats, because there is no other word for them."""
_ATTRIBUTES = (
    _attribute(r"(?:learning rate|step size)s?\b", r"learning rate|step size"),
    _attribute(r"batch size", r"batch"),
    _attribute(
        r"(?:which|what) optimi[sz]er|optimi[sz]ers? (?:was|were|is|did|and|settings?)|warm-?up\b",
        r"optimi[sz]er|\badam|\bsgd\b|warm-?up",
    ),
    _attribute(r"epochs?\b", r"epoch"),
    _attribute(r"(?:what|which) (?:sampling )?temperature", r"temperature"),
    _attribute(r"random seeds?\b", r"\bseeds?\b"),
    _attribute(r"(?:how many|number of) (?:\w+ )?layers", r"layer"),
    _attribute(r"licen[sc]ed?\b", r"licen[sc]e|apache|creative commons"),
    _attribute(
        r"how much .{0,40}\b(?:costs?|dollars?|money|paid)\b|what (?:did|does) .{1,30}\bcost\b"
        r"|in (?:us )?dollars|how expensive",
        r"[$€£]|dollar|\busd\b|cost|price|cheap|expensive|budget|saving",
    ),
    _attribute(
        r"hardware|(?:how many|number of|which) (?:gpu|tpu)s?\b|[gt]pu.hours",
        r"\b[gt]pu|hardware|\b[avh]100\b",
    ),
    _attribute(r"memory footprint|how much (?:gpu )?memory|vram", r"memory|\b[gm]i?b\b"),
    _attribute(
        r"(?:how many|number of|amount of) parameters|parameter count|model size"
        r"|how (?:large|big) (?:is|was|are|were) (?:the|their|its) \w*\s?models?\b",
        r"\d\s?[bm]\b|\d.{0,20}parameters|billion|million",
    ),
    _attribute(
        r"affiliat|which (?:universit|institut|lab|company|companies)|authors? of",
        r"universit|institut|affiliat|\blabs?\b|compan",
    ),
    _attribute(r"(?:what|which) year|when (?:was|were) \w+ (?:published|released)", r"\b(?:19|20)\d\d\b"),
    _attribute(
        r"latency|throughput|how fast|(?<!at )inference time|how long (?:does|did) (?:it|the|training)",
        r"latenc|speed|fast|seconds?\b|minutes?\b|hours?\b|\bdays?\b|time|throughput",
    ),
    _attribute(
        r"percentage|what (?:share|fraction|proportion)", r"%|percent|fraction|\bhalf\b|third|quarter|\d\.\d"
    ),
    _attribute(r"kappa|(?:inter-?)?(?:rater|annotator)s?'? agreement", r"kappa|agreement|correlat"),
    _attribute(
        r"(?:which|what) (?:\w+ )?(?:city|cities|countr)|nationalit"
        rf"|where .{{0,20}}\b{_PEOPLE}\b.{{0,20}}\b(?:come|came|are|were) from",
        r"\b(?:countr|cit(?:y|ies)\b|nation|americ|u\.?s\.?\b|uk\b|brit|canad|brazil|mexic|europ|german|franc|french"
        r"|span|spain|ital|dutch|swiss|pol(?:and|ish)|turk|ukrain|russia|israel|arab|iran|afric|egypt|nigeria|kenya"
        r"|india|pakistan|bangla|chin|taiwan|japan|korea|vietnam|thai|indones|singapor|austral)",
    ),
    *(
        _attribute(rf"(?:what|which|how \w+|(?:size|number|value) of)(?: [\w-]+){{0,4}}? {n}", n)
        for n in re.split(r",?\s*\n\s*|, ", _LITERAL)
    ),
    _attribute(
        rf"(?:was|were|did|how|are|is)\b.{{0,30}}\b{_PEOPLE}\b.{{0,20}}\b(?:paid|pay|compensat\w+|rewarded|earn\w*)\b"
        r"|(?:how much|what) (?:did|do|was|were) .{1,30}\b(?:pay|paid|earn)\b",
        r"\bpa(?:y|id)\b|\bpayment|compensat|wage|reimburs|[$€£]|dollar|\busd\b",
    ),
    _attribute(
        rf"(?:was|were|did)\b.{{0,30}}\b{_PEOPLE}\b.{{0,20}}\b(?:told|know|aware|informed|debriefed|consent\w*)\b",
        r"\btold\b|\baware|inform(?:ed|ing)\b|consent|disclos|\bknow(?:ing|ledge of|n to)\b|\bblind|deceiv"
        r"|believ",
    ),
    _attribute(
        r"who (?:\w+ )?(?:annotated|labell?ed|rated|judged|graded|wrote|checked|verified|marked|evaluated)\b"
        r"|who (?:were|are) the (?:annotator|rater|judge|labell?er)s",
        r"annotator|expert|crowd|human|worker|volunteer|student|teacher|native|linguist|physician|doctor|people"
        r"|participant|\bby (?:an? )?(?:\w+ )?(?:llm|gpt|language model)|\bwe (?:\w+ )?(?:annotat|label)",
    ),
    _attribute(
        r"(?:which|what)\b.{0,40}\b(?:came out|did|does|do|performs?|performed|works?|worked|scored?|is|was"
        r"|were|are) (?:the )?(?:best|worst|top|highest|lowest|strongest|weakest|fastest|slowest"
        r"|most accurate)\b"
        r"|who (?:won|wins)\b|which (?:\w+ )?(?:won|wins)\b",
        r"\bbest\b|\bworst|\btop\b|highest|lowest|strongest|weakest|outperform|superior|surpass|exceed|better|worse"
        r"|\bmost\b|\bleast\b|state-of-the-art|lead(?:s|ing)?\b|\bwin|\bwon\b|rank|fast|slow|excel",
    ),
    _attribute(
        r"what (?:is |was |were )?(?:the |their )?age\b|how old\b|age (?:range|group)|\b(?:mean|average) age",
        r"\bage[ds]?\b|years? old|\bolder|younger|\byears\b|children|adult",
    ),
    _attribute(
        r"\birb\b|ethic(?:s|al) (?:board|approval|committee|review)",
        r"\birb\b|ethic",
    ),
    _attribute(
        r"who (?:\w+ )?(?:funded|financed|sponsored|paid for)|funding|sponsor", r"fund|sponsor|grant|financ"
    ),
    _attribute(r"carbon|emissions|energy (?:use|consumption)", r"carbon|emission|energy|watt"),
)
"""What a question asks for, and the words of which a paper that answers it has at least one."""


_ASPECTS = (
    _attribute(
        r"(?:why|how come)\b(?!.{0,3}$)|what (?:is|was) the reason",
        r"\b(?:because|due to|owing to|since|reasons?|causes?d?|stems? from|as a result|attribut\w+)\b",
    ),
    _attribute(
        r"(?:test|evaluat|tri(?:ed|al)|try|work|measur)\w*\b.{0,12}\b(?:on|with)\W*$|on what\b"
        r"|tasks?\W*$|benchmarks?\W*$|(?:which|what) (?:\w+ )?(?:tasks?|benchmarks?|datasets?)\b",
        r"\b(?:benchmark|evaluat|experiment|test)\w*|\btasks?\b",
    ),
    _attribute(
        r"(?:catch|drawbacks?|downsides?|disadvantages?|limitations?|weakness(?:es)?|trade-?offs?)\b"
        r"|(?:lose|sacrifice|give up)\b.{0,12}$",
        r"\b(?:price|trade-?off|expense|decreas|degrad|limitation|suffer|fail|worse|risk|however|struggl|sacrific"
        r"|at the cost)",
    ),
    _attribute(
        r"how (?:was|were|did|do)\b.{0,30}\b(?:carried out|carry out|conduct(?:ed)?|done|performed"
        r"|stud(?:y|ied))\b|(?:which|what) method\b|methodology|study design",
        r"\bwe (?:also |then |first )?(?:conduct|perform|carr|survey|interview|collect|recruit)\w*"
        r"|mixed-methods?|randomi[sz]ed|\binterviews\b|questionnaire|user study",
    ),
    _attribute(
        r"(?:called|(?:name|title) of (?:it|the|their|that|this))\b"
        r"|what(?:'?s| is) (?:it|the|its|their) name\b",
        r"\b(?:called|named|dubbed|termed|refer(?:red)? to (?:it |this )?as"
        r"|we (?:introduce|propose|present))\b",
    ),
    _attribute(
        r"compared? (?:to|with) (?:what|which)|baselines?\b|(?:beat|outperform|better than|win against)\b",
        r"\b(?:outperform|surpass|exceed|baseline|compar(?:ed|able)|state-of-the-art|superior)|\bthan\b",
    ),
)
"""What a question asks about a paper, and the words of the sentences that usually say it."""


def says_aspect(question: str, title: str, sentence: str) -> bool:
    """Return whether a sentence has words for what a question asks about a paper, such as its drawbacks.

    For a model, the sentence must name something that neither the question nor the title name.
    """
    question = question[:_MAX_QUESTION]
    for in_question, in_sentence in _ASPECTS:
        if in_question.search(question):
            return in_sentence.search(sentence) is not None
    if not _NAMED_MODEL.search(question):
        return False
    return _names_another([sentence], {*words(question), *words(title)})


def lacks_attribute(question: str, title: str, sentences: Sequence[str]) -> bool:
    """Return whether a paper lacks the words or figures of what a question asks for."""
    question = question[:_MAX_QUESTION]
    text = " ".join((f"{title}.", *sentences))
    if any(
        in_question.search(question) and not in_paper.search(text) for in_question, in_paper in _ATTRIBUTES
    ):
        return True
    if _RATE.search(question) and not _STARTS_OTHERWISE.search(question):
        return not any(_RATE_FIGURE.search(s) for s in sentences)
    if _COUNTS_THEM.search(question):
        return not any(has_number(s, counts=True) for s in sentences)
    familiar = {*words(question), *words(title)}
    return bool(_NAMED_THING.search(question)) and not _names_another(sentences, familiar)


def _names_another(sentences: Sequence[str], familiar: Collection[str]) -> bool:
    """Return whether sentences contain a name other than the familiar ones and their abbreviations."""
    for sentence in sentences:
        text = _ADDRESS.sub(" ", sentence)
        abbreviations = {m.lower() for m in re.findall(r"\(([^()\s]{2,12})\)", text)}
        familiar = {*familiar, *abbreviations}
        names = {m.group().lower() for m in _NAME.finditer(text)}
        if not names <= {*familiar, *COMMON_ACRONYMS}:
            return True
    return False


def has_number(sentence: str, *, counts: bool) -> bool:
    """Return whether a sentence has a number; if ``counts``, one that is not a share, such as 5%."""
    return any(not (counts and _SHARE.search(n.group())) for n in NUMBER.finditer(sentence))


def counted_noun(question: str) -> str:
    """Return the stem of what a question asks to count; empty if it asks no count."""
    question = question[:_MAX_QUESTION]
    match = _COUNTED.search(question) or _COUNTED_PLURAL.search(question)
    nouns = [w for w in words(match.group(1)) if w not in STOP_WORDS] if match else []
    return stem(nouns[-1]) if nouns else ""


def count_match(question: str, sentences: Sequence[str]) -> float:
    """Return whether a sentence counts what the question asks to count: 1 or -1; 0 if it asks no count.

    For "how many videos", a sentence counts them if the word follows a number, as in "300 annotated videos".
    """
    noun = counted_noun(question)
    if not noun:
        return 0.0
    return 1.0 if any(_counts(noun, sentence) for sentence in sentences) else -1.0


def counts_asked(question: str, sentence: str) -> bool:
    """Return whether a sentence counts what a question asks to count."""
    noun = counted_noun(question)
    return bool(noun) and _counts(noun, sentence)


def _counts(noun: str, sentence: str) -> bool:
    """Return whether a noun, given as its stem, or a synonym follows a number in a sentence."""
    same = next((group for group in _COUNT_SYNONYMS if noun in group), {noun})
    return any(
        not same.isdisjoint(
            map(stem, words(sentence[number.end() : number.end() + _COUNT_CHARACTERS])[:_COUNT_WINDOW])
        )
        for number in NUMBER.finditer(sentence)
    )
