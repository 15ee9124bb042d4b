"""Groups of a run's fields: augmentation, regularization and evaluation."""

import dataclasses
from typing import Literal

from mtl_jax.config.replace import RunGroup
from mtl_jax.core.example_transform import JointPolicy
from mtl_jax.core.penalty import Penalty, Proximal
from mtl_jax.core.policy import LearnablePolicy, Policy
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_choice, require_int, require_number


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation(RunGroup):
    """Augmentation policies of a run; None disables a policy.

    Attributes:
      joint: of an example with its labels, before the other policies. All views of an example
        share its random choices, so that pixels of a weak and a strong view correspond.
      weak: of labelled images, and of the images that pseudo-labels are computed from.
      medium: between weak and strong, for methods that require it.
      strong: of the images that are trained on pseudo-labels.
    """

    joint: JointPolicy | None = None
    weak: Policy | None = None
    medium: Policy | None = None
    strong: Policy | LearnablePolicy | None = None

    @property
    def policies(self) -> dict[str, Policy | LearnablePolicy]:
        """The policies of inputs alone that are not None, by field."""
        policies = {"weak": self.weak, "medium": self.medium, "strong": self.strong}
        return {name: policy for name, policy in policies.items() if policy is not None}


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Regularization(RunGroup):
    """Terms of a run that depend on its parameters only.

    Attributes:
      penalties: terms added to the losses.
      proximal: non-smooth terms, applied by their proximal operators after each step, with
        their weights times the learning rate; momentum does not increase these steps.
    """

    penalties: tuple[Penalty, ...] = ()
    proximal: tuple[Proximal, ...] = ()


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(RunGroup):
    """When a run is evaluated and saved, and which parameters are reported.

    Attributes:
      every: steps between evaluations.
      checkpoint_every: steps between checkpoints.
      ema_decay: decay of the averaged parameters, which are evaluated in addition to the raw
        ones, and are those of teachers such as Mean Teacher's.
      selection: how the reported evaluation is selected, for each seed: "joint", by the mean
        validation metric of the selecting tasks, or its mean rank where metrics or units
        differ; "per_task", for every task by its own metric; "last" or "last_ema", the raw or
        averaged parameters of the last step. Parameters that may still be selected are kept: by
        rank, those of all evaluations that no other one beats in every task.
      patience: number of evaluations without a better one, in no seed and for no task that selects
        by itself, after which the run stops early; None trains all steps. Schedules still count
        all steps.
      measure_affinity: whether each evaluation measures the affinity between tasks.
      test: when the test part is evaluated: at the "end", with the selected parameters and those
        of the last step; or at "every" evaluation, so that tables have the medians over the last
        ones and the best on test that semi-supervised papers report. None is "end".

    Raises:
      BadInput: for a value out of range.
    """

    every: int = 100
    checkpoint_every: int = 1000
    ema_decay: float = 0.999
    selection: Literal["joint", "per_task", "last", "last_ema"] = "joint"
    patience: int | None = None
    measure_affinity: bool = False
    test: Literal["end", "every"] | None = None

    def __post_init__(self):
        require_int(self, every=1, checkpoint_every=1)
        if self.patience is not None:
            require_int(self, patience=1)
            rule = "needs a selection by validation"
            require(not self.selection.startswith("last"), self, "patience", rule, self.patience)
        require_number(self, ema_decay=(0.0, 1.0))
        require_choice(self, selection=("joint", "per_task", "last", "last_ema"))
        require_choice(self, test=(None, "end", "every"))
