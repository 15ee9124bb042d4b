"""Numbers that float32 makes equal: refused, told, or by chance."""

import warnings

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data import UCR, Table
from mtl_jax.data.files.columns import Columns
from mtl_jax.data.files.float_precision import require_precision


def check(cells):
    places = [("f.csv", f"line {at}") for at in range(2, len(cells) + 2)]
    values = np.array(cells, np.float64)
    require_precision(Columns({"x": list(map(str, cells))}, places), "x", values, values)


@pytest.mark.parametrize(
    ("cells", "lost", "distinct"),
    [
        ([1_700_000_000 + at for at in range(20)], 19, 20),  # float32 has one number in 128 there
        ([2**24, 2**24 + 1, 5, 6], 1, 4),
        (["10000000000000000000", "10000000000000000001"], 1, 2),  # equal in float64 too
        ([1e-50, 2e-50, 3e-50], 2, 3),
        ([1_700_000_000.5 + at for at in range(20)], 19, 20),
    ],
)
def test_numbers_that_become_equal_are_refused(cells, lost, distinct):
    text = rf"f\.csv: column 'x': {lost} of {distinct} different numbers become equal to another"
    with pytest.raises(BadInput, match=text):
        check(cells)


@pytest.mark.parametrize(
    "cells",
    [
        [1_700_000_000 + 3600 * at for at in range(20)],
        [2**24, 2**24 + 2, 2**24],
        [1, "1.0", "1e0", 2],
        [0.1, 0.3, 0.1 + 0.2, 0.7, 0.1 * 7, float("nan"), -3e38, 1e-320],
        ["10000000000000000000", "20000000000000000000"],
        [float("nan")],
        [*[0.0] * 20, 0.3, 0.1 + 0.2, 0.7, 0.1 * 7],
    ],
)
def test_others_are_fine(cells):
    check(cells)


def test_few_integers_that_become_equal_are_told():
    with pytest.warns(DataWarning, match="column 'x': 1 of 42 different integers become equal"):
        check([*range(40), 2**24, 2**24 + 1])


def test_one_in_ten_is_not_too_many():
    with pytest.warns(DataWarning, match="1 of 10 different integers become equal"):
        check([*range(8), 2**24, 2**24 + 1])
    with pytest.raises(BadInput, match="1 of 9 different numbers become equal"):
        check([*range(7), 2**24, 2**24 + 1])


def test_fractions_may_be_equal_by_chance():
    values = np.random.default_rng(0).uniform(size=100_000)
    assert len(np.unique(values.astype(np.float32))) < len(values)
    check(values.tolist())


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(
        "a,t,y\n" + "".join(f"{at},{1_700_000_000 + at},{at % 2}\n" for at in range(20))
    )
    return str(file)


def test_timestamps_of_a_table(path):
    with pytest.raises(BadInput, match="column 't': 19 of 20 different numbers become equal"):
        Table(path, standardize=False).load()
    with pytest.raises(BadInput, match="column 't': 19 of 20 different numbers become equal"):
        Table(path, numbers=("t",)).load()
    splits = Table(path).load()
    seen = np.concatenate([part["inputs"][:, 1] for part in splits])
    assert len(np.unique(seen)) == 20  # Their mean is taken off in float64.


def test_very_small_numbers_among_others_are_fine(tmp_path):
    # As p-values are: beside 0.5 those of 1e-9 and 1e-30 are the same for any net.
    values = [*(10.0**-at for at in range(9, 29)), *np.linspace(0.01, 0.99, 20)]
    file = tmp_path / "p.csv"
    file.write_text("p,y\n" + "".join(f"{p},{at % 2}\n" for at, p in enumerate(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of rows that are equal
        assert Table(str(file)).load().train["inputs"].shape == (32, 1)


def test_a_far_number_makes_all_others_equal(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("a,y\n" + "".join(f"{at},{at % 2}\n" for at in [*range(20), 10**20]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        with pytest.raises(BadInput, match=r"column 'a': \d+ of 21 different numbers become equal"):
            Table(str(file)).load()


def test_channels_of_series(tmp_path):
    text = "@classLabel true a b\n@data\n" + "".join(
        f"{at},{at + 1}:{2**30 + at},{2**30 + 2 * at}:{'ab'[at % 2]}\n" for at in range(8)
    )
    (tmp_path / "S_TRAIN.ts").write_text(text)
    with pytest.raises(BadInput, match=r"S_TRAIN\.ts, channel 1: 11 of 12 different numbers"):
        UCR("S", str(tmp_path)).load()
