"""Read by mypy alone: each line that ends in ``# wrong`` must be an error, and no other line."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

from paperagent import Answer, AskOptions, Event, PaperAgent, ask


def asks(agent: PaperAgent) -> None:
    answer: Answer = ask("q", k=3, mode="extractive", since="2026-06-01", history=[("q", "a")])
    events: Iterator[Event] = agent.ask_stream("q", effort="deep", max_cost=0.01, judge=True)
    options: AskOptions = {"model": "gpt-6-luna", "unsupported": "mark", "cache": None}
    agent.ask(answer.question, **options)
    assert events
    ask("q", modle="x")  # wrong
    ask("q", k="3")  # wrong
    ask("q", 3)  # wrong
    agent.ask("q", mode="abstract")  # wrong
    agent.ask_stream("q", modle="x")  # wrong
    misspelt: AskOptions = {"modle": "x"}  # wrong
    assert misspelt


async def asks_later(agent: PaperAgent) -> None:
    answer: Answer = await agent.aask("q", k=3)
    events: AsyncGenerator[Event, None] = agent.aask_stream(answer.question, category="cs.CL")
    async for event in events:
        assert event.kind
    await agent.aask("q", modle="x")  # wrong
    agent.aask_stream("q", modle="x")  # wrong
    assert agent.aask("q").status  # wrong
