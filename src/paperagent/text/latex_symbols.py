"""What LaTeX macros look like when read: tables only. Made from what 74,728 arXiv abstracts use."""

from __future__ import annotations

# Symbols that stand between two things: where the source has a space after one, it gets one before.
BETWEEN: dict[str, str] = dict(
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
ALONE: dict[str, str] = dict(
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
    aa=å AA=Å ae=æ AE=Æ oe=œ OE=Œ o=ø O=Ø l=ł L=Ł ss=ß i=ı j=ȷ dh=ð DH=Ð th=þ TH=Þ
    LaTeX=LaTeX TeX=TeX eg=e.g. ie=i.e. etal=et·al. wrt=w.r.t. aka=a.k.a. cf=cf.
    """.split()
) | {"etal": "et al.", "rbrace": "}"}
OPERATORS = frozenset(
    """log ln lg exp sin cos tan cot sec arcsin arccos arctan sinh cosh tanh max min sup inf lim limsup liminf
    arg argmax argmin det dim ker deg gcd Pr mod bmod rank tr diag""".split()
) - {"deg"}
"""Names set upright, as words: ``n \\log n``."""
STYLES = frozenset(
    """textbf textit emph texttt textsc textrm textsf textup textmd textnormal textsl text underline uline
    mbox hbox fbox mathrm mathbf mathit mathsf mathtt mathcal mathscr mathfrak mathnormal boldsymbol bm pmb
    operatorname overline underbrace overbrace textsubscript textsuperscript ensuremath url path uppercase
    lowercase MakeUppercase num mathop mathbin mathrel mathord phantom boxed sout st hl""".split()
)
"""Macros of one argument that only change how it looks."""
SWITCHES = frozenset(
    """em it bf tt rm sc sf sl small large Large footnotesize scriptsize tiny normalsize bfseries itshape
    ttfamily boldmath displaystyle textstyle scriptstyle limits nolimits left right middle big Big bigl bigr
    Bigl Bigr bigg Bigg biggl biggr noindent par newline linebreak centering xspace protect relax nobreak
    allowbreak hfill smallskip medskip bigskip mathsurround""".split()
)
"""Macros that show nothing themselves."""
SILENT = frozenset("cite citep citet citealp citeauthor citeyear label vspace hspace index thanks".split())
"""Macros whose argument shows nothing either."""
SECOND = frozenset("href textcolor colorbox hyperlink hyperref scalebox resizebox".split())
"""Macros whose first argument shows nothing."""
SPACES = {
    ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "/": "", "-": "", "@": "", "quad": " ", "qquad": " ",
}  # fmt: skip
ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "b": "\u0331",
    "d": "\u0323", "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303",
    "bar": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c", "breve": "\u0306",
    "acute": "\u0301", "grave": "\u0300", "mathring": "\u030a",
}  # fmt: skip
DOUBLE_STRUCK = dict(zip("CHNPQRZE1", "ℂℍℕℙℚℝℤ𝔼𝟙", strict=True))
_RAISED = "0123456789+-−=()abcdefghijklmnoprstuvwxyz*′⊤†"
SUPER = dict(zip(_RAISED, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ*′ᵀ†", strict=True)) | {
    "∘": "°",
    "T": "ᵀ",
}
SUB = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
