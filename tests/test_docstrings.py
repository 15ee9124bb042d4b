"""Examples in docstrings run and print what they say."""

import doctest
import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "mtl_jax").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)

# Examples that need an optional package.
NEEDS = {"mtl_jax.metrics.detection": "faster_coco_eval", "mtl_jax.metrics.error_rates": "jiwer"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0 and found.failed == 0
