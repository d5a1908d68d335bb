# ruff: noqa: E501 - a rule is easier to read on one line
"""Recognize and answer small talk: greetings, thanks, and requests for help or to quit.

Rules match a whole message.
"""

from __future__ import annotations

import re
from typing import Literal

SmallTalk = Literal["greeting", "thanks", "help", "quit"]

_GREETING_REPLY = (
    "Hello! Ask a question about the papers of your library. You can also ask “what's in this library?”, "
    "“what's new?” or “how many papers mention …?”."
)
_THANKS_REPLY = "You're welcome. Ask another question whenever you like."
_BYE_REPLY = "Goodbye."
_HELP_REPLY = """paperagent answers questions from the abstracts of your papers, with a citation for every sentence.

- a question: “Which methods reduce hallucinations?”
- the library: “what's in this library?”, “list the titles”, “what topics are covered?”
- counts: “how many papers mention RLHF?”, “how many papers from cs.CL since May?”
- new papers: “what's new?”, “what's new on agents?”
- a paper: “papers by NAME”, “the abstract of TITLE”, “who wrote the first one?”, “papers like the second one”
- an overview: “summarize the papers on tool use”
- add papers: 'paperagent ingest SOURCE'
- in the chat: /help lists the commands, quit ends it"""
REPLIES = {"greeting": _GREETING_REPLY, "thanks": _THANKS_REPLY, "help": _HELP_REPLY, "quit": _BYE_REPLY}
"""Kind → its answer."""

