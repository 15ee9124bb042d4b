"""The joints: what each family offers, so that parts meet without knowing each other.

Nobody inherits from these; a method fits by its shape. Letters of the whole house:

    B labelled batch    U unlabelled batch    K tasks      C classes    D features
    H W image size      N examples            S seeds      ... any leading shape

Parameters are one tree, `{"shared": trunk, "tasks": {"heads": {task: head}}}`; with one
trunk a task, `shared` is empty and `tasks` has `"trunk"` too, with a leading axis K; what
else of a net belongs to tasks is in `"own"`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.views import View

Tree = Any


class Splits(NamedTuple):
    """Arrays of one data set: each part maps "image" and every label's name to `[N, ...]`.

    Where tasks bring images of their own, a part maps the name of each stream of images to
    such arrays; a label is in one stream. Images are floats in [0, 1] or uint8. A missing label
    is -1 (classes) or NaN (numbers), of a vector in some entries or all. Any other name may be
    that of a label.
    """

    train: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]


# A source may also offer two more functions, which read nothing:
#   known() -> int                           how many training examples have a label;
#   pools() -> {stream: indices [M] int32}   which of a stream's training images come without their
#                                            labels; of a stream that is not there all do, and ""
#                                            is the only one of a data set.


@runtime_checkable
class Source(Protocol):
    """Where arrays come from: settings only, nothing is read before `load`."""

    def shapes(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part, without reading it."""

    def load(self) -> Splits:
        """Reads the arrays."""


@runtime_checkable
class Weights(Protocol):
    """A file of trained weights: settings only, nothing is read before `load`."""

    def load(self, trunk: Any, shape: tuple[int, ...], *, dtype: Any) -> Any:
        """Reads parameters, statistics and head of a trunk for images of a shape and a type."""


@runtime_checkable
class Trunk(Protocol):
    """A Flax module `(x [N, ...], train) -> features [N, D]`, or what is laid around one."""

    convolutional: bool  # whether it convolves, which decides how steps are dispatched


@runtime_checkable
class ReadsTokens(Protocol):
    """A trunk that reads texts `[N, T]` of whole numbers below its vocabulary."""

    vocabulary: int
    places: int  # the longest text


