"""Write docs/api.md from the docstrings of what `paperagent` exports; `make api` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"
INTRODUCTION = """\
# API reference

Everything on this page can be imported from `paperagent`. The page is generated from the
docstrings; run `make api` after you change one.
"""
GROUPS = {
    "The agent": ("PaperAgent", "ask", "check", "AskOptions"),
    "Results": (),
    "Errors": (),
}
"""Heading → names in this order; exceptions go under "Errors", all other names under "Results"."""


def main() -> None:
    """Write the page, or with ``--check`` exit with 1 if it is out of date."""
    page = render()
    if "--check" in sys.argv:
        current = PAGE.read_text(encoding="utf-8") == page
        sys.exit(None if current else "docs/api.md is out of date; run 'make api'")
    PAGE.write_text(page, encoding="utf-8")


def render() -> str:
    """Return the page as Markdown."""
    package = griffe.load(
        "paperagent", search_paths=[ROOT / "src"], resolve_aliases=True, docstring_parser="google"
    )
    exported = {
        name: package[name].final_target if package[name].is_alias else package[name]
        for name in map(str, package.exports or [])
        if not name.startswith("_")
    }
    errors = sorted(name for name in exported if name.endswith("Error"))
    first = GROUPS["The agent"]
    results = sorted(set(exported) - set(first) - set(errors))
    sections = []
    for heading, names in zip(GROUPS, (first, results, errors), strict=True):
        sections.append(f"## {heading}\n")
        sections += [_object(exported[name], level=3) for name in names if name in exported]
    return INTRODUCTION + "\n" + "\n".join(sections).rstrip() + "\n"


def _object(thing: griffe.Object, level: int) -> str:
    title = f"{'#' * level} `{thing.name}`\n\n"
    if isinstance(thing, griffe.Function):
        return title + f"```python\n{_signature(thing)}\n```\n\n" + _docstring(thing)
    text = title + _docstring(thing)
    members = [m for m in thing.members.values() if not m.name.startswith("_") and not m.is_alias]
    attributes = [m for m in members if isinstance(m, griffe.Attribute) and m.docstring]
    if attributes:
        text += "| attribute | type | meaning |\n|---|---|---|\n"
        text += "".join(
            f"| `{a.name}` | {f'`{_cell(a.annotation)}`' if a.annotation else ''} | {_cell(_plain(a))} |\n"
            for a in attributes
        )
        text += "\n"
    methods = [m for m in members if isinstance(m, griffe.Function) and m.docstring]
    return text + "\n".join(_object(method, level + 1) for method in methods)


def _signature(function: griffe.Function) -> str:
    kinds = griffe.ParameterKind
    parts, keyword_only = [], False
    for p in function.parameters:
        if p.name == "self":
            continue
        if p.kind is kinds.keyword_only and not keyword_only:
            keyword_only = True
            parts.append("*")
        star = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(p.kind, "")
        keyword_only = keyword_only or star == "*"
        annotation = f": {p.annotation}" if p.annotation is not None else ""
        default = f" = {p.default}" if p.default is not None and not star else ""
        parts.append(f"{star}{p.name}{annotation}{default}")
    result = f" -> {function.returns}" if function.returns is not None else ""
    prefix = "async def" if "async" in function.labels else "def"
    line = f"{prefix} {function.name}({', '.join(parts)}){result}"
    if len(line) <= 100:
        return line
    return f"{prefix} {function.name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"


def _docstring(thing: griffe.Object) -> str:
    if thing.docstring is None:
        return ""
    text = ""
    for section in thing.docstring.parsed:
        if section.kind is griffe.DocstringSectionKind.text:
            text += section.value.replace("``", "`") + "\n\n"
        elif section.kind is griffe.DocstringSectionKind.parameters:
            text += "Arguments:\n\n" + _items((f"`{p.name}`", p.description) for p in section.value)
        elif section.kind is griffe.DocstringSectionKind.returns:
            text += "Returns: " + " ".join(_one_line(r.description) for r in section.value) + "\n\n"
        elif section.kind is griffe.DocstringSectionKind.yields:
            text += "Yields: " + " ".join(_one_line(r.description) for r in section.value) + "\n\n"
        elif section.kind is griffe.DocstringSectionKind.raises:
            text += "Raises:\n\n" + _items((_errors(r), r.description) for r in section.value)
        else:
            text += str(section.value) + "\n\n"
    return text


def _errors(raises: griffe.DocstringRaises) -> str:
    """Return the names of the exceptions of one entry; griffe parses "A, B" as a tuple."""
    return ", ".join(f"`{name.strip()}`" for name in str(raises.annotation).strip("()").split(","))


def _items(pairs: object) -> str:
    return "".join(f"- {name}: {_one_line(text)}\n" for name, text in pairs) + "\n"  # type: ignore[attr-defined]


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _plain(thing: griffe.Object) -> str:
    return thing.docstring.value if thing.docstring else ""


def _cell(value: object) -> str:
    return _one_line(str(value)).replace("|", "\\|")


if __name__ == "__main__":
    main()