_NAMES = r"(?: (?:there|again|all|everyone|everybody|folks|team|friend|buddy|mate|man|you|paper ?agent|agent|bot|assistant|world|my friend|zusammen|allerseits|leute|tout le monde|a todos|todos|tutti))*"
_HELLO = (
    r"(?:hi|hii+|hello|hey|heya|hiya|hullo|helo|howdy|yo|greetings|good (?:morning|afternoon|evening|day)|morning|gday"
    r"|hallo|hallochen|moin|moin moin|servus|gruzi|gruezi|gruss? gott|guten (?:morgen|tag|abend)|bonjour|bonsoir|salut"
    r"|coucou|hola|buen(?:os|as) (?:dias|tardes|noches)|ola|bom dia|boa tarde|ciao|buongiorno|salve|hej|hejsan|hei|halla"
    r"|ahoj|czesc|dzien dobry|merhaba|selam|namaste|salaam|salam|shalom|privet|привет|здравствуйте|добрый день|привіт"
    r"|你好|您好|嗨|こんにちは|こんばんは|おはよう|안녕|안녕하세요|مرحبا|नमस्ते|goede?n?(?: dag|morgen|middag)|dag|hoi|👋)"
)
_HOW_ARE_YOU = (
    r"(?:how are (?:you|things)(?: doing)?(?: today)?|how do you do|hows (?:it going|life)|how is it going|whats up|wassup"
    r"|sup|nice to meet you|are you there|you there|anybody there|anyone there|wie gehts(?: dir)?|wie geht es dir"
    r"|ca va|comment ca va|como estas|que tal)"
)
_THANKS = (
    r"(?:thanks|thank you|thankyou|thank u|thanx|thx|thnx|tnx|tks|ty|tysm|cheers|much appreciated|appreciate it"
    r"|i appreciate it|danke|danke (?:schon|dir|sehr)|vielen dank|merci|merci beaucoup|gracias|muchas gracias|grazie"
    r"|grazie mille|obrigad[oa]|arigato|tack|dank je|bedankt|dziekuje|dekuji|спасибо|дякую|谢谢|謝謝|ありがとう"
    r"|ありがとうございます|감사합니다|شكرا|धन्यवाद|🙏|👍)"
)
_PRAISE = (
    r"(?:ok|okay|okey|k|kk|alright|all right|great|perfect|cool|nice|nice one|awesome|super|excellent|wonderful|good"
    r"|very good|amazing|brilliant|lovely|fantastic|wow|well done|good (?:job|work|answer|bot|stuff)|great (?:job|work|answer)"
    r"|got it|gotcha|i see|understood|that helps|that helped|that was helpful|very helpful|helpful|makes sense|impressive"
    r"|interesting|fine|sure|yes|yep|yeah|no|nope|never ?mind|forget it|lol|haha|hmm+|oh|ah|sorry|good to know|noted|right)"
)
_THANKS_MORE = r"(?: (?:a lot|so much|very much|again|for (?:the|your|all the|all your) (?:help|answer|answers|info|information|time)|for that|for this|for everything|a bunch|a ton|man|mate|buddy|bot))*"
_BYE = (
    r"(?:quit|exit|bye|bye bye|byebye|bye for now|bye then|lets stop(?: here| now)?|goodbye|good bye|good night|q|x|wq|see (?:you|ya)(?: (?:later|soon|tomorrow|around|then|next time))?|cya|later|farewell|so long"
    r"|logout|log out|log off|stop|end|close|done|im done|(?:that|this) (?:will|would|is|should) be all|thatll be all|that(?:s| is) (?:all|it|enough)(?: for (?:today|now))?|nothing (?:else|more)|thats everything|finished|enough|talk to you later|ttyl|(?:id like|i would like) to (?:stop|quit|leave|exit)|leave|abort"
    r"|(?:i want to|please|let me) (?:quit|exit|leave|stop)|(?:quit|exit|end|close|leave|stop) (?:the |this )?(?:chat|session|program|app|conversation|now)"
    r"|have a (?:nice|good|great) (?:day|evening|weekend|one)|tschuss|tschau|auf wiedersehen|bis bald|bis spater|adios"
    r"|hasta luego|au revoir|a bientot|arrivederci|tchau|hej ?da|пока|до свидания|再见|再見|さようなら|안녕히 가세요|ende|beenden|salir)"
)
_THING = r"(?:you|this|it|(?:this|the|your) (?:tool|program|thing|chat|app|library|bot|cli|catalog(?:ue)?|collection|database|system|service)|paper ?agent)"
_OBJECT = (
    r"(?: (?:a|an|the|some|more|new|my|this|these|your|all|other|another|papers?|articles?|feeds?|sources?|library|files?"
    r"|folder|pdfs?|arxiv|bibtex|citations?|references|digest|newsletter|email|models?|chat|conversation|history|session"
    r"|answers?|topics?|date|category|author|to|from|into|in|of|by|as|for|with|here|key|api|settings?|language))*"
)
_BEING = r"(?:(?:an?|some|kind of|sort of|actual) )*(?:ai|bot|human|llm|chatbot|real|chatgpt|robot|language model|person|machine|program|human being|computer|tool|software|search engine|not)"
_HELP_FORMS = (
    r"help|help me|help please|please help|(?:i )?need (?:some )?help|(?:can|could) you help(?: me)?|halp|hlep|h",
    r"man|usage|instructions|manual|docs|documentation|tutorial|commands|options|menu|faq|examples?(?: questions?)?",
    r"hilfe|hilf mir|ayuda|aide|aiuto|ajuda|помощь|帮助|ヘルプ",
    (
        r"(?:what|which) (?:commands|options|features|things)"
        r"(?: (?:are there|do you have|can i use|exist|are available|do you support))?"
    ),
    r"(?:list|show)(?: me)?(?: the| all)? (?:commands|options|help|features)",
    r"who (?:are|r) (?:you|u)|what are you|what(?:s| is) (?:your name|paper ?agent|your purpose)",
    rf"are you {_BEING}(?: or (?:are you )?{_BEING})?|(?:tell me about|introduce) yourself",
    r"who am i (?:talking|speaking|chatting|writing) (?:to|with)|what are you (?:capable of|made for|here for|able to do)|how (?:do|can) i search (?:here|this|in here|with this)",
    r"who (?:made|built|created|wrote) you|what(?: all)? (?:can|could|do) you do(?: for me)?",
    r"what (?:model|llm) (?:are you|do you use|is this)|which (?:model|llm) (?:are you|do you use)",
    r"(?:what|which)(?: (?:kinds?|sorts?|types?) of)? (?:questions?|things|stuff) (?:can|could|may|should|do|might) (?:i|one|we) (?:ask|do)(?: (?:you|here|about|it|this|with))*",
    r"(?:hi |hello )?(?:i ?a?m|im) (?:new|new here|a (?:new user|beginner|newbie)|lost|confused|stuck)(?: (?:here|to this))?(?: (?:so )?(?:what|how|where) (?:do|can|should) i (?:do|start|begin|use (?:this|it))(?: (?:now|first|next))?)?",
    r"(?:what (?:do|should) i do(?: (?:now|first|next|here))?|what now|where (?:do|should|can) i (?:start|begin)|i (?:dont|do not) know (?:what|how|where) to (?:ask|do|start|begin|use (?:this|it)))",
    r"what (?:are you able to|do you|questions (?:can|do) you) (?:do|answer)|(?:can you )?(?:explain|tell me) what you (?:do|can do)|(?:i have )?no idea what to (?:type|ask|do|say)|what (?:do|can|should) i type|guide me|teach me(?: how to use (?:you|this|it))?|show me how (?:this|it) works|what languages do you (?:speak|understand|support)",
    r"(?:what(?: is|s)|what is the purpose of) this (?:tool|program|app|bot|thing|chat|assistant|library|software)(?: for| doing)?|what does this (?:tool|program|app|bot|thing|chat) do",
    r"(?:give|show)(?: me)? (?:an |some |a few )?examples?(?: of)?(?: (?:a )?questions?)?(?: i can ask)?|what (?:do|would) you (?:suggest|recommend) i ask",
    r"what (?:can|should|could) i (?:do|type|say|write|ask)(?: (?:you|here|now|about|it))*|how (?:can|could) you help(?: me)?",
    rf"what are you (?:good|useful) for|(?:(?:can you |could you |would you )?(?:explain|show|tell)(?: to)?(?: me)? )?how (?:do|does|can|should|to|would|am|are)?(?: ?(?:i|we|you|one))?(?: (?:am|are|is|can|should))?(?: (?:supposed|meant) to)? ?(?:use|work with|run|operate|handle) {_THING}",
    r"how (?:do|can|should) i (?:start|begin|get started|search|find (?:something|anything|things|papers)|ask(?: you)?(?: a question| questions?| something)?)",
    r"how (?:does|do) (?:this (?:tool|program|thing|chat|app|bot)|paper ?agent|you) work",
    r"how do you (?:answer|find|know)(?: (?:my |a )?(?:questions?|answers?|papers|this|that))?",
    (
        r"how (?:do|can|could|should|to|would)(?: i| we| one)? (?:add|ingest|import|load|update|refresh|delete|remove|export"
        r"|quit|exit|leave|stop|filter|save|subscribe|unsubscribe|change|switch|set|open|clear|restart|follow|upload)"
        rf"{_OBJECT}"
    ),
    (
        r"how (?:do|can|to)(?: i| we)? (?:see|list|show|browse|view|search)"
        r"(?: (?:all|the|my|your|papers?|titles?|library|sources?|more|every|everything|in|of|by|author|date|category))+"
    ),
)
_HELP = re.compile("|".join(_HELP_FORMS))
_RECOMMENDATION_FORMS = (
    r"(?:what|which (?:papers?|ones?)) (?:should|can|could|shall|do|to)(?: (?:i|we))? read(?: (?:first|now|today|here))?|what (?:do|would|can) you (?:recommend|suggest)|surprise me",
    r"(?:tell|show|recommend|suggest)(?: me| us)? (?:something|anything)(?: (?:interesting|good|new|to read))*|(?:recommend|suggest)(?: me| us)? an?(?: good| interesting)? (?:paper|article)",
    r"(?:what(?: is|s)|anything|is anything)(?: (?:most|really))? (?:interesting|important|worth reading|worth a look)(?: (?:here|today))?",
    r"(?:(?:what|which) (?:are|is) )?(?:the |your )*(?:most (?:important|interesting|relevant)|best|top|key|main) (?:papers?|articles?|ones?)(?: here)?|which papers? (?:are|is) (?:the )?(?:most (?:important|interesting|relevant)|best|worth reading)",
)
"""Without a topic. After an answer, they may be about that answer."""
_RECOMMENDATION = re.compile("|".join(_RECOMMENDATION_FORMS))
_THIS = re.compile(r"how (?:does|do) (?:this|it) work|what is this|whats this|how to use (?:this|it)")
_GREETING = re.compile(
    rf"{_HELLO}{_NAMES}(?: (?:and )?(?:{_HELLO}|{_HOW_ARE_YOU}){_NAMES})*|{_HOW_ARE_YOU}{_NAMES}|test|testing|ping"
)
_THANK = re.compile(
    rf"(?:{_PRAISE} )*(?:many |big )?{_THANKS}{_THANKS_MORE}(?: {_PRAISE})*(?: {_THANKS}{_THANKS_MORE})?"
    rf"|{_PRAISE}(?: {_PRAISE})*"
)
_QUIT = re.compile(
    rf"(?:(?:ok|okay|alright|thanks|thank you|thx|great|cheers|well|so|no) )*(?:and )?{_BYE}(?: (?:and |then )?{_BYE})*(?: and)?(?: {_THANKS})?{_THANKS_MORE}{_NAMES}"
)
_MAX_BAG_WORDS = 8
_FILLER_WORDS = frozenset(
    """a all and again any anybody anyone are as been bit bot day dear everybody everyone evening fine folks for friend friends
    from good great have home here how i in indeed is it job just kind kindly lot madam mate me morning most much my nice now ok
    okay of oh on one our people pleasant really sir so that the there this time to today tonight very was weekend well were
    wish wonderful work yes you your d p x lovely answer answers info information sure guess think thats im its
    many big off be quite extremely super glad helps help helped needed youre best""".split()
)
_BAGS: tuple[tuple[SmallTalk, frozenset[str]], ...] = (
    ("quit", frozenset("bye goodbye byebye gtg g2g cya ciao farewell quit exit leaving cheerio toodles brb seeya".split())),
    ("thanks", frozenset("thanks thank thx thankyou thanx ty tysm cheers appreciated appreciate grateful helpful awesome".split())),
    ("greeting", frozenset("hi hello hey hiya heya howdy greetings hullo salutations yo sup".split())),
)  # fmt: skip
"""A short message is small talk if it contains one of these words and otherwise only fillers."""
_SAME_AS = (
    (re.compile(r"^(?:a )?(?:very )?good (?:morning|afternoon|evening|day)\b"), "hello"),
    (re.compile(r"\b(?:see|cu|catch|talk to) (?:ya|you|u)(?: (?:later|soon|then|around|tomorrow|next time|next week))?\b"), "bye"),
    (re.compile(r"\b(?:i )?(?:have to|got to|gotta|must|need to|should) (?:go|run|leave)\b|\b(?:im|time to be) (?:off|leaving|going)\b|\b(?:lets )?call it a day\b"), "bye"),
)  # fmt: skip
_ASIDES = re.compile(r"\b(?:so|like|even|just|exactly|actually|really|um+|uh+|please|then)\b")
_OPENING = re.compile(
    rf"(?:{_HELLO}|hi there|hey there|hello there|thanks|thank you|thx|great|cool|ok|okay|so|well|um+|hm+|yo|alright)"
    r"(?:\s+(?:paper ?agent|there|all|everyone))?\s*[,.!;:–-]+\s+|(?:ok|okay|so|well|hey|hi|hello|and)\s+",
    re.IGNORECASE,
)


