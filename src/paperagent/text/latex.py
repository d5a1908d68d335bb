r"""Convert LaTeX to readable text: ``$\alpha^2$`` → ``α²``, ``{\'E}tude \& more`` → ``Étude & more``.

The library and its citations keep the feed's text; it is converted when a title or a quote is displayed.
Fields of bibliographies are converted when they are read, but their formulas are kept. Nothing is executed or
defined: an unknown macro prints its argument, or else its name.

The tables come from the macros in 74,728 arXiv abstracts.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

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
    operatorname overline underbrace overbrace textsubscript textsuperscript ensuremath url path uppercase
    lowercase MakeUppercase num mathop mathbin mathrel mathord phantom boxed sout st hl""".split()
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
    "cite citep citet citealp citeauthor citeyear label vspace hspace index thanks".split()
)
"""Macros that print nothing, nor does their argument."""
_SECOND_ARGUMENT = frozenset("href textcolor colorbox hyperlink hyperref scalebox resizebox".split())
"""Macros that print only their second argument."""
_SPACES = {
    ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "/": "", "-": "", "@": "", "quad": " ", "qquad": " ",
}  # fmt: skip
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "b": "\u0331",
    "d": "\u0323", "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303",
    "bar": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c", "breve": "\u0306",
    "acute": "\u0301", "grave": "\u0300", "mathring": "\u030a",
}  # fmt: skip
_DOUBLE_STRUCK = dict(zip("CHNPQRZE1", "ℂℍℕℙℚℝℤ𝔼𝟙", strict=True))
_RAISED = "0123456789+-−=()abcdefghijklmnoprstuvwxyz*′⊤†"
_SUPERSCRIPTS = dict(zip(_RAISED, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ*′ᵀ†", strict=True)) | {
    "∘": "°",
    "T": "ᵀ",
}
_SUBSCRIPTS = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))

# What may be LaTeX. Titles and abstracts without any of it are returned as they are.
_LATEX = re.compile(r"\\|\$|``|---|(?<=\S)--(?=\S)| -- |[A-Za-z.]~[\\A-Za-z\d]")
_SOURCE = re.compile(r"[\\{}~$`]|--|''")
# Pandoc's rule, which keeps "$5 and $10": no space inside the dollars, and no digit after the second
# if one follows the first.
_FORMULA = re.compile(
    r"\$\$(?P<a>[^$]{1,400})\$\$|\\\((?P<b>.{1,400}?)\\\)|\\\[(?P<c>.{1,400}?)\\\]"
    r"|(?<!\\)\$(?=[^\s$])(?P<d>(?=\d)(?:\\.|[^$\\]){1,400}?(?<=\S)(?=\$(?!\d))|(?!\d)(?:\\.|[^$\\]){1,400}?(?<=\S))\$",
    re.DOTALL,
)
_DOLLARS = re.compile(r"(?<!\\)\$[^$]{1,2000}(?<!\\)\$")
_MACRO = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_PLAIN_GROUP = re.compile(r"\{([^\\{}^_~]*)\}")
_ACCENT_GROUP = re.compile(r"\{\\([`'^\"~=.])(?:\{([A-Za-z])\}|([A-Za-z]))\}")
_PLAIN_LETTER = re.compile(r"\{([A-Za-z])\}|([A-Za-z])")
_OPTION = re.compile(r"\[[^\]]{0,80}\]")
_SPECIAL_IN_FORMULA = re.compile(r"[\\{}^_~]")
_SPECIAL_IN_PROSE = re.compile(r"[\\{}]")
_SPECIAL_IN_SOURCE = re.compile(r"[\\{}~]")
_ACCENTED_LETTER = re.compile(r"\{?\\?[A-Za-z]")
_ACCENTED_LETTER_IN_SOURCE = re.compile(r"\s*(?:\{\s*)?(?:\\[ij](?![A-Za-z])|[^\W\d_])")
_SPACE_AND_LETTER = re.compile(r"\s+(?:\\[ij](?![A-Za-z])|[^\W\d_])")
_TIE = re.compile(r"(?<=[A-Za-z.,)])~(?=[A-Za-z\d(])|(?<=\w)~\Z|\A~(?=\w)")
_QUOTED = re.compile(r"``(.{1,200}?)(?:''|[\"”])")
_DASHES = ((re.compile(r"(?<!-)---(?!-)"), "—"), (re.compile(r"(?<=[^\s-])--(?=[^\s-])| -- "), "–"))
# A dollar left over from a formula that was cut or badly closed. One of money has a number after it.
_STRAY_DOLLAR = re.compile(r"(?<![A-Z])\$(?!\s?[\d.])|(?<=[×∼≈Δ±])\$")
_WITH_ARGUMENT = frozenset({"mathbb", "mathds", "footnote", "pmod", "not"})
_MAX_DEPTH = 12


