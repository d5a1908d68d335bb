"""The command that adds a webhook as a subscriber."""

from __future__ import annotations

from typing import Any

import click

from paperagent.cli.options import TextParam, common_options, pop_preferences, preference_options
from paperagent.cli.session import Session, show_text


@click.command("add-webhook")
@click.argument("kind", type=click.Choice(["json", "slack", "mattermost", "teams"]))
@click.argument("url", type=TextParam())
@preference_options
@click.option(
    "--frequency",
    type=click.Choice(["weekly", "daily", "monthly"]),
    help="How often to post an issue (default: weekly, or unchanged).",
)
@common_options
@click.pass_obj
def add_webhook(session: Session, /, kind: Any, url: str, **options: Any) -> None:
    """Post issues to a webhook instead of sending email.

    KIND is the service: slack, mattermost, teams (a workflow for webhook requests), or json for your own
    program, which verifies the signature with the printed key. The webhook is listed by a label, because its
    URL is a secret; 'subscribers remove LABEL' removes it.
    """
    from paperagent.factory.digest import digest_service

    preferences = pop_preferences(session, options)
    with digest_service(session.settings()) as service:
        result = service.webhooks.add(url, kind, preferences, frequency=options["frequency"])
        label = result.subscriber.email
        show_text(
            f"{'added' if result.new else 'changed'} {label}: {result.subscriber.frequency}", plain=True
        )
        if kind == "json":
            show_text(f"signing key: {service.webhooks.signing_secret(label)}", plain=True)
