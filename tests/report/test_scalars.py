"""Tags and values of what trackers are sent."""

import numpy as np

from mtl_jax import nets
from mtl_jax.report.scalars import flat_settings, record_scalars, result_scalars
from tests.small import RUN

RECORD = {
    "step": 4,
    "train": {"loss/row": [0.5, 1.5]},
    "validation": {
        "raw": {"row": {"accuracy": [0.25, 0.75]}},
        "ema": {"row": {"accuracy": [0.5, float("nan")]}},
    },
    "test": {"raw": {"row": {"accuracy": [0.0, 0.0]}}},
}


def test_means_and_seeds_of_a_record():
    expected = {
        "train/loss/row": 1.0,
        "validation/row/accuracy": 0.5,
        "validation_ema/row/accuracy": np.nan,
        "seed_3/train/loss/row": 0.5,
        "seed_4/train/loss/row": 1.5,
        "seed_3/validation/row/accuracy": 0.25,
        "seed_4/validation/row/accuracy": 0.75,
        "seed_3/validation_ema/row/accuracy": 0.5,
        "seed_4/validation_ema/row/accuracy": np.nan,
    }
    np.testing.assert_equal(record_scalars(RECORD, first_seed=3), expected)


def test_one_seed_is_its_mean():
    record = {"step": 4, "train": {"loss/row": [0.5]}}
    assert record_scalars(record, first_seed=0) == {"train/loss/row": 0.5}


def test_test_metrics_of_a_result():
    result = {"selected": [{"test": {"row": {"accuracy": value}}} for value in (0.25, 0.75)]}
    assert result_scalars(result, first_seed=0) == {
        "test/row/accuracy": 0.5,
        "seed_0/test/row/accuracy": 0.25,
        "seed_1/test/row/accuracy": 0.75,
    }


def test_settings():
    settings = flat_settings(RUN.replace(trunk=nets.MLP((8, 4))))
    assert settings["steps"] == 8 and settings["labels.num_labelled"] == 24
    assert settings["labels.partial"] is False and settings["execution"] is None
    assert settings["evaluation.ema_decay"] == 0.9 and settings["name"] == "hard"
    assert settings["trunk"] == "MLP(features=(8, 4), batch_norm=False)"
    assert all(isinstance(v, bool | int | float | str | None) for v in settings.values())