@runtime_checkable
class Policy(Protocol):
    """A random change of one image; the caller vmaps it."""

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps an image `[H, W, C]` in [0, 1] to one of the same shape and range."""


@runtime_checkable
class BringsTokens(Protocol):
    """A policy that puts tokens of its own into texts."""

    brings: tuple[int, ...]


@runtime_checkable
class LearntPolicy(Protocol):
    """A random change that learns from labelled examples how strong it may be."""

    def init(self) -> Tree:
        """What is learnt before the first step."""

    def __call__(self, key: jax.Array, image: jax.Array, state: Tree) -> jax.Array:
        """Maps an image to one of the same shape and range, as strong as was learnt."""

    def probe(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, Tree]:
        """Maps an image to one changed by chance, and how it was changed."""

    def learn(self, state: Tree, choices: Tree, scores: jax.Array, mask: jax.Array) -> Tree:
        """Learns from how well probes `[B]` were still recognised, in [0, 1], where `mask`."""


# A method that reads what single layers of the trunk give says so by `maps = True`, one that wants
# two nets side by side in the trunk by `twins = True`, and one that goes on with heads of the
# source by their names, `taken = (...)`.

# A policy of which each example takes one of several branches says so by `branches = True`, and
# offers its call for many, `looped(keys [N], images [N, ...])`, which computes only the branches
# taken: on a CPU that is less than the call vmapped, with all of them (`mtl_jax.augment.batched`).

# A method that balances tasks may also offer either of two more functions:
#   read_losses(losses [K], state) -> state    before it weighs, the losses of this step;
#   observe(losses [K], state) -> state        after the step, those of the new parameters on
#                                              the same batch, at one more forward pass.


@runtime_checkable
class LossWeighting(Protocol):
    """Balances tasks by their losses: one backward pass."""

    def init(self, num_tasks: int) -> Tree:
        """State before the first step."""

    def weigh_losses(self, losses: jax.Array, state: Tree, key: jax.Array) -> tuple:
        """Maps losses `[K]` to weights `[K]` and the next state."""


@runtime_checkable
class GramWeighting(Protocol):
    """Balances tasks by the inner products of their gradients: K backward passes."""

    def init(self, num_tasks: int) -> Tree:
        """State before the first step."""

    def weigh_gram(self, gram: jax.Array, state: Tree, key: jax.Array) -> tuple:
        """Maps the Gram matrix `[K, K]` to weights `[K]` and the next state."""


@runtime_checkable
class BilevelWeighting(Protocol):
    """Balances tasks by what a step with some weights does to losses on held-out labels."""

    held_out: float  # share of the labelled examples that the run keeps for this

    def init(self, num_tasks: int) -> Tree:
        """State before the first step."""

    def weigh_outer(self, outer: Callable, state: Tree, key: jax.Array) -> tuple:
        """Maps a function from weights `[K]` to held-out losses `[K]` to weights, next state."""


@runtime_checkable
class CrossWeighting(Protocol):
    """Balances tasks by gradients of two batches that the gradient of a third one follows."""

    def init(self, num_tasks: int) -> Tree:
        """State before the first step."""

    def weigh_cross(self, cross: jax.Array, state: Tree, key: jax.Array) -> tuple:
        """Maps `A_ij = <g_i, h_j>` `[K, K]` to weights `[K]` and the next state."""


@runtime_checkable
class JacobianCombiner(Protocol):
    """Balances tasks by their gradients themselves: K backward passes, all in memory."""

    def init(self, num_tasks: int, shared: Tree) -> Tree:
        """State before the first step, by the parameters that the gradients are of."""

    def combine(self, jacobian: Tree, state: Tree, key: jax.Array) -> tuple:
        """Maps gradients (leaves `[K, ...]`) to one, a share of each task `[K]`, the next state."""


Balance = LossWeighting | GramWeighting | BilevelWeighting | CrossWeighting | JacobianCombiner


# A consistency method may also offer more functions:
#   heads(num_classes) -> {name: Head}    heads of its own, which read the task's features;
#   supervised(views, loss, state) -> []  the loss of the labelled examples, in the place of the
#                                         mean of `loss(logits, labels)` over those with a label;
#   begin(opening) -> Tree                what it says once, before the first step of a run with
#                                         a source; then it stands in `Views.opened`.


@runtime_checkable
class Consistency(Protocol):
    """Learns from unlabelled views of one task."""

    weight: float
    views: tuple[View, ...]  # what it asks to see

    def init(self, sizes: Sizes) -> Tree:
        """State before the first step, of fixed shapes."""

    def update(self, views: Views, state: Tree) -> tuple[jax.Array, Tree, dict]:
        """Maps views to a loss for each example `[n]`, the next state, metrics `[]`."""


@runtime_checkable
class Penalty(Protocol):
    """A term added to the losses, never balanced."""

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps the parameters, and those that the run started from, to a scalar."""


@runtime_checkable
class Proximal(Protocol):
    """A term that is not smooth, whose minimisation is a step of its own after the optimizer's."""

    def shrink(self, params: Tree, rate: jax.Array) -> Tree:
        """Maps parameters to those of the proximal step with a learning rate `[]`."""


# What learns or judges may say which types of targets it is for, `target_types`, of
# `mtl_jax.losses.target_type`; one that does not is taken for all. A metric that says it is given
# vectors of labels with NaN where an entry is missing, another one only complete vectors.


@runtime_checkable
class Metric(Protocol):
    """Judges predictions by sums that add up over batches, masks and devices."""

    name: str
    higher_is_better: bool
    scale: float  # Tables print the value times this.

    def sums(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Tree:
        """Maps logits `[B, C]` and labels `[B]` to sums over the examples in `mask`."""

    def compute(self, sums: Tree) -> jax.Array:
        """Maps added sums to the value."""
