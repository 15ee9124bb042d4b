"""Paths as users write them: a home that nobody has is a path that is not there."""

import pathlib

import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Folder, Table
from mtl_jax.data.files.paths import expand_path


def test_a_tilde_is_the_home_and_of_nobody_it_stays():
    assert expand_path("~/a") == pathlib.Path.home() / "a"
    assert expand_path("~nobody-has-this-name/a") == pathlib.Path("~nobody-has-this-name/a")


@pytest.mark.parametrize("source", [Table, Folder])
def test_a_home_of_nobody_is_named(source):
    with pytest.raises(BadInput, match=rf"{source.__name__}\.path must be a .*~nobody"):
        source("~nobody-has-this-name/a.csv").shapes()
