"""Error rates against jiwer on texts, and the greedy decoding by hand."""

import itertools
import sys

import numpy as np
import pytest

from mtl_jax import losses
from mtl_jax.core.validation import BadInput
from mtl_jax.metrics.error_rates import CharacterErrorRate, WordErrorRate, greedy_decode

jiwer = pytest.importorskip("jiwer")

ALPHABET = "_ abc"  # Blank, space and letters.


def inputs(seed, size=6, time=12, length=7):
    """Logits, and texts with words of letters, of which one is missing."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice([*" abc"], rng.integers(2, length))) for _ in range(size)]
    texts = ["a" if text.isspace() else " ".join(text.split()) for text in texts]
    texts[seed % size] = ""
    labels = np.array([[ALPHABET.index(c) for c in t] + [-1] * (length - len(t)) for t in texts])
    return rng.normal(size=(size, time, len(ALPHABET))), labels, texts


def read(logits):
    """Greedy decoding of one example: groups of equal tokens, without blanks."""
    best = [ALPHABET[c] for c in logits.argmax(-1)]
    return "".join(c for c, _ in itertools.groupby(best) if c != "_")


def test_rates_are_those_of_the_texts():
    for seed in range(100):
        logits, labels, texts = inputs(seed)
        pairs = [(t, read(z)) for t, z in zip(texts, logits, strict=True) if t]
        truth, decoded = map(list, zip(*pairs, strict=True))
        wanted = jiwer.wer(truth, decoded)
        found = WordErrorRate(separator=1).compute(logits, labels)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
        # As letters, since jiwer drops spaces at the ends.
        letters = [[each.replace(" ", "z") for each in side] for side in (truth, decoded)]
        wanted = jiwer.cer(*letters)
        found = CharacterErrorRate().compute(logits, labels)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
        assert WordErrorRate().compute(logits, labels) == found  # A word of each token.


def test_what_is_after_the_length_does_not_count():
    for seed in range(20):
        logits, labels, _ = inputs(seed)
        lengths = np.random.default_rng(seed).integers(1, 13, len(logits))
        blank = 9.0 * (np.arange(len(ALPHABET)) == 0)
        inside = np.arange(logits.shape[1]) < lengths[:, None]
        wanted = CharacterErrorRate().compute(np.where(inside[..., None], logits, blank), labels)
        outputs = {"logits": logits, "logit_lengths": lengths}
        assert CharacterErrorRate().compute(outputs, labels) == wanted


def test_decoding_by_hand():
    """A run is one token, and a blank within it makes two."""
    logits = np.eye(3)[np.array([[1, 1, 0, 1, 2, 2], [0, 0, 2, 1, 1, 0]])]
    assert greedy_decode(logits, None, 0) == [[1, 1, 2], [2, 1]]
    assert greedy_decode(logits, np.array([3, 0]), 0) == [[1], []]
    assert greedy_decode(logits, None, 2) == [[1, 0, 1], [0, 1, 0]]


def test_the_right_path_has_the_least_loss_and_no_error():
    """Labels, outputs and the blank mean to the metric what they mean to the loss."""
    labels = np.array([[2, 2, 1, -1]])
    paths = np.array([[0, 2, 2, 0, 2, 1], [0, 2, 2, 2, 2, 1], [0, 2, 1, 0, 2, 1]])
    rates = [CharacterErrorRate().compute(np.eye(3)[path[None]], labels) for path in paths]
    np.testing.assert_allclose(rates, [0, 1 / 3, 1 / 3])
    each = [float(losses.ctc_loss(9.0 * np.eye(3)[path[None]], labels)[0]) for path in paths]
    assert each[0] < 0.1 and min(each[1:]) > 5


def test_rates_of_nothing():
    logits, missing = np.zeros((2, 3, 4)), np.full((2, 5), -1)
    assert np.isnan(WordErrorRate().compute(logits, missing))
    assert np.isnan(CharacterErrorRate().compute(logits[:0], missing[:0]))
    assert np.isnan(WordErrorRate(separator=1).compute(logits, np.ones((2, 5), int)))
    assert CharacterErrorRate().compute(logits, np.ones((2, 5), int)) == 1.0  # Blanks alone.


def test_what_does_not_fit_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"wer needs logits .* and integer labels"):
        WordErrorRate().compute(np.zeros((2, 3, 4)), np.zeros((2, 5)))
    with pytest.raises(BadInput, match=r"WordErrorRate\.separator must be at least 0"):
        WordErrorRate(separator=-1)
    monkeypatch.setitem(sys.modules, "jiwer", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = r"^CharacterErrorRate needs the package jiwer: pip install mtl_jax\[speech\]$"
    with pytest.raises(BadInput, match=told):
        CharacterErrorRate()
