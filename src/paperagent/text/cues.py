"""Cue phrases for the role of a sentence in an abstract: background, contribution, result, code or outlook.

All patterns take linear time, because gaps between words are bounded.
"""

from __future__ import annotations

import re


def pattern(text: str) -> re.Pattern[str]:
    """Compile a verbose pattern that ignores case."""
    return re.compile(text, re.IGNORECASE | re.VERBOSE)


_WORK = "(?:paper|work|study|article|report|survey|thesis)"
ACTS = pattern(
    rf"""\b(?:we|this\ {_WORK}|{_WORK}\ that)\b[^.;:]{{0,80}}?\b(?:propos|introduc|present|develop|design
    |formulat|construct|build|creat|devis|establish|releas|contribut|provid|offer|deriv|prov[ei]|demonstrat|show|find|found
    |discover|reveal|observ|uncover|identif|report|investigat|stud(?:y|ied)|analy[sz]|examin|explor|evaluat|conduct
    |compar|extend|adapt|address|tackl|survey|review|argu|leverag|combin|us(?:e|ing)\b|train|achiev|obtain
    |fine-?tun)"""
)
PRESENTS = pattern(
    rf"""\b(?:we|this\ {_WORK}|here)\b[^.;:]{{0,60}}?\b(?:propos|introduc|present|develop|design|devis
    |construct|build|creat|releas|formulat|establish)"""
)
FINDS = pattern(
    r"""\b(?:we|experiments?|results?|evaluations?|analys[ie]s|findings|study|simulations?|extensive\ \w+)\b
    [^.;:]{0,80}?\b(?:show|find|found|demonstrat|reveal|observ|prove|discover|indicat|suggest|confirm|uncover
    |establish|report|achiev|outperform|obtain)"""
)
BACKGROUND = pattern(
    r"""\b(?:however|existing|previous|prior|recent(?:ly)?|despite|although|traditional(?:ly)?|typically|often
    |challeng\w+|remains?|lack|limited|limitations?|crucial|essential|promising|widely|increasingly|suffer
    |struggle|fail|conventional|current(?:ly)?|important|growing|has\ (?:become|emerged)
    |have\ (?:become|emerged|shown|been))\b"""
)
PROBLEM = pattern(
    r"""\b(?:however|but|yet|challeng\w+|remains?|lack\w*|limit\w*|difficult\w*|problem|suffer\w*|struggl\w*
    |fail\w*|bottleneck|expensive|costly|unclear|unknown|overlook\w*|neglect\w*|ignor\w*|gap|hinder\w*
    |unexplored|underexplored|insufficient\w*|issue)\b"""
)
NUMBER = pattern(
    r"""\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million|billion|half|twice|double
    |order\ of\ magnitude)\b"""
)
_RELEASED = (
    "(?:codes?|codebase|implementations?|data(?:sets?)?|models?|weights|checkpoints?|demos?|resources|website"
    "|benchmark)"
)
_CODE_LINK = pattern(
    rf"""https?:|www\.|\bunder\ the\ \w{{1,20}}\ licen[cs]e\b
    |\b{_RELEASED}\b[^.;]{{0,60}}?\b(?:is|are|be|been|was|were)\ (?:\w{{1,20}}\ ){{0,3}}?
        (?:open-?sourced|released|publicly|made\ (?:available|public)|found\ (?:at|on)
        |(?:available|accessible|published)
            (?=\W*\Z|\ (?:at|on|from|via|here|online|upon|under|through|in\ our)\b))
    |\b(?:release|open-?source|publish|share|provide)\ (?:all\ |our\ |the\ |both\ )*(?:source\ )?
        (?:codes?|codebase|resources|components|checkpoints?|model\ weights|implementations?)\b
    |\bto\ (?:encourage|facilitate|support|foster|promote|spur|enable|stimulate)\ (?:further|future)\ \w+"""
)
_KINDS_OF_FILES = r"""(?:all|our|the|both|source|full|complete|associated|corresponding|related|necessary
    |trained|pre-?trained|fine-?tuned|training|inference|evaluation|model|data|analysis|and)"""
