"""Recognize sentences that cannot be read alone, and leave out beginnings that refer to an earlier sentence.

The rules are about discourse markers (``Furthermore,``), lead-ins that refer back (``To address this,``), and
pronouns and demonstratives with nothing before them that they could mean (``These two``). All patterns take
linear time, because gaps are bounded.
"""

from __future__ import annotations

from dataclasses import replace

from paperagent.text import Sentence
from paperagent.text.cues import pattern

_WORK = r"""(?:paper|work|study|article|survey|report|review|thesis|dissertation|tutorial|chapter|letter|note
    |project|overview|preprint|manuscript|essay|investigation
    |research(?!\ (?:gap|question|problem|challenge|issue|direction|area|topic|need)))\b"""
_SELF = rf"this\ (?:[\w-]{{1,20}}\ ){{0,3}}{_WORK}"
"""The paper itself, which needs no earlier sentence."""
_THIS = rf"""(?:(?!{_SELF})this|these|them|such(?!\ (?:as|that)\b)
    |those(?!\ (?:of|who|that|with|which|from|in|for|by|using|trained|obtained)\b))\b"""
_EARLIER = r"(?:former|latter|above|aforementioned|resulting)"
_MARKER = r"""(?:however|moreover|furthermore|additionally|in\ addition|besides|finally|lastly|overall
    |altogether|notably|importantly|crucially|critically|remarkably|surprisingly|interestingly|strikingly
    |specifically|in\ particular|concretely|therefore|thus|hence|consequently|accordingly
    |as\ a\ (?:result|consequence)
    |in\ consequence|meanwhile|nevertheless|nonetheless|instead|in\ contrast|by\ contrast|conversely
    |on\ the\ (?:contrary|other\ hand|one\ hand)|similarly|likewise|then|next|afterwards?|first|second|third
    |fourth|firstly|secondly|thirdly|first\ of\ all|subsequently|in\ turn|indeed|in\ fact|in\ summary
    |in\ conclusion|in\ short|in\ sum|further(?=,)|to\ (?:summarize|conclude)|in\ other\ words
    |for\ (?:example|instance)|(?:for|with)\ this\ (?:purpose|reason|in\ mind)|to\ (?:this|that)\ end
    |in\ response|also|yet|still|so
    |in\ this\ (?:context|regard|direction|way|vein)|(?:more|most)\ (?:specifically|concretely|importantly
    |notably)|together|(?:by|in)\ doing\ so|to\ do\ so|at\ the\ same\ time|that\ said|even\ so|again
    |rather)"""
_LEAD_IN = pattern(
    rf"""\A\W{{0,3}}(?:
    (?:(?:and|but)\ )?{_MARKER}(?:\s*,\s*|\s+(?=(?:we|our|{_SELF})\b))
    |(?:and|but)\ (?=we\b)
    |(?P<purpose>(?:to\ \w+|in\ order\ to|aiming\ to|motivated|inspired|guided|driven|informed|prompted|based
        |building|built|drawing|leveraging|exploiting|using|following|given|in\ (?:light|view)\ of
        |in\ (?:response|answer)\ to|despite|recognizing|observing|considering
        |for\ (?:(?:this|these)\ (?:purpose|reason|problem|challenge|issue)
            |the\ (?:first|second|third|{_EARLIER})))
        \b[^.;:]{{0,160}}?),\s*
        (?=(?:in\ {_SELF},?\ )?(?:here,?\ )?(?:we|{_SELF}|the\ authors?|I)\b)
    )"""
)
"""A beginning that can be left out. A purpose or motive can only if it refers back."""
_REFERS = pattern(
    rf"""(?<![\w-])(?:{_THIS}|it|its|they|their|the\ {_EARLIER}|the\ (?:first|second|third)
    |the\ (?:gap|issue|problem|challenge|limitation|question|shortcoming|drawback|concern)s?\Z)\b"""
)
_CONDITION = pattern(r",\s*(?:even|when|if|while|where|unless|which|who|without|compared)\b")
"""Without such a beginning, a sentence would say more than it does."""
_EXPLETIVE = r"""(?:is|was|has\ been|remains|turns\ out|seems|appears)\b"""
_BEFORE_COMMA = r"""(?:on|in|for|across|at|with|under|through|over|compared|using|by|to|unlike|without|beyond
    |despite|from|among|after|during|via|within|following|given|due|evaluated|trained|tested|applied|built|based
    |leveraging|combined|powered|equipped|validated|designed|developed|deployed|implemented)"""
