"""Convert HTML, JATS and MathML to plain text, for titles and abstracts from any feed.

`plain_text` reads a string, which may hold tags, entities, both or neither; `element_text` reads a parsed XML
element. Only certain markup is removed: ``a < b``, ``<unk>``, ``<|endoftext|>`` and a lone ``<i>`` are words
of an abstract and stay. The result contains no number that is not in the source: superscripts become
``10^6``, and adjacent numbers stay apart. The text is scanned once, so hostile nesting takes linear time.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder

from paperagent.text.edits import joins_numbers
from paperagent.text.mathml import FORMULA, formula_text, local_name
from paperagent.text.scripts import subscript, superscript

_EMPHASIS = frozenset("b bold strong i italic em u underline font span sc".split())
_INLINE = _EMPHASIS | frozenset(
    """a abbr acronym address big center cite code del dfn figure-reference html body head img inf input ins
    kbd label link mark nobr object param q rp rt ruby samp small source strike sub sup svg template time tt
    var wbr monospace overline roman sans-serif styled-content named-content ext-link uri xref email
    inline-formula disp-formula alternatives tex-math inline-graphic graphic fn""".split()
)
_BLOCK = frozenset(
    """article aside blockquote br caption dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6
    header hr li list list-item main menu nav ol p pre sec section summary table tbody td tfoot th thead
    title tr ul""".split()
)
_HIDDEN = frozenset("script style annotation annotation-xml".split())
_MARKUP = _INLINE | _BLOCK | _HIDDEN | FORMULA
_MARKS_OF_NOTES = frozenset("bibr fn table-fn aff corresp author-notes".split())
"""Types of cross-references that are only marks of sources and notes, such as a raised 12."""
_VOID = frozenset("br hr img wbr mspace".split())
_UNPAIRED = frozenset("p li div td tr th ul ol dl dd dt h1 h2 h3 h4 h5 h6".split())
"""Elements that count as markup even if only one of their tags is left, as in a truncated text."""
_MAX_DEPTH = 100

# All lengths are limited, so that an unclosed "<a" does not make the scan run to the end of the text.
_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]{0,30}+)"
    r"(?P<attributes>(?:\s++[A-Za-z_:][\w:.-]{0,60}+\s*+=\s*+(?:\"[^\"]{0,1000}+\"|'[^']{0,1000}+'|[^\s\"'<>]{1,1000}+)"
    r"|\s++(?:async|defer|hidden|noshade|nowrap|disabled|checked)(?=[\s/>]))*+)\s*+(?P<void>/?)>"
    r"|<!--|-->|<!\[CDATA\[|\]\]>"
)
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'<>]+))")
_ENTITY = re.compile(r"&(#\d{2,7}|#[xX][\dA-Fa-f]{2,6}|[A-Za-z][A-Za-z\d]{1,30});")
_ESCAPED_AGAIN = re.compile(r"&(?:amp;)+(?=(?:#\d{2,7}|#[xX][\dA-Fa-f]{2,6}|[A-Za-z][A-Za-z\d]{1,30});)")
_LABEL = re.compile(
    r"(?:abstract|aims?|background|conclusions?|context|data|design|discussion|findings|interpretation"
    r"|introduction|keywords|limitations|materials?|methods?|motivation|objectives?|patients?|problem|purpose"
    r"|question|rationale|results?|setting|significance|summary|trial registration)",
    re.IGNORECASE,
)
_NUMBER_AND_SPACE = re.compile(r"\d{1,20}(?:[.,]\d{1,20})?\s")
_TEX_BODY = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)


def plain_text(text: str) -> str:
    """Return the text that a browser would show of ``text``, which may be HTML, JATS or plain.

    Entities are decoded once; if the text is escaped twice (``&amp;lt;``, ``&lt;p&gt;``), it is decoded
    twice. White space stays as it is, and block elements add some.
    """
    if "<" not in text and "&" not in text:
        return text
    tags = _markup_tags(text)
    if not tags:
        decoded = _decode_entities(text)
        if decoded is text:
            return text
        tags = _markup_tags(decoded)
        if not tags:
            return _decode_entities(_ESCAPED_AGAIN.sub("&", text))
        text = decoded
    return element_text(_parse(text, tags))


def element_text(element: Any) -> str:
    """Return the text of an XML element and its descendants; block elements separate words."""
    writer = _Writer()
    writer.element(element)
    return "".join(writer.parts)


def entity_character(name: str) -> str:
    """Return the character of an entity such as ``eacute`` or ``#233``.

    Entities of digits stay, because they would change a number, and so do unknown ones.
    """
    char = html.unescape(f"&{name};")
    return f"&{name};" if len(char) > 2 or any(c.isdecimal() for c in char) else char


def _decode_entities(text: str) -> str:
    return _ENTITY.sub(lambda m: entity_character(m[1]), text) if "&" in text else text


class _Tag(NamedTuple):
    """A tag or a comment that is markup."""

    start: int
    end: int
    name: str
    """The local name; "" for a comment."""
    kind: str
    """``open`` or ``close`` of a pair, or ``single``."""
    attributes: str


def _markup_tags(text: str) -> list[_Tag]:
    """Return the tags in ``text`` that are markup, in order."""
    if "<" not in text:
        return []
    tags: list[_Tag] = []
    opened: dict[str, list[int]] = {}
    comment, last_comment = -1, text.rfind("-->")
    for match in _TAG.finditer(text):
        start, end, name = match.start(), match.end(), local_name(match["name"] or "")
        if comment >= 0:
            if match[0] == "-->":
                tags.append(_Tag(comment, end, "", "single", ""))
                comment = -1
        elif match[0] == "<!--" and start < last_comment:
            comment = start
        elif "[" in match[0][:9] or match[0] == "]]>":
            tags.append(_Tag(start, end, "", "single", ""))
        elif name in _MARKUP:
            kind = "single" if _is_single(match) else "unpaired"
            if match["close"] and (positions := opened.get(name)):
                kind, index = "close", positions.pop()
                tags[index] = tags[index]._replace(kind="open")
            elif not match["close"] and not match["void"] and name not in _VOID:
                opened.setdefault(name, []).append(len(tags))
            tags.append(_Tag(start, end, name, kind, match["attributes"]))
    return [tag for tag in tags if tag.kind != "unpaired"]


def _is_single(tag: re.Match[str]) -> bool:
    """Return whether a tag without its counterpart is markup: it closes, or has attributes or a prefix."""
    name = tag["name"]
    is_void = bool(tag["void"]) or name.lower() in _VOID
    return bool(tag["close"] or is_void or tag["attributes"] or name in _UNPAIRED or ":" in name)


def _parse(text: str, tags: Iterable[_Tag]) -> Element:
    """Return ``text`` as a tree. Elements that overlap or nest too deeply are closed early."""
    builder = TreeBuilder()
    builder.start("text", {})
    opened: list[str] = []
    position = 0
    for tag in tags:
        builder.data(_decode_entities(text[position : tag.start]))
        position = tag.end
        if tag.kind == "close":
            while tag.name in opened:
                builder.end(opened[-1])
                if opened.pop() == tag.name:
                    break
        elif tag.kind == "open" and len(opened) < _MAX_DEPTH:
            attributes = _ATTRIBUTE.findall(tag.attributes) if tag.name in {"mfenced", "xref"} else ()
            builder.start(tag.name, {key: _decode_entities(a or b or c) for key, a, b, c in attributes})
            opened.append(tag.name)
        elif tag.name:
            builder.start(tag.name, {})
            builder.end(tag.name)
    builder.data(_decode_entities(text[position:]))
    for name in reversed(opened):
        builder.end(name)
    builder.end("text")
    return builder.close()


class _Writer:
    """Writes the text of elements, and keeps numbers and words of different elements apart.

    Attributes:
        parts: the text so far, in pieces.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._end = ""
        """The last characters of the text."""
        self._run = ""
        """The text since the last tag of an emphasis, or before it if none followed it."""
        self._tags = ""
        """The tags of emphasis since the last text: ``<`` for an opening one, ``>`` for a closing one."""

    def element(self, element: Any) -> None:
        """Write the content of an element."""
        self._text(element.text or "")
        children = _merge_scripts(element)
        formulas = [child for child in children if local_name(child.tag) in {"math", "tex-math"}]
        chosen = next((f for f in formulas if local_name(f.tag) == "math"), formulas[0] if formulas else None)
        is_alternative = local_name(element.tag) in {"alternatives", "inline-formula", "disp-formula"}
        for child in children:
            if not (is_alternative and formulas and child is not chosen):
                self._child(child)
            self._text(child.tail or "")

    def _child(self, child: Any) -> None:
        name = local_name(child.tag)
        if name in _HIDDEN or (name == "xref" and child.get("ref-type") in _MARKS_OF_NOTES):
            return
        if name in _BLOCK:
            self._text(" ")
            self.element(child)
            self._text(" ")
        elif name in {"sup", "sub", "inf"}:
            content = element_text(child)
            write = superscript if name == "sup" else subscript
            self._text(write(content, self._end))
        elif name == "tex-math":
            self._text(_tex_formula(element_text(child)))
        elif name in FORMULA:
            self._text(formula_text(child))
        elif name in _EMPHASIS:
            self._tags += "<"
            self.element(child)
            self._tags += ">"
        else:
            self.element(child)

    def _text(self, text: str) -> None:
        if not text:
            return
        if joins_numbers(self._end, text) or (self._tags and _joins_headings(self._run, self._tags, text)):
            self.parts.append(" ")
        self.parts.append(text)
        self._run = text if self._tags else (self._run + text)[-200:]
        self._tags = ""
        self._end = (self._end + text)[-20:]


