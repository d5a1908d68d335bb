r"""The macros of LaTeX that `latex` knows: symbols, styles, accents, and the units of siunitx.

Besides standard LaTeX and amsmath, the tables hold the symbols of textcomp, gensymb, wasysym, amssymb and
upgreek, and the macros that are frequent in 74,728 arXiv abstracts.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split())


BINARY = _table(
    """
    times=× div=÷ cdot=· ast=* star=⋆ pm=± mp=∓ sim=∼ simeq=≃ approx=≈ cong=≅ equiv=≡ neq=≠ ne=≠ geq=≥ ge=≥
    geqslant=≥ leq=≤ le=≤ leqslant=≤ gg=≫ ll=≪ gtrsim=≳ lesssim=≲ prec=≺ succ=≻ preceq=⪯ succeq=⪰ propto=∝
    in=∈ notin=∉ ni=∋ subset=⊂ subseteq=⊆ supset=⊃ supseteq=⊇ cup=∪ cap=∩ setminus=∖ wedge=∧ land=∧ vee=∨
    lor=∨ oplus=⊕ ominus=⊖ otimes=⊗ odot=⊙ circ=∘ bullet=• mid=| parallel=∥ perp=⊥ models=⊨ vdash=⊢ to=→
    rightarrow=→ longrightarrow=→ Rightarrow=⇒ Longrightarrow=⇒ implies=⇒ leftarrow=← gets=← Leftarrow=⇐
    leftrightarrow=↔ Leftrightarrow=⇔ iff=⇔ rightleftharpoons=⇌ mapsto=↦ hookrightarrow=↪ rightsquigarrow=⇝
    uparrow=↑ downarrow=↓ nearrow=↗ searrow=↘ colon=: triangleq=≜ coloneqq=≔ doteq=≐ asymp=≍
    lt=< gt=> leqq=≦ geqq=≧ nleq=≰ ngeq=≱ nless=≮ ngtr=≯ lessapprox=⪅ gtrapprox=⪆ lessgtr=≶ gtrless=≷
    lll=⋘ ggg=⋙ nsim=≁ ncong=≇ approxeq=≊ eqsim=≂ backsim=∽ circeq=≗ bumpeq=≏ nsubseteq=⊈ nsupseteq=⊉
    subsetneq=⊊ supsetneq=⊋ sqsubseteq=⊑ sqsupseteq=⊒ sqcup=⊔ sqcap=⊓ uplus=⊎ dotplus=∔ boxplus=⊞ boxtimes=⊠
    ltimes=⋉ rtimes=⋊ bowtie=⋈ wr=≀ amalg=⨿ smallsetminus=∖ nmid=∤ nparallel=∦ nprec=⊀ nsucc=⊁ dashv=⊣
    vDash=⊨ Vdash=⊩ nvdash=⊬ nvDash=⊭ triangleleft=◁ triangleright=▷ trianglelefteq=⊴ trianglerighteq=⊵
    therefore=∴ because=∵ multimap=⊸ owns=∋ oslash=⊘ circledast=⊛ circledcirc=⊚
    longleftarrow=← Longleftarrow=⇐ longleftrightarrow=↔ Longleftrightarrow=⇔ longmapsto=↦ hookleftarrow=↩
    leftharpoonup=↼ leftharpoondown=↽ rightharpoonup=⇀ rightharpoondown=⇁ leftrightharpoons=⇋ updownarrow=↕
    Uparrow=⇑ Downarrow=⇓ Updownarrow=⇕ nwarrow=↖ swarrow=↙ leadsto=⇝ twoheadrightarrow=↠ rightarrowtail=↣
    rightrightarrows=⇉ leftleftarrows=⇇ leftrightarrows=⇆ rightleftarrows=⇄ nrightarrow=↛ nleftarrow=↚
    nRightarrow=⇏ nLeftarrow=⇍ xrightarrow=→ xleftarrow=← dashrightarrow=⇢ dashleftarrow=⇠ curvearrowright=↷
    circlearrowright=↻ circlearrowleft=↺
    """
)
"""Operators and relations. If one is followed by a space in a formula, it gets a space before it, too."""

_GREEK = _table(
    """
    alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ
    lambda=λ mu=μ nu=ν xi=ξ omicron=ο pi=π varpi=ϖ rho=ρ varrho=ϱ sigma=σ varsigma=ς tau=τ upsilon=υ phi=ϕ
    varphi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ
    Omega=Ω Alpha=Α Beta=Β Epsilon=Ε Zeta=Ζ Eta=Η Iota=Ι Kappa=Κ Mu=Μ Nu=Ν Omicron=Ο Rho=Ρ Tau=Τ Chi=Χ
    """
)
TEXT_LETTERS = _table(
    """
    aa=å AA=Å ae=æ AE=Æ oe=œ OE=Œ o=ø O=Ø l=ł L=Ł ss=ß i=ı j=ȷ dh=ð DH=Ð th=þ TH=Þ dj=đ DJ=Đ ng=ŋ NG=Ŋ
    ij=ij IJ=IJ micro=µ textmicro=µ textmu=µ SS=ẞ
    """
)
OPENING = frozenset(
    """textquotedblleft textquoteleft quotesinglbase quotedblbase lq guillemotleft guillemetleft guilsinglleft
    textexclamdown textquestiondown textlangle textasciitilde textemdash textendash textless
    textbackslash""".split()
)
"""Marks that are joined to the next word."""

SYMBOLS = (
    {f"{prefix}{name}": letter for name, letter in _GREEK.items() for prefix in ("up", "text", "var", "")}
    | TEXT_LETTERS
    | _table(
        """
    varepsilon=ε vartheta=ϑ varpi=ϖ varrho=ϱ varsigma=ς varphi=φ digamma=ϝ varkappa=ϰ ell=ℓ infty=∞
    partial=∂ nabla=∇ forall=∀ exists=∃ nexists=∄ emptyset=∅ varnothing=∅ neg=¬ lnot=¬ hbar=ℏ hslash=ℏ Re=ℜ
    Im=ℑ wp=℘ aleph=ℵ beth=ℶ complement=∁ imath=ı jmath=ȷ eth=ð mho=℧ angle=∠ measuredangle=∡ surd=√ sum=∑
    prod=∏ coprod=∐ int=∫ iint=∬ iiint=∭ oint=∮ bigcup=⋃ bigcap=⋂ bigsqcup=⨆ biguplus=⨄ bigoplus=⨁
    bigotimes=⨂ bigodot=⨀ bigwedge=⋀ bigvee=⋁ top=⊤ bot=⊥ prime=′ backprime=‵ langle=⟨ rangle=⟩ lceil=⌈
    rceil=⌉ lfloor=⌊ rfloor=⌋ llbracket=⟦ rrbracket=⟧ lbrack=[ rbrack=] lvert=| rvert=| vert=| lVert=‖
    rVert=‖ Vert=‖ lbrace={ rbrace=} backslash=∖ slash=/ qed=∎ ldots=… dots=… dotsc=… dotsb=… dotso=…
    dotsm=⋯ dotsi=⋯ cdots=⋯ vdots=⋮ ddots=⋱ textellipsis=… degree=° deg=° textdegree=° celsius=°C
    textcelsius=°C degreeCelsius=°C ohm=Ω textohm=Ω textmho=℧ angstrom=Å Angstrom=Å permil=‰ perthousand=‰
    textperthousand=‰ textpertenthousand=‱ percent=% textpercent=% diameter=⌀ arcdeg=° arcmin=′ arcsec=″
    textprime=′ textdblprime=″ texttimes=× textdiv=÷ textpm=± textmp=∓ textminus=− textplus=+ textequal==
    textnoteq=≠ textleq=≤ textgeq=≥ textless=< textgreater=> textapprox=≈ textsim=∼ textinfty=∞
    textpartial=∂ textlnot=¬ textsurd=√ textcdot=· textonehalf=½ textonequarter=¼ textthreequarters=¾
    textonethird=⅓ texttwothirds=⅔ textoneeighth=⅛ textonesuperior=¹ texttwosuperior=² textthreesuperior=³
    textfractionsolidus=⁄ textordfeminine=ª textordmasculine=º textleftarrow=← textrightarrow=→
    textuparrow=↑ textdownarrow=↓ checkmark=✓ cmark=✓ Checkmark=✓ xmark=✗ XSolidBrush=✗ checked=✓
    CheckedBox=☑ XBox=☒ square=□ Box=□ Square=□ blacksquare=■ triangle=△ vartriangle=△ triangledown=▽
    blacktriangle=▲ blacktriangledown=▼ bigtriangleup=△ bigtriangledown=▽ lozenge=◊ blacklozenge=⧫ Diamond=◇
    bigstar=★ bigcirc=◯ textbigcircle=◯ heartsuit=♥ clubsuit=♣ spadesuit=♠ diamondsuit=♦ male=♂ female=♀
    mars=♂ venus=♀ astrosun=☉ sun=☉ earth=♁ textmale=♂ textfemale=♀ smiley=☺ frownie=☹ sharp=♯ flat=♭
    natural=♮ maltese=✠ lightning=↯ S=§ P=¶ textsection=§ textparagraph=¶ textpilcrow=¶ copyright=©
    textcopyright=© textregistered=® registered=® circledR=® texttrademark=™ trademark=™ textservicemark=℠
    textcircledP=℗ textnumero=№ textestimated=℮ textreferencemark=※ textinterrobang=‽ dag=† ddag=‡ dagger=†
    ddagger=‡ diamond=⋄ textdagger=† textdaggerdbl=‡ textasteriskcentered=* textbullet=• textopenbullet=◦
    textperiodcentered=· textbrokenbar=¦ textbardbl=‖ textbar=| textvisiblespace=␣ pounds=£ textsterling=£
    euro=€ texteuro=€ EUR=€ textdollar=$ cent=¢ textcent=¢ yen=¥ textyen=¥ textcurrency=¤ textflorin=ƒ
    textwon=₩ textnaira=₦ textpeso=₱ textdong=₫ textbaht=฿ textlira=₤ textasciitilde=~ texttildelow=~
    textasciicircum=^ textasciigrave=` textasciiacute=´ textasciimacron=¯ textasciidieresis=¨
    textasciicaron=ˇ textasciibreve=˘ textbackslash=∖ textunderscore=_ textbraceleft={ textbraceright=}
    textlangle=⟨ textrangle=⟩ textlbrackdbl=⟦ textrbrackdbl=⟧ textquotesingle=' textquotedbl="
    textquotedblleft=“ textquotedblright=” textquoteleft=‘ textquoteright=’ quotesinglbase=‚ quotedblbase=„
    lq=‘ rq=’ guillemotleft=« guillemotright=» guillemetleft=« guillemetright=» guilsinglleft=‹
    guilsinglright=› textexclamdown=¡ textquestiondown=¿ textendash=– textemdash=— textcompwordmark=
    LaTeX=LaTeX TeX=TeX BibTeX=BibTeX eg=e.g. ie=i.e. wrt=w.r.t. aka=a.k.a. cf=cf.
    """
    )
    | {"etal": "et al."}
)
OPERATOR_NAMES = frozenset(
    """log ln lg exp sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth max min sup inf lim
    limsup liminf arg argmax argmin det dim ker gcd lcm hom Pr mod bmod rank tr diag sgn""".split()
)
"""Names printed upright, as words: ``n \\log n``."""
STYLES = frozenset(
    """textbf textit emph texttt textsc textrm textsf textup textmd textnormal textsl text underline uline
    mbox hbox fbox mathrm mathbf mathit mathsf mathtt mathcal mathscr mathfrak mathnormal boldsymbol bm pmb
    mathbb mathds operatorname underbrace overbrace ensuremath url path uppercase lowercase MakeUppercase
    MakeLowercase mathop mathbin mathrel mathord mathopen mathclose boxed sout smash textlf textgreek makebox
    mathclap mathrlap mathllap substack""".split()
)
"""Macros that only change the look of their argument."""
NAMED_STYLES = frozenset(
    """hl st enquote textquote added rev revise revised revision tit ce ch ac acs acl acp acf acrshort acrfull
    gls glspl Gls textblue blue red""".split()
)
"""Package macros that only change the look of an argument. Without one, the macro may be an author's own."""
SWITCHES = frozenset(
    """em it bf tt rm sc sf sl cal small large Large footnotesize scriptsize tiny normalsize bfseries itshape
    scshape upshape ttfamily rmfamily sffamily boldmath displaystyle textstyle scriptstyle limits nolimits
    left right middle big Big bigl bigr Bigl Bigr bigg Bigg biggl biggr noindent centering xspace
    protect relax nobreak allowbreak mathsurround selectfont normalfont""".split()
)
"""Macros that print nothing and take no argument."""
BREAKS = frozenset(
    "par newline linebreak hfill smallskip medskip bigskip clearpage newpage break item".split()
)
"""Macros that separate lines or words."""
HIDDEN_ARGUMENT = frozenset(
    """cite citep citet citealp citealt citeauthor citeyear parencite textcite footcite label ref eqref
    autoref cref Cref pageref vspace hspace index thanks color pagestyle phantom hphantom vphantom deleted
    bibliographystyle begin end""".split()
)
"""Macros that print neither a symbol nor their argument."""
SECOND_ARGUMENT = frozenset(
    "href textcolor colorbox hyperlink hyperref scalebox resizebox raisebox rotatebox".split()
)
"""Macros that print only their second argument."""
FIRST_ARGUMENT = frozenset("texorpdfstring replaced".split())
"""Macros that print only the first of two arguments."""
SPACES = {
    ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "/": "", "-": "", "@": "", "quad": " ", "qquad": " ",
    "thinspace": " ", "enspace": " ", "medspace": " ", "thickspace": " ", "nobreakspace": " ",
    "negthinspace": "", "space": " ", "footnotemark": "",
}  # fmt: skip
ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "b": "\u0331",
    "d": "\u0323", "t": "\u0361", "G": "\u030f", "U": "\u030e", "f": "\u0311", "hat": "\u0302",
    "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304", "vec": "\u20d7",
    "dot": "\u0307", "ddot": "\u0308", "check": "\u030c", "breve": "\u0306", "acute": "\u0301",
    "grave": "\u0300", "mathring": "\u030a",
}  # fmt: skip
DOUBLE_STRUCK = dict(zip("CHNPQRZE", "ℂℍℕℙℚℝℤ𝔼", strict=True))

PREFIXES = _table(
    """
    quecto=q ronto=r yocto=y zepto=z atto=a femto=f pico=p nano=n micro=µ milli=m centi=c deci=d deca=da
    hecto=h kilo=k mega=M giga=G tera=T peta=P exa=E zetta=Z yotta=Y ronna=R quetta=Q kibi=Ki mebi=Mi
    gibi=Gi tebi=Ti
    """
)
UNITS = _table(
    """
    metre=m meter=m gram=g kilogram=kg second=s ampere=A kelvin=K mole=mol candela=cd hertz=Hz newton=N
    pascal=Pa joule=J watt=W coulomb=C volt=V farad=F ohm=Ω siemens=S weber=Wb tesla=T henry=H lumen=lm lux=lx
    becquerel=Bq gray=Gy sievert=Sv katal=kat celsius=°C degreeCelsius=°C degree=° arcminute=′ arcsecond=″
    minute=min hour=h day=d litre=L liter=L tonne=t hectare=ha electronvolt=eV dalton=Da bel=B decibel=dB
    neper=Np radian=rad steradian=sr percent=% bit=bit byte=B angstrom=Å astronomicalunit=au bar=bar mmHg=mmHg
    barn=b knot=kn atomicmassunit=u molar=M year=yr
    """
)
"""Names of units in siunitx → symbols."""
