"""SumOfLosses: several methods on one task at once."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.consistency.recipes import FixMatch, PiModel
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead, AuxMLP
from mtl_jax.core.source_context import SourceContext
from mtl_jax.core.target_types import ALL_TYPES, TargetType
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require
from mtl_jax.core.views import TeacherView, View
from mtl_jax.losses.masked import masked_mean

METHODS = (FixMatch(), PiModel())


@dataclasses.dataclass(frozen=True)
class SumOfLosses(AuxiliaryLoss):
    """Sum of the losses of several methods, `sum_i w_i mean_n l_in`.

    Each method has its own weight w_i, and the sum has weight 1. Each receives the views that it
    requests, its own key and heads, and keeps its own state, as if it were the only one; images
    that several methods request pass through the model once. Heads are named `i.name` and
    metrics `i.metric`, with i the index of the method: in patterns of `param_map` and
    `param_rules`, head `old` of method 0 on task T is `tasks/heads/T/0.old/...`. The labelled
    loss is that of the one method that has its own, else the task's.

    Attributes:
      methods: one or more, for the target type of the task.

    Raises:
      BadInput: for no method, for two with their own labelled loss, for two that request
        different stored labels, or for methods without a common target type.

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.SumOfLosses((consistency.CoMatch(), consistency.PiModel()))
      >>> method.views
      ('labelled', 'weak', 'strong', 'strong2', 'weak2')
      >>> method.aux_heads(10)
      {'0.projection': AuxHead(outputs=64, hidden=1)}
    """

    methods: tuple[AuxiliaryLoss, ...] = METHODS

    weight = 1.0

    def __post_init__(self):
        valid = isinstance(self.methods, tuple) and len(self.methods) > 0
        valid = valid and all(isinstance(m, AuxiliaryLoss) for m in self.methods)
        rule = "must be a tuple of methods, one or more"
        require(valid, self, "methods", rule, self.methods)
        labelled_methods = [method for method in self.methods if method.has_labelled_loss]
        rule = "must hold at most one with a labelled loss of its own"
        require(len(labelled_methods) < 2, self, "methods", rule, labelled_methods)
        # A step holds the labels of one kind of teacher.
        views = requested_views(self.methods)
        teacher_views = {view for view in views if isinstance(view, TeacherView)}
        rule = "must ask for the same stored labels"
        require(len(teacher_views) < 2, self, "methods", rule, sorted(map(repr, teacher_views)))
        types = [method.target_types for method in self.methods]
        rule = "must be for one type of targets together"
        require(len(self.target_types) > 0, self, "methods", rule, types)

    @property
    def target_types(self) -> tuple[TargetType, ...]:
        """Target types that all methods support."""
        return tuple(t for t in ALL_TYPES if all(t in m.target_types for m in self.methods))

    @property
    def needs_feature_maps(self) -> bool:
        """Whether any method reads feature maps."""
        return any(method.needs_feature_maps for method in self.methods)

    @property
    def has_labelled_loss(self) -> bool:
        """Whether any method has its own labelled loss."""
        return any(method.has_labelled_loss for method in self.methods)

    @property
    def has_precompute(self) -> bool:
        """Whether any method precomputes."""
        return any(method.has_precompute for method in self.methods)

    @property
    def needs_two_branches(self) -> bool:
        """Whether any method requires two branches."""
        return any(method.needs_two_branches for method in self.methods)

    @property
    def source_heads(self) -> tuple[str, ...]:
        """Heads of the methods that start from the source model."""
        methods = enumerate(self.methods)
        return tuple(f"{index}.{head}" for index, m in methods for head in m.source_heads)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the methods and the task's loss request."""
        views = requested_views(self.methods)
        return views if self.has_labelled_loss else tuple(dict.fromkeys(("labelled", *views)))

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead | AuxMLP]:
        """Heads of all methods, each under the index of its method."""
        return {
            f"{index}.{name}": head
            for index, method in enumerate(self.methods)
            for name, head in method.aux_heads(num_classes).items()
        }

    def init(self, sizes: DatasetSizes) -> tuple:
        """Returns the initial state of each method."""
        return tuple(method.init(sizes) for method in self.methods)

    def precompute(self, source: SourceContext) -> tuple:
        """Returns what each method precomputes, () for those that do not."""
        return tuple(m.precompute(source) if m.has_precompute else () for m in self.methods)

    def update(self, views: AuxInputs, state: tuple) -> AuxUpdate:
        """Maps views to the summed loss `[1]`, the next states and all metrics.

        `mask_rate` is the mean over the methods that report one, 1 if none does.
        """
        terms, states, metrics, rates = [], [], {}, []
        for index, method in enumerate(self.methods):
            losses, method_state, reported = method.update(
                method_inputs(views, index), state[index]
            )
            reported = {**reported, "unlabelled_loss": losses.mean()}
            terms.append(method.weight * reported["unlabelled_loss"])
            states.append(method_state)
            metrics |= {f"{index}.{name}": value for name, value in reported.items()}
            rates += [reported["mask_rate"]] if "mask_rate" in reported else []
        loss = sum_arrays(terms)
        rate = sum_arrays(rates) / len(rates) if rates else jnp.ones((), loss.dtype)
        return AuxUpdate(loss[None], tuple(states), {**metrics, "mask_rate": rate})

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: tuple) -> jax.Array:
        """Labelled loss `[]` of the method that has one, else the mean over labelled examples."""
        for index, method in enumerate(self.methods):
            if method.has_labelled_loss:
                return method.labelled_loss(method_inputs(views, index), loss, state[index])
        return masked_mean(loss, views.outputs("labelled"), views.labels, views.mask)


def requested_views(methods: tuple[AuxiliaryLoss, ...]) -> tuple[View, ...]:
    """The views that the methods request, without duplicates."""
    return tuple(dict.fromkeys(view for method in methods for view in method.views))


def method_inputs(views: AuxInputs, index: int) -> AuxInputs:
    """Inputs of the method at an index: its own heads by their own names, and its own key."""
    prefix = f"{index}."

    def apply_head(name: str, inputs: jax.Array) -> jax.Array:
        return views.apply_head(prefix + name if name else "", inputs)

    return views._replace(
        heads={
            name.removeprefix(prefix): outputs
            for name, outputs in views.heads.items()
            if name.startswith(prefix)
        },
        key=jax.random.fold_in(views.key, index),
        head_fn=None if views.head_fn is None else apply_head,
        precomputed=None if views.precomputed is None else views.precomputed[index],
    )