def latex_to_text(text: str, *, keep_formulas: bool = False) -> str:
    """Return ``text`` on one line, in NFC, with LaTeX replaced by its printed form.

    Args:
        text: a title or an abstract, with or without LaTeX. Braces and ``~`` count as LaTeX only beside
            other LaTeX.
        keep_formulas: whether ``text`` is a field of a bibliography: all of it is LaTeX, braces included,
            and formulas between dollars are kept as they are.
    """
    return _convert_source(text) if keep_formulas else _convert_for_display(text)


@lru_cache(maxsize=4096)
def _convert_for_display(text: str) -> str:
    if not _LATEX.search(text):
        return " ".join(text.split())
    parts, position, has_latex = [], 0, "\\" in text
    for formula in _FORMULA.finditer(text):
        parts.append(_convert_prose(text[position : formula.start()], has_latex=True))
        parts.append(_LatexParser(formula[formula.lastgroup or 0].strip(), in_formula=True).parse())
        position, has_latex = formula.end(), True
    parts.append(_convert_prose(text[position:], has_latex=has_latex))
    plain = "".join(parts)
    if has_latex:
        plain = _STRAY_DOLLAR.sub("", plain)
    return " ".join(unicodedata.normalize("NFC", plain).split())


def _convert_prose(text: str, *, has_latex: bool) -> str:
    if has_latex and ("\\" in text or "{" in text):
        text = _LatexParser(text).parse()
    if has_latex:
        text = _TIE.sub(" ", text)
    return _convert_quotes_and_dashes(text)


def _convert_source(text: str) -> str:
    if not _SOURCE.search(text):
        return " ".join(text.split())
    parts, position = [], 0
    for formula in _DOLLARS.finditer(text):
        parts += [_convert_source_prose(text[position : formula.start()]), formula[0]]
        position = formula.end()
    parts.append(_convert_source_prose(text[position:]))
    return " ".join(unicodedata.normalize("NFC", "".join(parts)).split())


def _convert_source_prose(text: str) -> str:
    if _SPECIAL_IN_SOURCE.search(text):
        text = _LatexParser(text, is_source=True).parse()
    text = _convert_quotes_and_dashes(text)
    return text.replace("``", "“").replace("''", "”")


def _convert_quotes_and_dashes(text: str) -> str:
    if "``" in text:
        text = _QUOTED.sub(r"“\1”", text)
    if "--" in text:
        for pattern, dash in _DASHES:
            text = pattern.sub(lambda m, d=dash: f" {d} " if m[0].startswith(" ") else d, text)  # type: ignore[misc]
    return text


