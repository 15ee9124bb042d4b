"""The warning that validation gets worse while the training loss falls."""

import numpy as np
import pytest

from mtl_jax.report.overfitting import overfitting
from tests.small import HEIGHT, ROW, RUN

RUN = RUN.replace(tasks=(ROW, HEIGHT))
RANDOM = np.random.default_rng(0)
COUNT = 20


def records(row, height, losses):
    return {
        10 * (i + 1): {
            "step": 10 * (i + 1),
            "train": {"loss/row": [losses[i]] * 2, "loss/height": [losses[i]] * 2},
            "validation": {
                "raw": {"row": {"accuracy": [row[i]] * 2}, "height": {"mse": [height[i]] * 2}}
            },
        }
        for i in range(len(row))
    }


RISE = 1.0 - np.exp(-np.arange(COUNT) / 3.0)
FALL = np.exp(-np.arange(COUNT) / 5.0)
HUMP = RISE - 0.03 * np.arange(COUNT)
NOISE = 0.001 * RANDOM.normal(size=COUNT)


def test_what_gets_worse_is_named_with_both_values():
    (text,) = overfitting(RUN, records(HUMP + NOISE, 2.0 - RISE, FALL))
    assert text.startswith(
        "overfits: validation gets worse while the training loss falls, of 'row'"
    )
    assert "accuracy" in text and "at the end" in text and "height" not in text
    (text,) = overfitting(RUN, records(RISE, 2.0 - HUMP, FALL))
    assert "'height' (mse" in text and "'row'" not in text, "of errors the lower is better"


@pytest.mark.parametrize(
    ("row", "losses"),
    [
        (RISE + NOISE, FALL),
        (0.5 + 0.1 * RANDOM.normal(size=COUNT), FALL),  # noise is no trend
        (HUMP, 1.0 - FALL),  # training gets worse too: it diverges
        (HUMP[:7], FALL),  # too few evaluations
        (np.where(np.arange(COUNT) == 3, np.nan, HUMP), FALL),
    ],
    ids=["better", "noise", "diverging", "few", "missing"],
)
def test_other_curves_are_not(row, losses):
    assert overfitting(RUN, records(row, 2.0 - RISE[: len(row)], losses)) == []
