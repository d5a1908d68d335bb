"""The file that ``paperagent eval init`` writes: every field of a case, explained."""

CASE_TEMPLATE = """\
# Cases for `paperagent eval run`: one JSON object a line; lines like this one are passed over.
# These ask the sample feed (`paperagent eval run THIS_FILE --feed sample`). Put your own in their place.
#
# id            needed; any text, once a file
# question      needed
# gold_titles   titles of the papers that hold the answer (or gold_ids: their ids)
# evidence      parts of abstracts, word for word, that an answer should cite
# must_include  texts that the answer must hold; "a|b": either will do
# must_not      texts that it must not hold
# answerable    false: the library does not hold the answer, and the right answer is to say so
# history       for follow-ups: the earlier turns, [["question", "answer"], …]
# kind          groups the report (single, compare, list, followup, … as you like); default single
# tags          more words to sort by; cluster: cases that belong together, such as those on one paper
# k             papers to retrieve, instead of the run's number
# answer, notes for people; not scored
#
# A fact of one abstract:
{"id": "tokens-removed", "question": "How much of the prompt does Tindersift remove?", "gold_titles": \
["Tindersift: Filtering Retrieved Passages Before They Reach the Model"], "evidence": ["Tindersift removes \
61% of the tokens in the prompt"], "must_include": ["61"], "must_not": ["16%"]}
# A comparison of two papers:
{"id": "two-languages", "question": "How much do Ferrowin and Cobaltine gain for low-resource languages?", \
"kind": "compare", "gold_titles": ["Ferrowin: Translating Low-Resource Languages with a Dictionary in the \
Prompt", "Cobaltine: A Vocabulary That Charges Every Language the Same"], "evidence": ["improves by 8.7 chrF \
points", "3.4 points better on average"], "must_include": ["8.7", "3.4"]}
# A follow-up, which leans on what was said before:
{"id": "its-price", "question": "And what does it cost in accuracy?", "kind": "followup", \
"history": [["How much of the prompt does Tindersift remove?", "Tindersift removes 61% of the tokens."]], \
"gold_titles": ["Tindersift: Filtering Retrieved Passages Before They Reach the Model"], \
"must_include": ["0.4"]}
# A question that the library cannot answer:
{"id": "not-there", "question": "Who won the football world cup of 1998?", "kind": "unanswerable", \
"answerable": false}
"""
