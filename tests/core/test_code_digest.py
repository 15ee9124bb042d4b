"""The digest of users' code: whatever decides what it computes, and nothing else."""

import importlib
import os
import pathlib
import subprocess
import sys
import types

import jax
import pytest

from mtl_jax import losses, metrics
from mtl_jax.core.code_digest import is_users
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.validation import BadInput

BASE = '''
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import flax.linen as nn
from jax.nn import relu

import near

RATE, OTHER = 0.5, 1.0
TABLE = {"a": [1, 2], "b": lambda x: 2 * x}
SQUARE = lambda x: x * x


def part(x):
    """A part."""
    return x * RATE  # of it


def unrelated(x):
    return x + OTHER


@jax.custom_vjp
def held(x):
    return x


def held_forward(x):
    return x, None


def held_backward(_, g):
    return (g * 2.0,)


held.defvjp(held_forward, held_backward)


@jax.jit
def loss(outputs, labels):
    """A loss."""
    mean = jnp.mean(outputs)
    return part(mean) + near.scaled(mean) + SQUARE(mean) + TABLE["b"](mean) + held(mean)


class Above:
    strength = 3

    def also(self, x):
        return -x


@dataclasses.dataclass(frozen=True)
class Mine(Above):
    """A loss with a setting."""

    rate: float = 1.0
    kind = "sum"

    def __call__(self, outputs, labels):
        from near import late

        return self.also(outputs) + late(outputs)


class Trunk(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, x, train):
        return relu(nn.Dense(self.width)(x))


def reached(x):
    return loss(x, x) if x else reached(1)


PARTIAL = functools.partial(part, x=1)


def by_partial():
    return PARTIAL()
'''
NEAR = """
BY = 2.0


def scaled(x):
    return x * BY


def late(x):
    return x + 1


def aside(x):
    return x
"""


