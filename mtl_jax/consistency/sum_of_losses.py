"""Several methods on one task at once."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.recipes import FixMatch, PiModel
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Free, Head
from mtl_jax.core.protocols import Consistency
from mtl_jax.core.source_context import Opening
from mtl_jax.core.validation import require
from mtl_jax.core.views import Stored, View
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import ALL_TYPES, TargetType, types_of

METHODS = (FixMatch(), PiModel())


@dataclasses.dataclass(frozen=True)
class Together:
    """Several methods side by side: the sum of their losses, `sum_i w_i mean_n l_in`.

    Each has its own weight w_i, and Together that of 1. It sees the views that it asks for, a
    key and heads of its own, and keeps its own state, as if it were alone; images that several
    ask for go through the net once. Its heads are called `i.name` and its metrics `i.metric`,
    i its place: in patterns of `take` and `plan` method 0's head `old` of task T is
    `tasks/heads/T/0.old/...`. The labelled loss is that of the one method that has a labelled
    loss of its own, else the task's.

    Attributes:
      methods: for what the task predicts, one or more.

    Raises:
      BadInput: for no method, for two with a labelled loss of their own, for two that ask for
        different stored labels, or for methods that no one type of targets fits.
    """

    methods: tuple[Consistency, ...] = METHODS

    weight = 1.0

    def __post_init__(self):
        fine = isinstance(self.methods, tuple) and all(hasattr(m, "update") for m in self.methods)
        rule = "must be a tuple of methods, one or more"
        require(fine and len(self.methods) > 0, self, "methods", rule, self.methods)
        own = [method for method in self.methods if hasattr(method, "supervised")]
        rule = "must hold at most one with a labelled loss of its own"
        require(len(own) < 2, self, "methods", rule, own)
        # A step has the labels of one kind of teacher.
        stored = {view for view in asked(self.methods) if isinstance(view, Stored)}
        rule = "must ask for the same stored labels"
        require(len(stored) < 2, self, "methods", rule, sorted(map(repr, stored)))
        each = [types_of(method) for method in self.methods]
        rule = "must be for one type of targets together"
        require(len(self.target_types) > 0, self, "methods", rule, each)

    @property
    def target_types(self) -> tuple[TargetType, ...]:
        """What all of them are for."""
        return tuple(t for t in ALL_TYPES if all(t in types_of(m) for m in self.methods))

    @property
    def maps(self) -> bool:
        """Whether any of them looks at maps."""
        return any(getattr(method, "maps", False) for method in self.methods)

    @property
    def twins(self) -> bool:
        """Whether any of them wants two nets in the trunk."""
        return any(getattr(method, "twins", False) for method in self.methods)

    @property
    def taken(self) -> tuple[str, ...]:
        """The heads that any of them goes on with from the source."""
        each = enumerate(self.methods)
        return tuple(f"{place}.{head}" for place, m in each for head in getattr(m, "taken", ()))

    @property
    def views(self) -> tuple[View, ...]:
        """What they ask to see, and what the task's loss does."""
        own = any(hasattr(method, "supervised") for method in self.methods)
        return (
            asked(self.methods) if own else tuple(dict.fromkeys(("labelled", *asked(self.methods))))
        )

    def heads(self, num_classes: int) -> dict[str, Head | Free]:
        """Those of all of them, each under its method's place."""
        return {
            f"{place}.{name}": head
            for place, method in enumerate(self.methods)
            if hasattr(method, "heads")
            for name, head in method.heads(num_classes).items()
        }

    def init(self, sizes: Sizes) -> tuple:
        """State before the first step: that of each."""
        return tuple(method.init(sizes) for method in self.methods)

    def warm(self, state: tuple) -> tuple:
        """The state after a warm-up of those that have one."""
        return tuple(
            method.warm(own) if hasattr(method, "warm") else own
            for method, own in zip(self.methods, state, strict=True)
        )

    def begin(self, opening: Opening) -> tuple:
        """What each says before the first step, () of those that say nothing."""
        return tuple(m.begin(opening) if hasattr(m, "begin") else () for m in self.methods)

    def update(self, views: Views, state: tuple) -> tuple[jax.Array, tuple, dict]:
        """Maps views to the summed loss `[1]`, the next states, and all metrics.

        `mask_rate` is the mean over the methods that tell one, 1 if none does.
        """
        total, after, metrics, rates = 0.0, [], {}, []
        for place, method in enumerate(self.methods):
            losses, moved, told = method.update(of_method(views, place), state[place])
            told = {**told, "unlabelled_loss": losses.mean()}
            total = total + method.weight * told["unlabelled_loss"]
            after.append(moved)
            metrics |= {f"{place}.{name}": value for name, value in told.items()}
            rates += [told["mask_rate"]] if "mask_rate" in told else []
        rate = sum(rates) / len(rates) if rates else jnp.ones((), total.dtype)
        return total[None], tuple(after), {**metrics, "mask_rate": rate}

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """The labelled loss `[]` of the method that has one, else the mean over the labelled."""
        for place, method in enumerate(self.methods):
            if hasattr(method, "supervised"):
                return method.supervised(of_method(views, place), loss, state[place])
        return masked_mean(loss, views.of("labelled"), views.labels, views.mask)


def asked(methods: tuple[Consistency, ...]) -> tuple[View, ...]:
    """The views that methods ask for, each once."""
    return tuple(dict.fromkeys(view for method in methods for view in method.views))


def of_method(views: Views, place: int) -> Views:
    """What the method at a place sees: its own heads by their own names, and its own key."""
    prefix, call = f"{place}.", views.call

    def own(name: str, x: jax.Array) -> jax.Array:
        return call(prefix + name if name else "", x)

    return views._replace(
        heads={
            name.removeprefix(prefix): said
            for name, said in views.heads.items()
            if name.startswith(prefix)
        },
        key=jax.random.fold_in(views.key, place),
        call=None if call is None else own,
        opened=None if views.opened is None else views.opened[place],
    )
