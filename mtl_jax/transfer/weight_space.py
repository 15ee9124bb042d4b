"""Arithmetic of whole nets: task vectors, soups and the straight line between two nets."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.protocols import Tree
from mtl_jax.core.tree import paths
from mtl_jax.core.validation import BadInput, require

# None of these averages BatchNorm's statistics: they are of one net, and are computed again for
# the result, on training images.


def task_vector(params: Tree, start: Tree) -> Tree:
    """What training changed, `w - w_0`.

    Args:
      params: after training, a tree of floats.
      start: before it, of the same paths and shapes.

    Returns:
      The tree of differences, to be added by `add_task_vectors`.

    Raises:
      BadInput: for leaves that are missing, misshapen or no floats, all named by path.

    Reference: Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023, Section 2
      (https://arxiv.org/abs/2212.04089).
    """
    require_alike("task_vector", (params, start))
    return jax.tree.map(jnp.subtract, params, start)


def add_task_vectors(start: Tree, vectors: Sequence[Tree], scale: float = 1.0) -> Tree:
    """A net with several tasks learnt or, by a negative scale, forgotten, `w_0 + a sum_t v_t`.

    Args:
      start: a tree of floats.
      vectors: from `task_vector`, one or more, of the same paths and shapes.
      scale: a; chosen on validation data, negative to negate.

    Returns:
      The tree of parameters.

    Raises:
      BadInput: for no vector, or leaves that are missing, misshapen or no floats.

    Reference: Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023, Section 2
      (https://arxiv.org/abs/2212.04089).
    """
    require_some("add_task_vectors", "vectors", vectors)
    require_alike("add_task_vectors", (start, *vectors))
    return jax.tree.map(lambda leaf, *parts: leaf + weak(scale, leaf) * sum(parts), start, *vectors)


def interpolate(start: Tree, end: Tree, share: float | jax.Array) -> Tree:
    """A net on the line between two, `(1 - a) w_0 + a w_1`.

    Args:
      start: w_0, as before fine-tuning, a tree of floats.
      end: w_1, as after it, of the same paths and shapes.
      share: a, a number or `[]`; 0 is the start, 1 the end.

    Returns:
      The tree of parameters.

    Raises:
      BadInput: for leaves that are missing, misshapen or no floats, all named by path.

    Reference: Wortsman et al., Robust Fine-Tuning of Zero-Shot Models (WiSE-FT), CVPR 2022, the
      section on weight-space ensembles (https://arxiv.org/abs/2109.01903).
    """
    require_alike("interpolate", (start, end))

    def between(a: jax.Array, b: jax.Array) -> jax.Array:
        return weak(1.0 - share, a) * a + weak(share, a) * b

    return jax.tree.map(between, start, end)


def uniform_soup(candidates: Sequence[Tree]) -> Tree:
    """Mean of several nets, `1/M sum_m w_m`, fine-tuned from one start.

    Args:
      candidates: trees of floats of the same paths and shapes.

    Returns:
      The tree of parameters.

    Raises:
      BadInput: for no candidate, or leaves that are missing, misshapen or no floats.

    Reference: Wortsman et al., Model Soups, ICML 2022, the uniform soup
      (https://arxiv.org/abs/2203.05482).
    """
    require_some("uniform_soup", "candidates", candidates)
    require_alike("uniform_soup", candidates)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves).mean(0), *candidates)


def greedy_soup(
    candidates: Sequence[Tree], score: Callable[[Tree], float]
) -> tuple[Tree, tuple[int, ...]]:
    """Mean of those nets that do not make it worse, tried from the best on.

    A candidate stays if the mean with it scores at least as high as the one without it. Not to
    be traced: it decides by numbers, and computes 2 M - 1 scores for M candidates.

    Args:
      candidates: trees of floats of the same paths and shapes.
      score: maps parameters to a number, higher is better, of validation data.

    Returns:
      The tree of parameters, and the places of the candidates in it, best first; of equal
      scores the first candidate comes first.

    Raises:
      BadInput: for no candidate, leaves that do not fit, or a score that is not finite.

    Reference: Wortsman et al., Model Soups, ICML 2022, Recipe 1, greedy soup
      (https://arxiv.org/abs/2203.05482).
    """
    require_some("greedy_soup", "candidates", candidates)
    require_alike("greedy_soup", candidates)
    scores = [finite_score(score, candidate) for candidate in candidates]
    first, *others = sorted(range(len(candidates)), key=lambda place: -scores[place])
    soup, best, members = candidates[first], scores[first], (first,)
    for place in others:
        tried = uniform_soup([candidates[member] for member in (*members, place)])
        value = finite_score(score, tried)
        if value >= best:
            soup, best, members = tried, value, (*members, place)
    return soup, members


def finite_score(score: Callable[[Tree], float], params: Tree) -> float:
    """The score of parameters, as a number."""
    value = float(score(params))
    require(bool(np.isfinite(value)), "greedy_soup", "score", "must give a finite number", value)
    return value


def weak(number: float | jax.Array, leaf: jax.Array) -> jax.Array:
    """A number in the dtype of a leaf."""
    return jnp.asarray(number, jnp.result_type(leaf))


def require_some(name: str, field: str, trees: Sequence[Tree]) -> None:
    """Requires a sequence of at least one tree."""
    fine = isinstance(trees, list | tuple) and len(trees) > 0
    require(fine, name, field, "must be a list of at least one tree", type(trees).__name__)


def require_alike(name: str, trees: Sequence[Tree]) -> None:
    """Requires trees of floats, of one outline; names every leaf that breaks it."""
    first, *others = [
        dict(zip(paths(tree), map(kind, jax.tree.leaves(tree)), strict=True)) for tree in trees
    ]
    wrong = [f"no floats {path} {what}" for path, what in first.items() if "float" not in what]
    for place, other in enumerate(others, start=1):
        wrong += [f"missing {path} in tree {place}" for path in first if path not in other]
        wrong += [f"extra {path} in tree {place}" for path in other if path not in first]
        wrong += [
            f"misshapen {path} in tree {place}, {other[path]}, needs {what}"
            for path, what in first.items()
            if other.get(path, what) != what
        ]
    if wrong or not first:
        raise BadInput(f"{name} needs trees alike: {'; '.join(wrong) or 'there is no leaf'}")


def kind(leaf: jax.Array) -> str:
    """Dtype and shape of a leaf, equal for leaves that can be added."""
    return f"{jnp.result_type(leaf)} {jnp.shape(leaf)}"
