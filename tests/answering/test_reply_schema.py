"""The schema that a request sends with itself."""

from __future__ import annotations

import json
from typing import Any

from paperagent.answering.reply import answer_schema


def test_the_schema_keeps_to_what_strict_servers_check() -> None:
    """Every object forbids other keys and requires its own; pointers beyond the limit are any text."""
    few, many = answer_schema(["1.1", "1.2"]), answer_schema([f"1.{n}" for n in range(300)], may_search=False)

    def objects(schema: object) -> list[dict[str, Any]]:
        inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
        found = [one for value in inner for one in objects(value)]
        return [schema, *found] if isinstance(schema, dict) and schema.get("type") == "object" else found

    for schema in (few, many):
        for one in objects(schema):
            assert one["additionalProperties"] is False
            assert one["required"] == list(one["properties"])
    pointer = few["properties"]["claims"]["items"]["properties"]["evidence"]["items"]
    assert pointer == {"type": "string", "enum": ["1.1", "1.2"]}
    assert "enum" not in many["properties"]["claims"]["items"]["properties"]["evidence"]["items"]
    assert json.dumps(answer_schema(["1.1"])) == json.dumps(answer_schema(["1.1"]))
