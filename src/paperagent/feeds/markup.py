"""HTML and MathML to text, once, for the formats that carry markup.

Only elements known to HTML or MathML go: ``a < b``, ``<unk>`` and ``<|endoftext|>`` are words of
an abstract and stay. One pass over the text, so hostile nesting costs no more than its length.
"""

from __future__ import annotations

import html
import re
from typing import Any

_INLINE = frozenset(
    """a abbr acronym address applet area audio b base basefont bdi bdo big button canvas center cite code
    col colgroup data datalist del dfn dir em embed fieldset font form frame frameset iframe i img input ins
    isindex kbd keygen label legend link map mark marquee meta meter noframes noscript object optgroup option
    output param picture progress q rp rt ruby s samp select small source span strike strong sub sup svg
    template textarea time track tt u var video wbr html head body
    math maction maligngroup malignmark menclose merror mfenced mfrac mglyph mi mlabeledtr mlongdiv
    mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mscarries mscarry msgroup msline
    mspace msqrt msrow mstack mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none semantics
    italic bold sc""".split()
)
_BLOCK = frozenset(
    """article aside blockquote br caption dd details dialog div dl dt figcaption figure footer h1 h2 h3 h4
    h5 h6 header hr li main menu nav ol p pre sec section summary table tbody td tfoot th thead title tr
    ul""".split()
)
_HIDDEN = frozenset("script style annotation annotation-xml".split())
_KNOWN = _INLINE | _BLOCK | _HIDDEN

# A tag is bounded in length: an unclosed "<a" never makes the scan run to the end of the text.
_TOKEN = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]{0,30})(?:[\s/][^<>]{0,2000})?>|<!--|-->")


def has_markup(text: str) -> bool:
    """Tell whether ``text`` holds a tag of HTML or MathML."""
    return any(_local(m) in _KNOWN for m in _TOKEN.finditer(text))


def strip(text: str) -> str:
    """Return the text that a browser would show, on one line; entities are decoded once, after the tags."""
    shown: list[str] = []
    at, hidden = 0, ""
    for match in _TOKEN.finditer(text):
        name = _local(match)
        if hidden:
            if _ends(match, name, hidden):
                at, hidden = match.end(), ""
            continue
        if name not in _KNOWN and match[0] != "<!--":
            continue
        shown.append(text[at : match.start()])
        at = match.end()
        if name in _BLOCK:
            shown.append(" ")
        elif match[0] == "<!--" or (name in _HIDDEN and not match["close"]):
            hidden = name or "<!--"
    if not hidden:
        shown.append(text[at:])
    return html.unescape("".join(shown))


def element_text(element: Any) -> str:
    """Return the text of an XML element and of what it encloses; block elements part words."""
    shown: list[str] = [element.text or ""]
    for child in element:
        name = str(child.tag).rpartition("}")[2].lower()
        if name not in _HIDDEN:
            inner = element_text(child)
            shown.append(f" {inner} " if name in _BLOCK else inner)
        shown.append(child.tail or "")
    return "".join(shown)


def _local(match: re.Match[str]) -> str:
    return (match["name"] or "").lower().rpartition(":")[2]


def _ends(match: re.Match[str], name: str, hidden: str) -> bool:
    return match[0] == "-->" if hidden == "<!--" else bool(match["close"]) and name == hidden