def _merge_scripts(element: Any) -> list[Any]:
    """Return the children; ``<sup>-</sup><sup>6</sup>`` becomes one superscript, but two numbers do not."""
    merged: list[Any] = []
    for child in element:
        before = merged[-1] if merged else None
        if (
            before is not None
            and child.tag == before.tag
            and child.tag in {"sup", "sub"}
            and not before.tail
            and not joins_numbers(element_text(before), element_text(child))
        ):
            both = Element(child.tag)
            both.text, both.tail = element_text(before) + element_text(child), child.tail
            merged[-1] = both
        else:
            merged.append(child)
    return merged


def _joins_headings(before: str, tags: str, after: str) -> bool:
    """Return whether a space is missing between two texts that are separated only by emphasis tags.

    ``<b>P</b>reference`` is one word; ``<b>Results</b>We`` and ``<b>Aim: one</b><b>End: none</b>`` are not.

    Args:
        before: the text before the tags.
        tags: ``<`` for each opening tag and ``>`` for each closing one.
        after: the text after them.
    """
    if ">" not in tags or len(before) < 2 or not after[:1].isalnum():
        return False
    if before[-1] in ".:;!?" and after[0].isupper():
        return len(before) > 3
    is_heading = "><" in tags or bool(_LABEL.fullmatch(before.strip()))
    if not is_heading or not before[-2:].isalnum():
        return False
    if after[0].isdecimal():
        return bool(_NUMBER_AND_SPACE.match(after))
    return after[0].isupper() and after[1:2].isalpha()


def _tex_formula(text: str) -> str:
    """Return the formula of a ``tex-math`` element between dollars, without the document around it."""
    body = _TEX_BODY.search(text)
    formula = (body[1] if body else text).strip()
    return formula if not formula or formula.startswith(("$", "\\(", "\\[")) else f"${formula}$"
