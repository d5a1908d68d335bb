"""The evaluation harness: cases, scorers, runs, reports. Works offline, on whoever's questions.

`cases` reads questions with what their answers must hold; `runs` asks them and keeps everything;
`scorers` judges each answer against the source text; the rest describes and compares runs.
"""