_REFERS_BACK = pattern(
    rf"""\A\W{{0,3}}(?:
    (?:and|but|or|nor|so|yet|also|however|thus|hence|therefore|moreover|furthermore|then|instead)\b
    |(?:its|they|their|them|theirs|he|she|his|her|that)\b
    |it\b(?!\ {_EXPLETIVE})
    |both\b(?!(?:\W+[\w-]+){{0,8}}?\W+and\b)
    |(?:either|neither|each|all|none|some|most|many|one|another|two|three)\ of\ (?:them|these|those|which)\b
    |the\ (?:{_EARLIER}|other(?!\ hand)|second|third|fourth|two|three|four)\b
    |\(?(?:ii|iii|iv|v|vi|[2-9]|[b-f])[).]\s
    |(?:[\w-]+\ ){{0,3}}the\ (?:opposite|contrary|reverse)\b
    |the\ same\b(?!(?:\W+[\w-]+){{1,5}}?\W+as\b)
    |(?:another|others?|similar|additional|further|likewise|second|same|doing\ so|as\ such)\b
        (?!\ (?:to|than|by)\b)
    |(?:\S+\ ){{0,6}}{_THIS}
    |(?:[^.;:,]{{0,100}},?\ )?(?:we|{_SELF})\ (?:(?:have|are|can|will|do|were)\ )?(?:also|further|then|next
        |additionally|furthermore|therefore|thus|hence|thereby|finally|subsequently|moreover|likewise|similarly|again|instead
        |lastly|accordingly|consequently)\b
    |(?:[^\s,]+\ ){{1,5}}also\b
    |(?:[\w-]+\ ){{0,4}}[\w-]+\ (?:[\w-]+ly\ )?(?:show|find|found|demonstrate|reveal|indicate|suggest|confirm
        |prove|see|observe|study|address|evaluate|test|use|apply|extend|validate|propose|introduce|describe
        |call)(?:s|ed|d)?\ (?:that\ )?(?:it|they)\b(?!\ {_EXPLETIVE})
    |(?:[\w-]+\ ){{0,3}}(?:both|the\ (?:{_EARLIER}|two|three))\b(?!(?:\W+[\w-]+){{0,8}}?\W+(?:and|of)\b)
    |{_BEFORE_COMMA}\ (?:[^.;:,]{{0,80}},\ |(?:[\w.-]+\ ){{1,6}})(?:it|they)\b(?!\ {_EXPLETIVE})
    )"""
)
_MIN_WORDS, _MAX_LEAD_INS = 6, 3


def standalone(sentence: Sentence) -> Sentence:
    """Return a sentence without a lead-in that refers to an earlier sentence.

    ``To address this, we introduce X.`` becomes ``we introduce X.``, with `Sentence.is_cut` and the offsets
    of what is left.
    """
    at = 0
    for _ in range(_MAX_LEAD_INS):
        length = _lead_in(sentence.text[at:])
        if not length or len(sentence.text[at + length :].split()) < _MIN_WORDS:
            break
        at += length
    if not at:
        return sentence
    return replace(sentence, text=sentence.text[at:], start=sentence.start + at, is_cut=True)


def _lead_in(text: str) -> int:
    """Return the length of a beginning to leave out, or 0."""
    match = _LEAD_IN.match(text)
    if match is None:
        return 0
    purpose = match["purpose"]
    if purpose and (not _REFERS.search(purpose) or _CONDITION.search(purpose)):
        return 0
    return match.end()


def refers_back(text: str) -> bool:
    """Return whether a sentence opens with a reference to an earlier sentence."""
    return _REFERS_BACK.match(text) is not None
