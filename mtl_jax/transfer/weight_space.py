"""Weight-space arithmetic: task vectors, model soups and linear interpolation of models."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.tree import Tree, leaves_by_path, sum_arrays
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> params, start = {"w": jnp.array([3.0, 1.0])}, {"w": jnp.array([1.0, 1.0])}
      >>> transfer.task_vector(params, start)["w"].tolist()
      [2.0, 0.0]
    """
    require_same_structure("task_vector", (params, start))
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> start, vector = {"w": jnp.array([1.0, 1.0])}, {"w": jnp.array([2.0, 0.0])}
      >>> [transfer.add_task_vectors(start, [vector], a)["w"].tolist() for a in (0.5, -1.0)]
      [[2.0, 1.0], [-1.0, 1.0]]
    """
    require_nonempty("add_task_vectors", "vectors", vectors)
    require_same_structure("add_task_vectors", (start, *vectors))

    def add(leaf: jax.Array, *vectors: jax.Array) -> jax.Array:
        return leaf + as_dtype(scale, leaf) * sum_arrays(vectors)

    return jax.tree.map(add, start, *vectors)


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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> start, end = {"w": jnp.array([1.0, 1.0])}, {"w": jnp.array([3.0, 1.0])}
      >>> transfer.interpolate(start, end, alpha=0.25)["w"].tolist()
      [1.5, 1.0]
    """
    require_same_structure("interpolate", (start, end))

    def leaf(a: jax.Array, b: jax.Array) -> jax.Array:
        return as_dtype(1.0 - alpha, a) * a + as_dtype(alpha, a) * b

    return jax.tree.map(leaf, start, end)


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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> transfer.uniform_soup([{"w": jnp.array([w])} for w in (1.0, 2.0, 6.0)])["w"].tolist()
      [3.0]
    """
    require_nonempty("uniform_soup", "candidates", candidates)
    require_same_structure("uniform_soup", candidates)
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> candidates = [{"w": jnp.array([w])} for w in (1.0, 4.0, 9.0)]
      >>> score = lambda params: -abs(float(params["w"][0]) - 3.0)  # a validation score
      >>> soup, selected = transfer.greedy_soup(candidates, score)
      >>> soup["w"].tolist(), selected
      ([2.5], (1, 0))
    """
    require_nonempty("greedy_soup", "candidates", candidates)
    require_same_structure("greedy_soup", candidates)
    scores = [finite_score(score, candidate) for candidate in candidates]
    first, *others = sorted(range(len(candidates)), key=lambda i: -scores[i])
    soup, best, selected = candidates[first], scores[first], (first,)
    for index in others:
        mean = uniform_soup([candidates[i] for i in (*selected, index)])
        value = finite_score(score, mean)
        if value >= best:
            soup, best, selected = mean, value, (*selected, index)
    return soup, selected


def finite_score(score: Callable[[Tree], float], params: Tree) -> float:
    """Returns the score of parameters, as a float."""
    value = float(score(params))
    require(bool(np.isfinite(value)), "greedy_soup", "score", "must give a finite number", value)
    return value


def as_dtype(number: float | jax.Array, leaf: jax.Array) -> jax.Array:
    """Converts a number to the dtype of a leaf."""
    return jnp.asarray(number, jnp.result_type(leaf))


def require_nonempty(name: str, field: str, trees: Sequence[Tree]) -> None:
    """Requires a sequence of at least one tree."""
    valid = isinstance(trees, list | tuple) and len(trees) > 0
    require(valid, name, field, "must be a list of at least one tree", type(trees).__name__)


def require_same_structure(name: str, trees: Sequence[Tree]) -> None:
    """Requires trees of floats with the same structure; reports every leaf that violates this."""
    first, *others = [
        {path: dtype_and_shape(leaf) for path, leaf in leaves_by_path(tree).items()}
        for tree in trees
    ]
    errors = [f"no floats {path} {leaf}" for path, leaf in first.items() if "float" not in leaf]
    for index, other in enumerate(others, start=1):
        errors += [f"missing {path} in tree {index}" for path in first if path not in other]
        errors += [f"extra {path} in tree {index}" for path in other if path not in first]
        errors += [
            f"misshapen {path} in tree {index}, {other[path]}, needs {leaf}"
            for path, leaf in first.items()
            if other.get(path, leaf) != leaf
        ]
    if errors or not first:
        raise BadInput(f"{name} needs trees alike: {'; '.join(errors) or 'there is no leaf'}")


def dtype_and_shape(leaf: jax.Array) -> str:
    """Dtype and shape of a leaf, equal for leaves that can be added."""
    return f"{jnp.result_type(leaf)} {jnp.shape(leaf)}"