@pytest.fixture
def text(tmp_path, monkeypatch):
    """Source texts of names of a module and its neighbour, with some replaced by others."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(*names, **changes):
        for file, source in (("mine.py", BASE), ("near.py", NEAR)):
            for old, new in changes.get("replaced", ()):
                source = source.replace(old, new)
            (tmp_path / file).write_text(source)
            sys.modules.pop(file[:-3], None)
        importlib.invalidate_caches()
        module = importlib.import_module("mine")
        found = [getattr(module, name) for name in names]
        return [
            to_source(each() if name in ("Mine", "Trunk") else each)
            for name, each in zip(names, found, strict=True)
        ]

    yield make
    for name in ("mine", "near"):
        sys.modules.pop(name, None)


NAMES = ("loss", "Mine", "Trunk", "unrelated", "reached", "by_partial")


def changed(text, old, new):
    """The names whose text a replacement changes."""
    before = text(*NAMES)
    assert old in BASE + NEAR
    after = text(*NAMES, replaced=[(old, new)])
    return {name for name, a, b in zip(NAMES, before, after, strict=True) if a != b}


def test_a_text_stays_readable(text):
    found = text("loss", "Mine")
    assert found[0].startswith("mine.loss#") and len(found[0]) == len("mine.loss#") + 8
    assert found[1].startswith("mine.Mine#") and found[1].endswith("(rate=1.0)")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # of it", "  # of the whole of it"),
        ('"""A loss."""', '"""Another text."""'),
        ('"""A part."""', ""),
        ('    """A loss with a setting."""\n', ""),
        ("    mean = jnp.mean(outputs)\n", "\n    mean = (\n        jnp.mean(outputs)\n    )\n"),
        ("import math", "import math, json"),
    ],
)  # fmt: skip
def test_what_computes_the_same_changes_nothing(text, old, new):
    assert changed(text, old, new) == set()


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("jnp.mean(outputs)", "jnp.sum(outputs)", {"loss", "reached"}),
        ("return x * RATE", "return x / RATE", {"loss", "reached", "by_partial"}),
        ("RATE, OTHER = 0.5", "RATE, OTHER = 0.25", {"loss", "reached", "by_partial"}),
        ("0.5, 1.0", "0.5, 2.0", {"unrelated"}),
        ("BY = 2.0", "BY = 4.0", {"loss", "reached", "Mine"}),
        ("return x * BY", "return x + BY", {"loss", "reached", "Mine"}),
        ("return x + 1\n", "return x + 2\n", {"Mine"}),
        ("lambda x: x * x", "lambda x: x * x * x", {"loss", "reached"}),
        ("lambda x: 2 * x", "lambda x: 3 * x", {"loss", "reached"}),
        ("[1, 2]", "[1, 3]", {"loss", "reached"}),
        ("g * 2.0", "g * 3.0", {"loss", "reached"}),
        ("@jax.jit\n", "", {"loss", "reached"}),
        ("return -x", "return x", {"Mine"}),
        ("strength = 3", "strength = 4", {"Mine"}),
        ('kind = "sum"', 'kind = "mean"', {"Mine"}),
        ("import relu", "import tanh as relu", {"Trunk"}),
        ("import jax.numpy as jnp", "import numpy as jnp", {"loss", "reached"}),
        ("nn.Dense(self.width)", "nn.Dense(2 * self.width)", {"Trunk"}),
        ("x=1)", "x=2)", {"by_partial"}),
        # What is imported within a function counts as a whole.
        ("def aside(x):\n    return x", "def aside(x):\n    return -x", {"Mine"}),
    ],
)  # fmt: skip
def test_what_computes_another_thing_counts(text, old, new, names):
    assert changed(text, old, new) == names


def test_what_is_ours_or_installed_has_its_name_alone():
    assert to_source(losses.cross_entropy) == "mtl_jax.cross_entropy"
    assert to_source(metrics.Accuracy()) == "Accuracy()"
    assert to_source(jax.nn.relu) == "jax.relu"
    assert to_source(sorted) == "builtins.sorted"
    assert not any(map(is_users, ("mtl_jax.losses", "jax.numpy", "json", "builtins", "flax")))
    assert is_users("tests.small") and is_users("of no file")


def made(source, name="f"):
    """What a source makes that is in no file."""
    names = {"__name__": "typed_in"}
    exec(source, names)  # noqa: S102
    return to_source(names[name])


def test_code_without_source_counts_by_its_bytecode():
    one = made("def f(x):\n  return x + 1")
    assert (
        one == made("def f(x):\n\n  return x + 1  # the same") != made("def f(x):\n  return x + 2")
    )
    assert one.startswith("typed_in.f#")
    inner = "def f(x):\n  return [(lambda y: y + {})(z) for z in x]"
    assert made(inner.format(1)) != made(inner.format(2))
    named = "SCALE = {}\ndef f(x):\n  return SCALE * x"
    assert made(named.format(1)) != made(named.format(2)) == made(named.format(2))
    box = "class f:\n  def g(self):\n    return {}"
    assert made(box.format(1)) != made(box.format(2)) == made(box.format(2))


SETS = """
NAMES = {"one", "two", "three", "four"}
def f(x):
    return x in NAMES or x in {"five", "six", "seven"} or TABLE[x]
TABLE = {"a": frozenset({"eight", "nine", "ten"})}
"""


def test_the_same_in_every_process(tmp_path):
    """Of source and of bytecode: Python orders the names in a set anew each time."""
    (tmp_path / "sets.py").write_text(SETS)
    code = (
        "import sets; from mtl_jax.core.fingerprint import to_source; names = {'__name__': 'typed_in'};"
        f"exec({SETS!r}, names); print(to_source(sets.f), to_source(names['f']))"
    )
    paths = f"{pathlib.Path(__file__).parents[2]}{os.pathsep}{tmp_path}"
    found = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert found[0] == found[1] and found[0].startswith("sets.f#")


def test_what_has_no_name_is_refused_as_before(text):
    with pytest.raises(BadInput, match="no named function"):
        text("SQUARE")


def test_names_that_lead_in_a_circle(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "circle.py").write_text(
        "from mtl_jax.config.optimizers import SGD\n"
        "def f(x):\n    return g(x), RUNS, circle, missing\n"
        "def g(x):\n    return f(x)\n"
        "RUNS = [SGD(0.1), f, {'g': g}, object()]\n"
        "import circle\n"
    )
    module = importlib.import_module("circle")
    assert isinstance(module, types.ModuleType)
    one, other = to_source(module.f), to_source(module.g)
    assert one.split("#")[0] == "circle.f" and one.split("#")[1] == other.split("#")[1]
