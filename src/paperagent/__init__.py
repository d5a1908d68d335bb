"""Ask your paper feed: answers in which every sentence cites the sentence it rests on."""

__version__ = "0.1.0"