class _LatexParser:
    """Converts a piece of LaTeX from left to right. Never raises; reads each character once per level.

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
        self.output: list[str] = []
        self._special = (
            _SPECIAL_IN_FORMULA if in_formula else _SPECIAL_IN_SOURCE if is_source else _SPECIAL_IN_PROSE
        )

    def parse(self) -> str:
        """Return the text that LaTeX would print."""
        text = self.text
        while special := self._special.search(text, self.position):
            start = special.start()
            if start > self.position:
                self.output.append(text[self.position : start])
            self.position = start
            char = special[0]
            if char == "\\":
                self._macro()
            elif char == "{":
                if plain := _PLAIN_GROUP.match(text, start):
                    self.output.append(plain[1])
                    self.position = plain.end()
                elif not self.in_formula and (accent := _ACCENT_GROUP.match(text, start)):
                    self.output.append(_accented(accent[2] or accent[3], _ACCENTS[accent[1]]))
                    self.position = accent.end()
                else:
                    self.output.append(self._convert(self._group()))
            elif char in "^_":
                self.position += 1
                self.output.append(_raised_or_lowered(self._convert(self._argument()), char))
            else:  # a tie, or a brace that was never opened
                self.output.append(" " if char == "~" else "")
                self.position += 1
        self.output.append(text[self.position :])
        return "".join(self.output)

    def _convert(self, text: str) -> str:
        if not self._special.search(text):
            return text
        if self.depth >= _MAX_DEPTH:
            return re.sub(r"[\\{}]", "", text)
        return _LatexParser(
            text, in_formula=self.in_formula, is_source=self.is_source, depth=self.depth + 1
        ).parse()

    def _group(self) -> str:
        """Consume ``{…}`` and return its content; an unclosed group is empty."""
        start, level = self.position + 1, 0
        for match in _BRACE.finditer(self.text, self.position):
            level += {"{": 1, "}": -1}.get(match[0], 0)
            if level == 0 and match[0] == "}":
                self.position = match.end()
                return self.text[start : match.start()]
        self.position = start
        return ""

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

    def _converted_argument(self) -> str:
        return self._convert(self._argument())

    def _skip_option(self) -> None:
        """Skip ``[…]``, which none of the macros here prints."""
        if match := _OPTION.match(self.text, self.position):
            self.position = match.end()

    def _skip_spaces(self) -> None:
        while self._next() == " ":
            self.position += 1

    def _next(self) -> str:
        return self.text[self.position : self.position + 1]

    def _macro(self) -> None:
        match = _MACRO.match(self.text, self.position)
        if match is None:  # a lone backslash at the end
            self.position += 1
            return
        self.position = match.end()
        self.output.append(self._named_macro(match[1]) if match[1] else self._sign_macro(match[2]))

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
            follows_word = bool(self.output) and self.output[-1][-1:].isalnum()
            return f" {name}" if follows_word else name
        if name in _ACCENTS and self._takes_accent():
            return _accented(self._converted_argument(), _ACCENTS[name])
        return self._structural_macro(name)

    def _takes_accent(self) -> bool:
        if self.in_formula or self._next() == "{":
            return True
        return self.is_source and bool(_SPACE_AND_LETTER.match(self.text, self.position))

    def _structural_macro(self, name: str) -> str:
        if name in _SWITCHES:
            self._skip_spaces()
            return " " if self.is_source and name in {"par", "newline"} else ""
        self._skip_option()
        if name in _HIDDEN_ARGUMENT or name in {"begin", "end"}:
            self._argument()
            return ""
        if name in _SECOND_ARGUMENT:
            first = self._argument()
            second = self._converted_argument() if self._next() == "{" else ""
            return f"{second} ({first})" if self.is_source and name == "href" and first != second else second
        if name in {"frac", "tfrac", "dfrac", "cfrac"}:
            numerator, denominator = self._converted_argument(), self._converted_argument()
            return f"{_bracketed(numerator)}/{_bracketed(denominator)}"
        if name in {"binom", "tbinom", "dbinom"}:
            upper, lower = self._converted_argument(), self._converted_argument()
            return f"C({upper}, {lower})"
        return self._one_argument_macro(name)

    def _one_argument_macro(self, name: str) -> str:  # noqa: PLR0911 - one line per macro
        if name == "sqrt":
            return "√" + _bracketed(self._converted_argument())
        if name == "unicode":
            return _unicode_character(self._argument())
        has_argument = name in _STYLES or name in _WITH_ARGUMENT
        if not has_argument and self._next() != "{":
            return name
        argument = self._converted_argument() or ("" if has_argument else name)
        if name == "textsuperscript":
            is_number = all(c in _SUPERSCRIPTS and not c.isalpha() for c in argument)
            return _raised_or_lowered(argument, "^") if is_number else argument
        if name in {"mathbb", "mathds"}:
            return "".join(_DOUBLE_STRUCK.get(c, c) for c in argument)
        if name == "not":
            return argument + "\u0338"
        return {"footnote": f" ({argument})", "pmod": f" (mod {argument})"}.get(name, argument)

    def _binary_symbol(self, symbol: str) -> str:
        needs_space = self._next().isspace() and self.output and not self.output[-1][-1:].isspace()
        return f" {symbol}" if needs_space and self.in_formula else symbol

    def _symbol(self, name: str) -> str:
        symbol = _SYMBOLS[name]
        if not self.in_formula and (symbol.isalpha() or name.startswith("text")):
            self._skip_spaces()  # in TeX, a space after the name of a macro only ends the name
        return "\\" if self.is_source and name == "textbackslash" else symbol


def _raised_or_lowered(text: str, sign: str) -> str:
    """Return ``text`` as superscript (``^``) or subscript (``_``) if Unicode has all of it."""
    characters = _SUPERSCRIPTS if sign == "^" else _SUBSCRIPTS
    text = "".join(text.split())
    is_word = len(text) > 1 and text.isalpha()
    if text and not is_word and all(c in characters for c in text):
        return "".join(characters[c] for c in text)
    if sign == "^" and is_word:
        return f"^{text}"
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
    return char if char.isprintable() else ""
