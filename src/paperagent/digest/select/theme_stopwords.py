"""Words that name no theme: those of all abstracts, and those that begin or end no heading."""

from __future__ import annotations

from paperagent.text.terms import stem

EMPTY = frozenset(
    stem(w)
    for w in """natural downstream approach method methodology framework model system paper work study
    result performance
    experiment analysis evaluation state art novel new existing recent propose introduce present
    demonstrate show achieve improve outperform significantly effective efficient robust general
    various different multiple several many two three four five six first second via using based
    toward towards beyond rethinking understanding exploring improving enhancing learning training
    task dataset data benchmark baseline large small high low better best good strong real world
    across problem challenge setting domain application practical extensive comprehensive systematic
    unified simple however despite while yet remain often typically code available open source
    publicly researcher human computer science research information process design technique
    algorithm solution strategy capability ability potential limitation impact need use case example
    key main important critical crucial current previous prior traditional conventional standard
    common single time number set level type form way step stage part role quality accuracy error
    rate score metric loss cost enable provide require lead allow make address leverage generate
    produce predict learn train evaluate test measure compare investigate analyse analyze explore
    examine identify reveal find increase decrease reduce further additional fully highly directly
    jointly simultaneously respectively particularly especially specifically moreover furthermore
    additionally finally consistently per cent percent average overall total point gain improvement
    comparable competitive superior promising theoretical empirical experimental quantitative
    qualitative help well known widely used due lack rely scale scaling end enabled driven aware
    guided free oriented specific like non pre post self multi cross through without between into
    over under more less most least can may must should also thus hence generation detection
    prediction classification recognition estimation optimization representation feature input
    output parameter network neural deep machine artificial intelligence ai ml language large-scale
    fine grained tuning fine-tuning inference reasoning modeling modelling text image video user
    agent knowledge context token attention semantic structure structural temporal dynamic local
    global visual spatial space layer sample distribution function architecture pipeline module
    component mechanism paradigm perspective view insight evidence question answer llm llms
    foundation pretrained pre-trained transformer challenging complex diverse rich long short full
    failure success change effect behavior behaviour response gap trade off tradeoff think thinking
    matter does matters survey review overview introduction look right wrong early late
    """.split()
)
"""Stems that alone name no theme; beside another word many of them do."""

NEVER = frozenset(
    stem(w)
    for w in """we propose introduce mitigate diagnose interpret benchmarking building generalize hidden
    present demonstrate show achieve outperform significantly via using toward
    towards beyond rethinking exploring enhancing improving however despite yet remain often
    typically extensive experiment result paper publicly available code respectively moreover
    furthermore additionally finally consistently state art enable provide require lead allow make
    address leverage increasingly existing recent recently several various many two three four five
    six first second third novel new based compared compare reveal find found further investigate
    evaluate examine identify rely outperforms baseline baselines across improve improves reduce
    reduces increase while approach method framework work study current prior previous conventional
    comprehensive systematic effective effectively efficiently better best superior competitive
    comparable particularly especially specifically can may must should also thus hence does do per
    cent how why what without through between into over under more less most least non significant
    substantial critical crucial key important promising widely due lack suffer suffers struggle
    making matters matter case 2023 2024 2025 2026 introducing understanding unlocking bridging
    think you need all together apart et al eg ie e.g i.e different single strong simple unified
    general challenging challenge problem issue aim goal strategy technique ability capability
    capabilities
    """.split()
)
"""Stems that no name begins or ends with."""

COMPOUND = frozenset(
    stem(w)
    for w in """shot free time level like aware following evolving training horizon context turn hop scale bit
    stack step stage view source domain agent purpose quality order rank term world wise grained""".split()
)
"""Stems with which compounds that describe something else end: ``zero-shot``, ``training-free``."""
