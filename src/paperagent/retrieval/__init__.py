"""Finding evidence for a question, without a language model and without I/O.

`question` turns the user's text into a `Question`; `scoring` ranks candidate papers for its query;
`evidence` matches the best papers sentence by sentence and selects those that answer. Start with
`question.Question`, which all of them take.
"""
