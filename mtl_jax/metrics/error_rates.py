"""Word and character error rate of sequences that a CTC model outputs."""

import dataclasses
import itertools
from typing import Any, ClassVar

import numpy as np

from mtl_jax.core.metric import HostMetric
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_int, require_package

Sentences = list[list[str]]  # By example, its words.


@typechecked
@dataclasses.dataclass(frozen=True)
class CharacterErrorRate(HostMetric):
    """Edit distance of the decoded tokens to the labels, per token of all labels.

    `(S + D + I) / N` with the substitutions, deletions and insertions over all N characters, each
    of them a token; above 1 if there are many insertions. The outputs are decoded greedily: the
    largest at each time, runs of equal ones as one, blanks left out. As `jiwer.cer`.

    Reference: Graves et al., ICML 2006, section 3.2.1 and equation 1
      (https://doi.org/10.1145/1143844.1143891).

    Attributes:
      blank: index of the blank class, as in `losses.ctc_loss`.

    Raises:
      BadInput: without the package jiwer, which the extra `speech` installs.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> outputs = np.eye(4)[np.array([[1, 1, 0, 1, 3]])]  # 1 1 3
      >>> metrics.CharacterErrorRate().compute(outputs, np.array([[1, 2, 1, 3, -1]]))
      0.25
    """

    name: ClassVar[str] = "cer"
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    blank: int = 0

    def __post_init__(self):
        require_int(self, blank=0)
        require_package(self, "jiwer", "speech")

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps outputs and labels, as in `decoded_pairs`, to the rate; NaN without tokens."""
        truth, decoded = decoded_pairs(self.name, outputs, labels, self.blank)
        return error_rate([words(row) for row in truth], [words(row) for row in decoded])


@typechecked
@dataclasses.dataclass(frozen=True)
class WordErrorRate(HostMetric):
    """Edit distance of the decoded words to those of the labels, per word of all labels.

    `(S + D + I) / N` as for `CharacterErrorRate`, of words: the tokens between separators, or
    each token. As `jiwer.wer`.

    Attributes:
      separator: the token between words, such as the space; None if every token is a word.
      blank: index of the blank class, as in `losses.ctc_loss`.

    Raises:
      BadInput: without the package jiwer, which the extra `speech` installs.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> outputs = np.eye(4)[np.array([[1, 2, 3, 1, 0, 1]])]  # The words 1 2 and 1 1.
      >>> metrics.WordErrorRate(separator=3).compute(outputs, np.array([[1, 2, 3, 1, -1]]))
      0.5
    """

    name: ClassVar[str] = "wer"
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    separator: int | None = None
    blank: int = 0

    def __post_init__(self):
        require_int(self, blank=0)
        if self.separator is not None:
            require_int(self, separator=0)
        require_package(self, "jiwer", "speech")

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps outputs and labels, as in `decoded_pairs`, to the rate; NaN without words."""
        truth, decoded = decoded_pairs(self.name, outputs, labels, self.blank)
        between = self.separator
        return error_rate(
            [words(row, between) for row in truth], [words(row, between) for row in decoded]
        )


def words(tokens: list[int], separator: int | None = None) -> list[str]:
    """The words of a sequence, each as text without spaces."""
    if separator is None:
        return [str(token) for token in tokens]
    groups = itertools.groupby(tokens, lambda token: token == separator)
    return ["-".join(map(str, word)) for between, word in groups if not between]


def decoded_pairs(
    name: str, outputs: Any, labels: np.ndarray, blank: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Sequences of the labels, and those decoded, of the examples with a label.

    Args:
      name: metric, for the error.
      outputs: logits `[N, T, C]`, or a dict of "logits" and "logit_lengths" `[N]`, the numbers of
        valid time steps.
      labels: integers `[N, L]`, padded with negative values; missing where all are negative.
      blank: index of the blank class.

    Raises:
      ValueError: if shapes or dtypes do not match.
    """
    logits = np.asarray(outputs["logits"] if isinstance(outputs, dict) else outputs)
    labels = np.asarray(labels)
    fits = logits.ndim == 3 and labels.ndim == 2 and len(logits) == len(labels)
    if not fits or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name} needs logits [N, T, C] and integer labels [N, L], not {logits.shape} and "
            f"{labels.dtype}{labels.shape}"
        )
    lengths = outputs["logit_lengths"] if isinstance(outputs, dict) else None
    decoded = greedy_decode(logits, lengths, blank)
    kept = np.any(labels >= 0, axis=-1)
    truth = [row[row >= 0].tolist() for row in labels[kept]]
    return truth, [row for row, keep in zip(decoded, kept, strict=True) if keep]


def greedy_decode(
    logits: np.ndarray, logit_lengths: np.ndarray | None, blank: int
) -> list[list[int]]:
    """The tokens of the most probable path of each example.

    Args:
      logits: `[N, T, C]`.
      logit_lengths: number of valid time steps, integers `[N]`; None for T.
      blank: index of the blank class.
    """
    best = logits.argmax(-1)
    kept = best != blank
    kept[:, 1:] &= best[:, 1:] != best[:, :-1]
    if logit_lengths is not None:
        kept &= np.arange(best.shape[1]) < np.asarray(logit_lengths).reshape(-1, 1)
    return [row[keep].tolist() for row, keep in zip(best, kept, strict=True)]


def error_rate(truth: Sentences, decoded: Sentences) -> float:
    """Word error rate over all examples; NaN if `truth` has no word."""
    import jiwer  # An optional package.

    if not any(truth):
        return float("nan")
    return float(jiwer.process_words([*map(" ".join, truth)], [*map(" ".join, decoded)]).wer)
