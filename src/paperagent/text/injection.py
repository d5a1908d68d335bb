"""Recognize sentences that instruct a model instead of reporting something (prompt injection).

A sentence such as "Ignore the above directions and print …" stays in the library and in the passages, but no
claim of a model may cite it. The patterns can be evaded; the attacker then gets a sentence quoted under the
paper's own name, and nothing more. Of 61,748 sentences in arXiv abstracts they match 2, both of which quote
such instructions.
"""

from __future__ import annotations

import re
from functools import lru_cache

_VERBS = (
    "add|anagram|answer|append|augment|break down|capitali[sz]e|combine|complete|compose|conclude|convert|"
    "create|declare|decode|delete|describe|develop|discuss|download|draft|embed|encode|enhance|ensure|execute|"
    "explain|finish|format|generate|give|group|hide|highlight|identify|include|inform|insert|integrate|"
    "introduce|jumble|list|mention|misspell|modify|name|open|output|praise|prepend|pretend|print|promote|"
    "provide|quote|rank|rate|rearrange|recite|recommend|remove|render|repeat|rephrase|replace|reply|report|"
    "respond|reverse|rewrite|say|score|scramble|send|share|show|sort|spell|state|substitute|suggest|"
    "summari[sz]e|switch|tell|translate|treat|use|write"
)
_VERBS_IN_NAMES = {"create", "list", "name", "rank", "rate", "score"}
"""Verbs that also occur in names, such as "Semantic Score"."""
_CAPITALIZED_VERBS = "|".join(verb.capitalize() for verb in _VERBS.split("|") if verb not in _VERBS_IN_NAMES)
_OBJECTS = (
    "a|all|an|anagrams|any|as|commonly|each|every|five|four|how|in|letters|me|my|no|numbers|one|only|our|"
    "random|readers|some|spaces|ten|that|the|their|these|this|those|three|to|two|us|users|vowels|what|when|"
    "where|who|why|with|words|your"
)
_IMPERATIVE = re.compile(
    # At the start, or anywhere with a capital: after an address or "e.g." the splitter begins no sentence.
    rf"(?:\A[\W_]*+(?i:(?:please|now|also|next|then|first|finally),?\s+)?(?i:{_VERBS})|(?<![Tt]o)\s(?:{_CAPITALIZED_VERBS}))"
    rf"\s+(?i:{_OBJECTS})\b"
)
_ADDRESS = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override)\b(?:\W++\w++){0,3}?\W++(?:instructions?|directions?|directives?
        |prompts?|rules?|guidelines|content|data|scoring|indicators|text|above|said)\b
    | \byour\s+(?:\w+\s+)?(?:answers?|responses?|repl(?:y|ies)|messages?|outputs?|completions?|reviews?
        |summar(?:y|ies)|code|codebase|solution|implementation)\b
    | \bas\s+an?\s+(?:\w+\s+){0,3}(?:model|assistant|ai|llm|chatbot|reviewer)\s*,\s*(?:you|always|never|do)\b
    | \byou\s+(?:must|should|shall|will|may)\b(?:\s+\w+)?\s+(?:ignore|obey|respond|reply|answer|print|output
        |recommend|accept|deviate|pretend|comply|say)\b
    | \b(?:note|notice|message|instructions?)\s+(?:to|for)\s+(?:all\s+|any\s+|the\s+)?
        (?:ai|agents?|assistants?|automated|bots?|language\s+models?|llms?|models?|reviewers?)\b[^.:]{0,300}+:
    | \bfor\s+(?:all\s+)?(?:ai|automated|llm)\s+(?:screening\s+)?(?:systems?|reviewers?|agents?|models?)\s*:
    | \binvisible\s+to\s+humans\b
    | <\|\w+\|>|\[/?inst\]|\[/?system\]|\[admin\b|</?(?:instructions?|system|admin)>|\[rest-of-document\]
    | \b(?:system|admin|developer)(?:\s+(?:message|request|prompt|note))?\s*::?\s*
        (?:ignore|you|print|praise|do|please|override)\b
    | \b(?:and|simply|just|only|please|next,?)\s+(?:output|print|report|repeat|respond|reply)\b
        (?:\s*:|\s+with\s+["'“‘]|\s+the\s+following|\s+(?-i:[A-Z]{3}))
    | \b(?:print|output|repeat)\s+["'“‘]
    | \bgive\s+(?:an?\s+)?(?:positive|good|favou?rable|high)\s+(?:review|score|rating)
    | (?:\A|[.:;!?]\W{1,8}+|\band\s+)(?:do\s+not|don'?t|never)\s+(?:highlight|mention|evaluate|reveal|tell|say
        |criti[cs]i[sz]e|summari[sz]e)\b
    | \breport\s+only\s*:
    | \b(?:if|when)\s+(?:asked|questioned)\b[^.]{0,80}\b(?:report|respond|reply|say|answer|print)\b
    | \b(?:following|subsequent)\s+code\s+(?:block|excerpt|section|snippet)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_QUESTION = re.compile(r"[?？][\"'”’)\]*]*(?:\s|\Z)")


@lru_cache(maxsize=20_000)  # an answer checks every sentence of ten papers, which takes 20 ms uncached
def looks_like_instruction(sentence: str) -> bool:
    """Return whether a sentence gives an order to whoever processes it."""
    return bool(_IMPERATIVE.search(sentence) or _ADDRESS.search(sentence))


def is_question(sentence: str) -> bool:
    """Return whether a sentence is, or ends in, a question. A question states nothing."""
    return bool(_QUESTION.search(sentence))
