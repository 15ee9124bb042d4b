"""Weight-space arithmetic: task vectors, model soups and linear interpolation of models."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.tree import Tree, leaf_paths
from mtl_jax.core.validation import BadInput, require

# None of these averages BatchNorm statistics: they belong to one model, and must be recomputed for
# the result on training images (`update_bn`).


def task_vector(params: Tree, start: Tree) -> Tree:
    """Parameter change by training, `w - w_0`.

    Args:
      params: parameters after training, a tree of floats.
      start: parameters before training, of the same paths and shapes.

    Returns:
      The tree of differences, for `add_task_vectors`.

    Raises:
      BadInput: if leaves are missing, misshapen or not floats, with all such leaves listed by path.

    Reference: Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023, Section 2
      (https://arxiv.org/abs/2212.04089).
    """
    require_alike("task_vector", (params, start))
    return jax.tree.map(jnp.subtract, params, start)


def add_task_vectors(start: Tree, vectors: Sequence[Tree], scale: float = 1.0) -> Tree:
    """Adds task vectors, `w_0 + a sum_t v_t`: learns tasks or, with a negative scale, forgets them.

    Args:
      start: parameters w_0, a tree of floats.
      vectors: from `task_vector`, one or more, of the same paths and shapes.
      scale: the factor a; chosen on validation data, negative to forget tasks.

    Returns:
      The tree of parameters.

    Raises:
      BadInput: if there are no vectors, or leaves are missing, misshapen or not floats.

    Reference: Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023, Section 2
      (https://arxiv.org/abs/2212.04089).
    """
    require_some("add_task_vectors", "vectors", vectors)
    require_alike("add_task_vectors", (start, *vectors))
    return jax.tree.map(lambda leaf, *parts: leaf + weak(scale, leaf) * sum(parts), start, *vectors)


def interpolate(start: Tree, end: Tree, alpha: float | jax.Array) -> Tree:
    """Linear interpolation of two models, `(1 - a) w_0 + a w_1`.

    Args:
      start: w_0, such as parameters before fine-tuning, a tree of floats.
      end: w_1, such as parameters after fine-tuning, of the same paths and shapes.
      alpha: the coefficient a, a float or `[]`; 0 gives the start, 1 the end.

    Returns:
      The tree of parameters.

    Raises:
      BadInput: if leaves are missing, misshapen or not floats, with all such leaves listed by path.

    Reference: Wortsman et al., Robust Fine-Tuning of Zero-Shot Models (WiSE-FT), CVPR 2022, the
      section on weight-space ensembles (https://arxiv.org/abs/2109.01903).
    """
    require_alike("interpolate", (start, end))

    def between(a: jax.Array, b: jax.Array) -> jax.Array:
        return weak(1.0 - alpha, a) * a + weak(alpha, a) * b

    return jax.tree.map(between, start, end)


def uniform_soup(candidates: Sequence[Tree]) -> Tree:
    """Mean of several models fine-tuned from the same initialization, `1/M sum_m w_m`.

    Args:
      candidates: trees of floats of the same paths and shapes.

    Returns:
      The tree of parameters.

    Raises:
      BadInput: if there are no candidates, or leaves are missing, misshapen or not floats.

    Reference: Wortsman et al., Model Soups, ICML 2022, the uniform soup
      (https://arxiv.org/abs/2203.05482).
    """
    require_some("uniform_soup", "candidates", candidates)
    require_alike("uniform_soup", candidates)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves).mean(0), *candidates)


def greedy_soup(
    candidates: Sequence[Tree], score: Callable[[Tree], float]
) -> tuple[Tree, tuple[int, ...]]:
    """Greedy mean of models: adds candidates, best first, that do not lower the score.

    A candidate is kept if the mean including it scores at least as high as the one without it.
    Cannot be traced, since it branches on values; computes 2 M - 1 scores for M candidates.

    Args:
      candidates: trees of floats of the same paths and shapes.
      score: maps parameters to a validation score, higher is better.

    Returns:
      The tree of parameters, and the indices of the selected candidates, best first; ties are
      resolved to the first candidate.

    Raises:
      BadInput: if there are no candidates, leaves do not match, or a score is not finite.

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
    """Returns the score of parameters, as a float."""
    value = float(score(params))
    require(bool(np.isfinite(value)), "greedy_soup", "score", "must give a finite number", value)
    return value


def weak(number: float | jax.Array, leaf: jax.Array) -> jax.Array:
    """Converts a number to the dtype of a leaf."""
    return jnp.asarray(number, jnp.result_type(leaf))


def require_some(name: str, field: str, trees: Sequence[Tree]) -> None:
    """Requires a sequence of at least one tree."""
    fine = isinstance(trees, list | tuple) and len(trees) > 0
    require(fine, name, field, "must be a list of at least one tree", type(trees).__name__)


def require_alike(name: str, trees: Sequence[Tree]) -> None:
    """Requires trees of floats with the same structure; reports every leaf that violates this."""
    first, *others = [
        dict(zip(leaf_paths(tree), map(kind, jax.tree.leaves(tree)), strict=True)) for tree in trees
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