def small_talk(text: str, *, has_history: bool) -> SmallTalk | None:
    """Return what kind of small talk a message is, or None.

    Args:
        text: A message in lower case without punctuation and accents.
        has_history: Whether an answer precedes, to which "how does it work" may refer.
    """
    if not text:
        return None
    if _GREETING.fullmatch(text):
        return "greeting"
    if _QUIT.fullmatch(text):
        return "quit"
    if _THANK.fullmatch(text):
        return "thanks"
    without_asides = " ".join(_ASIDES.sub(" ", text).split())
    is_help = _HELP.fullmatch(text) or _HELP.fullmatch(without_asides)
    is_first = not has_history and (_THIS.fullmatch(text) or _RECOMMENDATION.fullmatch(text))
    return "help" if is_help or is_first else _by_words(text)


def _by_words(text: str) -> SmallTalk | None:
    for pattern, word in _SAME_AS:
        text = pattern.sub(word, text)
    words = frozenset(text.split())
    is_short = len(text.split()) <= _MAX_BAG_WORDS and not re.match(r"(?:is|are|was|were|how)\b", text)
    if not is_short or words - _FILLER_WORDS - frozenset().union(*(core for _, core in _BAGS)):
        return None
    return next((kind for kind, core in _BAGS if words & core), None)


def without_opening(text: str) -> str:
    """Return the text without a greeting or an "ok, " before a request."""
    match = _OPENING.match(text)
    return text[match.end() :] if match else text