_ASIDE = pattern(
    rf"""\bwe\ (?:\w{{1,20}}\ )?(?:release|open-?source|publish|share|provide)\ (?:{_KINDS_OF_FILES}\ )*
        (?:codes?|codebase|checkpoints?|weights|scripts?|artifacts?|logs|materials?|resources)\b
    |\b(?:for\ |to\ (?:\w{{1,20}}\ ){{1,3}}?)(?:\w{{1,20}}\ (?:and|or)\ )?(?:reproducib|replicab)\w{{1,6}}\b
    |\A\W*(?:all|every|each|our|the|these)\ (?:\w{{1,20}}\ ){{0,3}}?
        (?:experiments?|runs?|results?|findings?|measurements?|numbers?|analys[ei]s|effects?|patterns?)\b
        [^.;:,]{{0,30}}?\b(?:replicat|reproduc|repeated|averaged\ over|pre-?registered)"""
)
_OUTLOOK = pattern(
    r"""\A\W*(?:(?:finally|overall|lastly|in\ (?:conclusion|summary)|to\ conclude|more\ broadly),?\ )?(?:
    we\ (?:also\ )?(?:hope|believe|envision|expect|anticipate|invite|encourage|thank|acknowledge
        |are\ (?:optimistic|encouraged|grateful))\b
    |future\ (?:work|research|studies|directions)\b
    |(?:the\ )?(?:implications|limitations)\ (?:and|of|for|are)\b
    |it\ remains\b
    |(?:our|these|this|the|such)\ (?:\w{1,30}\ ){0,3}?(?:findings?|results?|work|study|insights?|methods?
        |methodology|approach|advancement|breakthrough|analys[ie]s|survey|research|evidence|paper|contributions?
        |review|observations?|outcomes?|discover(?:y|ies)|framework|system)\b[^.;:]{0,60}?\b(?:
        (?:highlights?|underscores?|emphasi[sz]es?|stress(?:es)?|showcases?)\ (?:the\ |an?\ )?
            (?:\w{1,30}\ ){0,2}?(?:needs?|importance|potential|promise|significance
            |necessity|value|urgency|versatility)
        |calls?\ for|hopes?|(?:will\ )?(?:inspire|motivate)s?|contributes?\ to|paves?|sheds?|caution
        |opens?\ (?:up\ )?(?:new|the\ (?:way|door)|avenues|possibilities)
        |offers?\ (?:a\ )?(?:new|valuable|insights?)|provides?\ (?:\w{1,30}\ )?(?:valuable|insights?|guidance)
        |have\ important\ implications|(?:can|will|could)\ (?:guide|help|inform|stimulate))\b
    )
    |\bremains?\ (?:to\ be\ seen|an?\ open|unclear)\b
    |\bwe\ (?:discuss|present|outline)\ (?:\w{1,30}\ ){0,3}(?:implications|future|promises|limitations)"""
)
_PARENTHESES = re.compile(r"\([^()]{0,300}\)")


def announces_release(sentence: str) -> bool:
    """Return whether a sentence announces code, data or models; a link in parentheses does not count."""
    return _CODE_LINK.search(_PARENTHESES.sub(_without_link, sentence)) is not None


def is_aside(sentence: str) -> bool:
    """Return whether a sentence announces files, or says how results were repeated, not what they are."""
    return announces_release(sentence) or _ASIDE.search(sentence) is not None


def is_outlook(sentence: str) -> bool:
    """Return whether a sentence is about hopes, future work, thanks or importance instead of a finding."""
    return _OUTLOOK.search(sentence) is not None


def _without_link(parentheses: re.Match[str]) -> str:
    return "" if "http" in parentheses.group() else parentheses.group()
