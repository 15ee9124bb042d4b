"""A classic is a row too: what a user of scikit-learn would pick, on the same labels and images."""

import dataclasses
from collections.abc import Callable
from typing import Any

from mtl_jax.config.task import Task
from mtl_jax.core.protocols import Source
from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require, require_choice, require_count, require_name
from mtl_jax.core.views import PARAMETERS, Parameters
from mtl_jax.losses.target_type import TargetType, target_type

# What an estimator with one `predict` can be fitted to.
TARGETS = ("multiclass", "binary", "continuous")


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Classic:
    """One row of a table that is fitted by an estimator with `fit` and `predict`.

    For every seed it gets the labels that a `Run` of the same settings gets, and images as
    vectors of numbers in [0, 1]; a `random_state` that is None becomes the seed. Of several
    choices, validation takes the best for each seed, by the task's metric and its direction;
    without a validation label, the first.

    The metric sees what the estimator predicts: of numbers the numbers; of classes 1 for the
    predicted class and 0 for the others, of one logistic output 1 or -1. A metric that reads more
    than the class sees logarithms of the probabilities of `predict_proba` (differences of two for
    one output).

    Attributes:
      name: of the row and of its folder.
      data: where the arrays come from, of one input.
      task: what is predicted: classes (`losses.cross_entropy`), yes or no by one output
        (`losses.binary_cross_entropy`, labels 0 and 1), or numbers (`losses.squared_error`).
      choices: functions without arguments that make an estimator, such as
        `functools.partial(LogisticRegression, C=0.1)`; of numbers a regressor.
      pool: whether it sees the unlabelled images too, with the label -1; not for numbers.
      features: a run, whose trunk's features are the vectors, seed by seed, in the place of
        pixels; it is trained before. How well they promise to transfer to this task
        (`mtl_jax.transfer.transferability`) is then told below the table.
      parameters: which parameters of that run read them: those that its validation selected, or
        the raw or averaged ("ema") ones of its last step.
      labelled: training examples that have labels; None is all of them.
      seeds: how many seeds are fitted.
      first_seed: the first of them.

    Raises:
      BadInput: for a value outside its rule.
    """

    name: str
    data: Source
    task: Task
    choices: tuple[Callable[[], Any], ...]
    pool: bool = False
    features: Any = None
    parameters: Parameters = "selected"
    labelled: int | None = None
    seeds: int = 1
    first_seed: int = 0

    def __post_init__(self):
        require_name(self)
        require_count(self, seeds=1, first_seed=0)
        last = self.first_seed + self.seeds - 1
        require(last < 2**32, self, "first_seed", "and seeds must stay below 2^32", last)
        fine = all(hasattr(self.data, name) for name in ("load", "shapes"))
        fine = fine and not isinstance(self.data, type)
        require(fine, self, "data", "must be a source such as data.SmallDigits()", self.data)
        require(isinstance(self.task, Task), self, "task", "must be a task", self.task)
        rule = f"must have targets of type {', '.join(TARGETS[:-1])} or {TARGETS[-1]} by its loss"
        require(self.target_type in TARGETS, self, "task", rule, self.target_type or self.task.loss)
        require(isinstance(self.pool, bool), self, "pool", "must be True or False", self.pool)
        rule = "must be False for numbers, which have no label for what is unlabelled"
        fine = not (self.pool and self.target_type == "continuous")
        require(fine, self, "pool", rule, self.pool)
        fine = isinstance(self.choices, tuple) and self.choices and all(map(callable, self.choices))
        rule = "must be a tuple of functions that make estimators"
        require(bool(fine), self, "choices", rule, self.choices)
        if self.labelled is not None:
            require_count(self, labelled=1)
        require_choice(self, parameters=PARAMETERS)
        if self.features is not None:
            fine = hasattr(self.features, "teachers") and not isinstance(self.features, type)
            require(fine, self, "features", "must be a run", self.features)
            seeds = (self.features.seeds, self.features.first_seed)
            rule = f"must be a run of this row's {self.seeds} seeds from {self.first_seed}"
            require(seeds == (self.seeds, self.first_seed), self, "features", rule, seeds)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its task, as a run has several."""
        return (self.task,)

    @property
    def target_type(self) -> TargetType | None:
        """What its task's labels are, in scikit-learn's words."""
        return target_type(self.task.loss, self.task.outputs)

    def but(self, **changes: Any) -> "Classic":
        """The same row with some fields changed."""
        return dataclasses.replace(self, **changes)


def self_training(base: Callable[[], Any], **settings: Any) -> Any:
    """scikit-learn's `SelfTrainingClassifier` around an estimator that `base` makes."""
    from sklearn.semi_supervised import SelfTrainingClassifier

    return SelfTrainingClassifier(base(), **settings)


def logistic(**settings: Any) -> Any:
    """scikit-learn's `LogisticRegression` on standardised pixels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(**settings))


def spreading(**settings: Any) -> Any:
    """scikit-learn's `LabelSpreading`."""
    from sklearn.semi_supervised import LabelSpreading

    return LabelSpreading(**settings)


def compressed(estimator: Callable[[], Any], components: int) -> Any:
    """An estimator behind scikit-learn's `PCA` to some components, fitted to all that it gets."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline

    return make_pipeline(PCA(components, random_state=0), estimator())
