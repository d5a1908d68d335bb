"""The evaluation harness: ask cases, score the answers against the source text, compare runs.

It works offline and on your own questions. `cases` reads questions with the expected properties of their
answers, `runner` asks them and records every answer in the format of `results`, and `scorers` holds the
metrics. On top of that, `report` shows a run, `compare` compares two, and `gate` checks thresholds. `replay`
records a model's replies so that a run can be repeated without the model, `calibrate` chooses the abstention
thresholds of a library, `beir` reads retrieval sets, `feedback` turns /good and /bad of the chat into cases,
and `selftest` measures which faults the scorers detect.

Start reading at `runner.run_cases`; to add a metric, see `scorers`.
"""
