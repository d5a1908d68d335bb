r"""Convert LaTeX to text: ``\alpha^2`` → ``α²``, ``{\'E}tude \& more`` → ``Étude & more``.

`LatexReader` converts a formula or a piece of prose; `readable` finds these in a text. Fields of
bibliographies are converted when they are read, but their formulas are kept. Nothing is executed or defined:
an unknown macro prints its argument, or else its name.

The tables come from the macros in 74,728 arXiv abstracts.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from paperagent.text.edits import Edit, apply

# Binary operators and relations: in a formula, one that is followed by a space gets one before it too.
_BINARY: dict[str, str] = dict(
    pair.split("=", 1)
    for pair in """
    times=× div=÷ cdot=· ast=* star=⋆ pm=± mp=∓ sim=∼ simeq=≃ approx=≈ cong=≅ equiv=≡ neq=≠ ne=≠ geq=≥ ge=≥
    geqslant=≥ leq=≤ le=≤ leqslant=≤ gg=≫ ll=≪ gtrsim=≳ lesssim=≲ prec=≺ succ=≻ preceq=⪯ succeq=⪰ propto=∝
    in=∈ notin=∉ ni=∋ subset=⊂ subseteq=⊆ supset=⊃ supseteq=⊇ cup=∪ cap=∩ setminus=∖ wedge=∧ land=∧ vee=∨
    lor=∨ oplus=⊕ ominus=⊖ otimes=⊗ odot=⊙ circ=∘ bullet=• mid=| parallel=∥ perp=⊥ models=⊨ vdash=⊢ to=→
    rightarrow=→ longrightarrow=→ Rightarrow=⇒ Longrightarrow=⇒ implies=⇒ leftarrow=← gets=← Leftarrow=⇐
    leftrightarrow=↔ Leftrightarrow=⇔ iff=⇔ rightleftharpoons=⇌ mapsto=↦ hookrightarrow=↪ rightsquigarrow=⇝
    uparrow=↑ downarrow=↓ nearrow=↗ searrow=↘ colon=: triangleq=≜ coloneqq=≔ doteq=≐ asymp=≍
    """.split()
)
_SYMBOLS: dict[str, str] = dict(
    pair.split("=", 1)
    for pair in """
    alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ
    lambda=λ mu=μ nu=ν xi=ξ pi=π varpi=ϖ rho=ρ varrho=ϱ sigma=σ varsigma=ς tau=τ upsilon=υ phi=ϕ varphi=φ
    chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ Omega=Ω
    ell=ℓ infty=∞ partial=∂ nabla=∇ forall=∀ exists=∃ nexists=∄ emptyset=∅ varnothing=∅ neg=¬ lnot=¬ hbar=ℏ
    Re=ℜ Im=ℑ aleph=ℵ sum=∑ prod=∏ int=∫ oint=∮ bigcup=⋃ bigcap=⋂ bigoplus=⨁ bigotimes=⨂ top=⊤ bot=⊥ prime=′
    dagger=† dag=† ddagger=‡ langle=⟨ rangle=⟩ lceil=⌈ rceil=⌉ lfloor=⌊ rfloor=⌋ lvert=| rvert=| vert=|
    lVert=‖ rVert=‖ Vert=‖ ldots=… dots=… dotsc=… dotsb=… cdots=⋯ vdots=⋮ ddots=⋱ degree=° deg=° textdegree=°
    checkmark=✓ cmark=✓ xmark=✗ square=□ Box=□ blacksquare=■ triangle=△ diamond=⋄ lozenge=◊ heartsuit=♥
    sharp=♯ flat=♭ natural=♮ S=§ P=¶ copyright=© textregistered=® registered=® texttrademark=™ trademark=™
    circledR=® pounds=£ textsterling=£ euro=€ texteuro=€ textdollar=$ textasciitilde=~ textasciicircum=^
    textbackslash=∖ textbar=| textless=< textgreater=> textunderscore=_ textquotesingle=' textquotedblleft=“
    textquotedblright=” textquoteleft=‘ textquoteright=’ textendash=– textemdash=— textbullet=•
    textperiodcentered=· textmu=μ guillemotleft=« guillemotright=» slash=/ lbrace={ rbrace={ backslash=∖
    textellipsis=… textbraceleft={ textbraceright=} texttimes=× textdiv=÷ textpm=± textminus=−
    textonehalf=½ textonequarter=¼ textthreequarters=¾ textcelsius=°C dj=đ DJ=Đ
    aa=å AA=Å ae=æ AE=Æ oe=œ OE=Œ o=ø O=Ø l=ł L=Ł ss=ß i=ı j=ȷ dh=ð DH=Ð th=þ TH=Þ
    LaTeX=LaTeX TeX=TeX eg=e.g. ie=i.e. etal=et·al. wrt=w.r.t. aka=a.k.a. cf=cf.
    """.split()
) | {"etal": "et al.", "rbrace": "}"}
_OPERATOR_NAMES = frozenset(
    """log ln lg exp sin cos tan cot sec arcsin arccos arctan sinh cosh tanh max min sup inf lim limsup liminf
    arg argmax argmin det dim ker deg gcd Pr mod bmod rank tr diag""".split()
) - {"deg"}
"""Names printed upright, as words: ``n \\log n``."""
_STYLES = frozenset(
    """textbf textit emph texttt textsc textrm textsf textup textmd textnormal textsl text underline uline
    mbox hbox fbox mathrm mathbf mathit mathsf mathtt mathcal mathscr mathfrak mathnormal boldsymbol bm pmb
    operatorname underbrace overbrace ensuremath url path uppercase
    lowercase MakeUppercase num mathop mathbin mathrel mathord boxed sout st hl""".split()
)
"""Macros that only change the look of their one argument."""
_SWITCHES = frozenset(
    """em it bf tt rm sc sf sl small large Large footnotesize scriptsize tiny normalsize bfseries itshape
    ttfamily boldmath displaystyle textstyle scriptstyle limits nolimits left right middle big Big bigl bigr
    Bigl Bigr bigg Bigg biggl biggr noindent par newline linebreak centering xspace protect relax nobreak
    allowbreak hfill smallskip medskip bigskip mathsurround""".split()
)
"""Macros that print nothing and take no argument."""
_HIDDEN_ARGUMENT = frozenset(
    """cite citep citet citealp citeauthor citeyear label ref eqref autoref cref Cref vspace hspace
    index thanks color pagestyle phantom hphantom vphantom""".split()
)
"""Macros that print nothing, nor does their argument."""
_SECOND_ARGUMENT = frozenset("href textcolor colorbox hyperlink hyperref scalebox resizebox".split())
"""Macros that print only their second argument."""
_SPACES = {
    ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "/": "", "-": "", "@": "", "quad": " ", "qquad": " ",
    "thinspace": " ", "enspace": " ", "medspace": " ", "thickspace": " ", "nobreakspace": " ",
    "negthinspace": "", "space": " ", "item": " ", "footnotemark": "",
}  # fmt: skip
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "b": "\u0331",
    "d": "\u0323", "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303",
    "bar": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c", "breve": "\u0306",
    "acute": "\u0301", "grave": "\u0300", "mathring": "\u030a",
}  # fmt: skip
_DOUBLE_STRUCK = dict(zip("CHNPQRZE", "ℂℍℕℙℚℝℤ𝔼", strict=True))
_RAISED = "0123456789+-−=()abcdefghijklmnoprstuvwxyz*′⊤†"
_SUPERSCRIPTS = dict(zip(_RAISED, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ*′ᵀ†", strict=True)) | {
    "∘": "°",
    "T": "ᵀ",
}
_SUBSCRIPTS = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))

_MACRO = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_PLAIN_LETTER = re.compile(r"\{([A-Za-z])\}|([A-Za-z])")
_OPTION = re.compile(r"\[[^\]]{0,80}\]")
_SPECIAL_IN_FORMULA = re.compile(r"[\\{}^_~]")
_SPECIAL_IN_PROSE = re.compile(r"[\\{}]")
_SPECIAL_IN_SOURCE = re.compile(r"[\\{}~]")
_ACCENTED_LETTER = re.compile(r"\{?\\?[A-Za-z]")
_ACCENTED_LETTER_IN_SOURCE = re.compile(r"\s*(?:\{\s*)?(?:\\[ij](?![A-Za-z])|[^\W\d_])")
_SPACE_AND_LETTER = re.compile(r"\s+(?:\\[ij](?![A-Za-z])|[^\W\d_])")
# TeX raises only the first character of `10^-12`, but authors mean all of them.
_SIGNED_NUMBER = re.compile(r"[-+−]?\d+")
_ORDINAL = re.compile(r"st|nd|rd|th")
_MAX_DEPTH = 12


class LatexReader:
    """Reads a piece of LaTeX from left to right. Never raises; reads each character once per level.

    Args:
        text: the piece.
        in_formula: whether it is a formula.
        is_source: whether it is a field of a bibliography, in which ``~`` and accents before a space are
            LaTeX too.
        depth: how many arguments it is nested in.
    """

    def __init__(
        self, text: str, *, in_formula: bool = False, is_source: bool = False, depth: int = 0
    ) -> None:
        self.text, self.in_formula, self.is_source, self.depth = text, in_formula, is_source, depth
        self.position = 0
        self._edits: list[Edit] = []
        self._last = ""
        """The last character of the output."""
        self._groups: dict[int, int] | None = None
        self._special = (
            _SPECIAL_IN_FORMULA if in_formula else _SPECIAL_IN_SOURCE if is_source else _SPECIAL_IN_PROSE
        )

    def read(self) -> str:
        """Return the text that LaTeX would print."""
        return apply(self.text, self.edits())

    def edits(self) -> list[Edit]:
        """Return the replacements that make the text readable."""
        text = self.text
        while special := self._special.search(text, self.position):
            start = special.start()
            if start > self.position:
                self._last = text[start - 1]
            self.position = start
            char = special[0]
            if char == "\\":
                new = self._macro()
            else:
                self.position += 1
                if char in "^_":
                    new = _raised_or_lowered(self._convert(self._raised()), char)
                else:  # braces print nothing, a tie prints a space
                    new = " " if char == "~" else ""
            self._edits.append(Edit(start, self.position, new))
            self._last = new[-1:] or self._last
        return self._edits

    def _convert(self, text: str) -> str:
        if not self._special.search(text):
            return text
        if self.depth >= _MAX_DEPTH:
            return re.sub(r"[\\{}]+", " ", text)
        return LatexReader(
            text, in_formula=self.in_formula, is_source=self.is_source, depth=self.depth + 1
        ).read()

    def _group(self) -> str:
        """Consume ``{…}`` and return its content; an unclosed group is empty."""
        if self._groups is None:
            self._groups = _matching_braces(self.text)
        start = self.position + 1
        end = self._groups.get(self.position)
        if end is None:
            self.position = start
            return ""
        self.position = end + 1
        return self.text[start:end]

    def _argument(self) -> str:
        """Consume the next argument: a group, a macro or one character."""
        while self.text[self.position : self.position + 1].isspace():
            self.position += 1
        if self._next() == "{":
            return self._group()
        match = _MACRO.match(self.text, self.position)
        argument = match[0] if match else self._next()
        self.position += len(argument)
        return argument

    def _raised(self) -> str:
        r"""Consume the argument of ``^`` or ``_``: also a number without braces, and ``\frac{1}{2}``."""
        if number := _SIGNED_NUMBER.match(self.text, self.position):
            self.position = number.end()
            return number[0]
        start = self.position
        argument = self._argument()
        name = argument[1:]
        if argument[:1] != "\\" or name in _SYMBOLS or name in _BINARY:
            return argument
        while self._next() == "{":
            self._group()
        return self.text[start : self.position].strip()

    def _converted_argument(self) -> str:
        return self._convert(self._argument())

    def _skip_option(self) -> str:
        """Consume ``[…]`` and return its content; only that of a root is printed."""
        if match := _OPTION.match(self.text, self.position):
            self.position = match.end()
            return match[0][1:-1]
        return ""

    def _skip_spaces(self) -> None:
        while self._next() == " ":
            self.position += 1

    def _next(self) -> str:
        return self.text[self.position : self.position + 1]

    def _macro(self) -> str:
        match = _MACRO.match(self.text, self.position)
        if match is None:  # a lone backslash at the end
            self.position += 1
            return ""
        self.position = match.end()
        return self._named_macro(match[1]) if match[1] else self._sign_macro(match[2])

    def _sign_macro(self, sign: str) -> str:
        r"""Return what ``\`` and one character other than a letter print."""
        if sign in _ACCENTS and not self.in_formula:
            if plain := _PLAIN_LETTER.match(self.text, self.position):
                self.position = plain.end()
                return _accented(plain[1] or plain[2], _ACCENTS[sign])
            letter = _ACCENTED_LETTER_IN_SOURCE if self.is_source else _ACCENTED_LETTER
            if letter.match(self.text, self.position):
                return _accented(self._converted_argument(), _ACCENTS[sign])
        if sign == "\\":
            return " "
        if sign == "|":
            return "‖"
        return _SPACES.get(sign, "" if sign in "()[]" else sign)

    def _named_macro(self, name: str) -> str:
        if name in _BINARY:
            return self._binary_symbol(_BINARY[name])
        if name in _SYMBOLS:
            return self._symbol(name)
        if name in _SPACES:
            return _SPACES[name]
        if name in _OPERATOR_NAMES:
            return f" {name}" if self._last.isalnum() else name
        if name in _ACCENTS and self._takes_accent():
            return _accented(self._converted_argument(), _ACCENTS[name])
        return self._structural_macro(name)

    def _takes_accent(self) -> bool:
        if self.in_formula or self._next() == "{":
            return True
        return self.is_source and bool(_SPACE_AND_LETTER.match(self.text, self.position))

    def _structural_macro(self, name: str) -> str:  # noqa: PLR0911 - one line per macro
        if name in _SWITCHES:
            self._skip_spaces()
            return " " if self.is_source and name in {"par", "newline"} else ""
        if name == "sqrt":
            return self._root()
        self._skip_option()
        if name in _HIDDEN_ARGUMENT or name in {"begin", "end"}:
            self._argument()
            return ""
        if name in _SECOND_ARGUMENT:
            first = self._argument()
            second = self._converted_argument() if self._next() == "{" else ""
            return f"{second} ({first})" if self.is_source and name == "href" and first != second else second
        if name in {"frac", "tfrac", "dfrac", "cfrac", "nicefrac", "sfrac"}:
            numerator, denominator = self._converted_argument(), self._converted_argument()
            return f"{_bracketed(numerator)}/{_bracketed(denominator)}"
        if name in {"binom", "tbinom", "dbinom"}:
            upper, lower = self._converted_argument(), self._converted_argument()
            return f"C({upper}, {lower})"
        return self._one_argument_macro(name)

    def _root(self) -> str:
        degree = self._skip_option()
        root = "√" + _bracketed(self._converted_argument())
        return f"{_raised_or_lowered(self._convert(degree), '^').removeprefix('^')}{root}" if degree else root

    def _one_argument_macro(self, name: str) -> str:  # noqa: PLR0911 - one line per macro
        if name == "unicode":
            return _unicode_character(self._argument())
        if name == "ding":  # a dingbat by its number
            return {"51": "✓", "52": "✓", "55": "✗", "56": "✗"}.get(self._argument(), "")
        if name in {"textsuperscript", "textsubscript"}:
            argument = self._converted_argument()
            return raised(argument) if name == "textsuperscript" else lowered(argument)
        if name in {"mathbb", "mathds"}:
            return "".join(_DOUBLE_STRUCK.get(c, c) for c in self._converted_argument())
        if name == "overline":
            argument = self._converted_argument()
            return "".join(c + "\u0305" for c in argument) if argument.isdecimal() else argument
        if name == "not":
            return self._converted_argument() + "\u0338"
        if name in {"footnote", "pmod"}:
            argument = self._converted_argument()
            return f" ({argument})" if name == "footnote" else f" (mod {argument})"
        return self._style_or_unknown(name)

    def _style_or_unknown(self, name: str) -> str:
        """Skip the macro and the brace that opens its argument, which is then read as text."""
        is_style = name in _STYLES
        while is_style and self._next().isspace():
            self.position += 1
        if self.text.startswith("{}", self.position):
            self.position += 2
            return "" if is_style else name
        if self._next() == "{":
            self.position += 1
            return ""
        return "" if is_style else name

    def _binary_symbol(self, symbol: str) -> str:
        needs_space = self._next().isspace() and self._last and not self._last.isspace()
        return f" {symbol}" if needs_space and self.in_formula else symbol

    def _symbol(self, name: str) -> str:
        symbol = _SYMBOLS[name]
        if not self.in_formula and (symbol.isalpha() or name.startswith("text")):
            self._skip_spaces()  # in TeX, a space after the name of a macro only ends the name
        return "\\" if self.is_source and name == "textbackslash" else symbol


def _matching_braces(text: str) -> dict[int, int]:
    """Return the position of the closing brace of each group that is closed."""
    groups: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            groups[opened.pop()] = brace.start()
    return groups


def raised(text: str) -> str:
    """Return ``text`` as superscript: ``10⁶``, ``5th``, ``Ca²⁺``."""
    if not any(c.isalnum() for c in text) or (len(text) > 1 and text.isalpha()):
        return "".join(_SUPERSCRIPTS.get(c, c) if c in "+-−" else c for c in text)  # ®, *, 5th, a trademark
    return _raised_or_lowered(text, "^")


def lowered(text: str) -> str:
    """Return ``text`` as subscript: ``CO₂``, ``x_max``."""
    return _raised_or_lowered(text, "_") if any(c.isalnum() for c in text) else text


def _raised_or_lowered(text: str, sign: str) -> str:
    """Return ``text`` as superscript (``^``) or subscript (``_``) if Unicode has all of it."""
    characters = _SUPERSCRIPTS if sign == "^" else _SUBSCRIPTS
    text, compact = " ".join(text.split()), "".join(text.split())
    is_word = len(text) > 1 and text.isalpha()
    if text and not is_word and all(c in characters for c in compact):
        return "".join(characters[c] for c in compact)
    if sign == "^" and is_word:
        return text if _ORDINAL.fullmatch(text) else f"^{text}"
    return f"{sign}{_bracketed(text)}" if text else ""


def _bracketed(text: str) -> str:
    return text if len(text) == 1 or re.fullmatch(r"[\w.]+|\(.*\)", text) else f"({text})"


@lru_cache(maxsize=1024)
def _accented(text: str, mark: str) -> str:
    text = text.replace("ı", "i").replace("ȷ", "j")
    return unicodedata.normalize("NFC", text[:1] + mark + text[1:]) if text else ""


def _unicode_character(code: str) -> str:
    r"""Return the character of ``\unicode{x2013}`` if it is printable, else ""."""
    match = re.fullmatch(r"x([0-9A-Fa-f]{1,5})|(\d{1,6})", code.strip())
    number = int(match[1], 16) if match and match[1] else int(match[2]) if match else 0
    char = chr(number) if 0 < number < 0x110000 else ""
    return char if char.isprintable() and not char.isdecimal() else ""
