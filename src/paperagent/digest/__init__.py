"""The digest: an email with the new papers of a week that match what each subscriber asked for.

`service.DigestService` is the entry point. It keeps the subscribers (`subscribers`, `preferences`) and
the deliveries (`delivery.ledger`) in one SQLite file, builds the issues of a period with
`build.IssueBuilder` and sends them with `delivery.sender`. For each subscriber, `select` chooses and
groups papers, `write` quotes or writes a sentence about each paper and checks it, and `render` produces
HTML and text. `overview` uses the same writer for the ``summarize`` command.

Nothing here reads the settings: `paperagent.factory.digest` passes in the library, the models and the
mail settings.
"""
