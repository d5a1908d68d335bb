"""A claim in Unicode against a sentence in LaTeX, and the other way round."""

from __future__ import annotations

import pytest

from paperagent.verification import check

SAME = [
    ("The error falls below 10⁻³.", r"The error falls below $10^{-3}$."),
    ("Accuracy rises by 30%.", r"Accuracy rises by 30\%."),
    ("The model is 3 × faster than the baseline.", r"The model is $3 \times$ faster than the baseline."),
    ("The model is 3× faster than the baseline.", r"The model is $3\times$ faster than the baseline."),
    ("The score is 71.8 ± 0.4.", r"The score is $71.8 \pm 0.4$."),
    ("The bound holds for n ≤ 100.", r"The bound holds for $n \leq 100$."),
    ("The bound holds for n ≥ 100.", r"The bound holds for $n \geq 100$."),
    ("The rate is O(n²) in the worst case.", r"The rate is $O(n^2)$ in the worst case."),
    ("The rate is O(log n) in the worst case.", r"The rate is $\mathcal{O}(\log n)$ in the worst case."),
    ("It needs ~5 hours of training.", r"It needs $\sim 5$ hours of training."),
    ("It is trained on 12,000 images.", r"It is trained on $12{,}000$ images."),
    ("It is trained on 12,000 images.", r"It is trained on 12{,}000 images."),
    ("The samples of Smith are used.", r"The samples of~Smith are used."),
    ("The tail decays as x^{-2.5}.", r"The tail decays as $x^{-2.5}$."),
    ("The energy is 1.5 × 10⁶ eV.", r"The energy is $1.5 \times 10^{6}$ eV."),
    ("The temperature drops to −5 °C.", r"The temperature drops to $-5\,^{\circ}$C."),
    ("BERT-large is used as the encoder.", r"\textsc{BERT}-large is used as the encoder."),
    ("DynaGS runs at 40 frames per second.", r"\textbf{DynaGS} runs at 40 frames per second."),
    (r"The error falls below $10^{-3}$.", "The error falls below 10⁻³."),
    (r"Accuracy rises by 30\%.", "Accuracy rises by 30%."),
    (r"The score is $71.8 \pm 0.4$.", "The score is 71.8 ± 0.4."),
    ("The fit gives β = 0.73.", r"The fit gives $\beta = 0.73$."),
    ("The loss L1 is added to the loss L2.", r"The loss $L_1$ is added to the loss $L_2$."),
    ("The loss L₁ is added.", r"The loss $L_{1}$ is added."),
    ("The phase transition occurs at α ≈ 0.5.", r"The phase transition occurs at $\alpha \approx 0.5$."),
    ("The gap is ε for every θ.", r"The gap is $\varepsilon$ for every $\theta$."),
    ("We set λ to 0.1 and μ to 2.", r"We set $\lambda$ to 0.1 and $\mu$ to 2."),
    (r"The fit gives $\beta = 0.73$.", "The fit gives β = 0.73."),
]
OTHER = [
    ("The fit gives β = 0.37.", r"The fit gives $\beta = 0.73$."),
    ("The fit gives β = −0.73.", r"The fit gives $\beta = 0.73$."),
    ("The error falls below 10³.", r"The error falls below $10^{-3}$."),
    ("The error falls below 10⁻².", r"The error falls below $10^{-3}$."),
    ("Accuracy rises by 13%.", r"Accuracy rises by 30\%."),
    ("The model is 4 × faster than the baseline.", r"The model is $3 \times$ faster than the baseline."),
    ("The score is 71.8 ± 4.0.", r"The score is $71.8 \pm 0.4$."),
    ("The bound holds for n ≥ 100.", r"The bound holds for $n \leq 100$."),
    ("The bound holds for n < 100.", r"The bound holds for $n > 100$."),
    ("The rate is O(n³) in the worst case.", r"The rate is $O(n^2)$ in the worst case."),
    ("It is trained on 21,000 images.", r"It is trained on $12{,}000$ images."),
    ("The energy is 1.5 × 10⁵ eV.", r"The energy is $1.5 \times 10^{6}$ eV."),
    ("The temperature drops to 5 °C.", r"The temperature drops to $-5\,^{\circ}$C."),
    ("The tail decays as x^{2.5}.", r"The tail decays as $x^{-2.5}$."),
    (r"The fit gives $\beta = 0.71$.", "The fit gives β = 0.73."),
    (r"The score is $71.8 \pm 0.6$.", "The score is 71.8 ± 0.4."),
]


@pytest.mark.parametrize(("claim", "sentence"), SAME)
def test_the_same_in_another_notation_is_supported(claim: str, sentence: str) -> None:
    """Greek letters, exponents, comparisons, escapes and font commands are notation, not content."""
    assert check(claim, [sentence]).support in ("quoted", "supported")


@pytest.mark.parametrize(("claim", "sentence"), OTHER)
def test_another_number_or_sign_is_not(claim: str, sentence: str) -> None:
    """Reading both notations must not make different values the same."""
    assert check(claim, [sentence]).support not in ("quoted", "supported")
