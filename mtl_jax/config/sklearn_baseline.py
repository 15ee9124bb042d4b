"""Baselines of scikit-learn, fitted to the same labels and images as runs."""

import dataclasses
from collections.abc import Callable
from typing import Any

from mtl_jax.config.replace import Replaceable
from mtl_jax.config.task import Task
from mtl_jax.core.data_source import DataSource
from mtl_jax.core.protocols import RunSettings
from mtl_jax.core.target_types import TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_choice, require_int, require_name
from mtl_jax.core.views import PARAMETERS, Parameters
from mtl_jax.losses.target_type import target_type

# Target types that an estimator with a single `predict` supports.
TARGETS = ("multiclass", "binary", "continuous")


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class SklearnBaseline(Replaceable):
    """Configuration of one table row: an estimator with `fit` and `predict`.

    For every seed the estimator receives the same labels as a `Run` with the same settings, and
    images as vectors with values in [0, 1]; a `random_state` of None is set to the seed. The
    best of several candidates is selected on validation for each seed, by the task's metric and
    its direction; without validation labels, the first.

    The metric receives the estimator's predictions: continuous predictions unchanged; for
    multiclass targets, 1 for the predicted class and 0 for the others; for binary targets, 1 or
    -1. A metric that needs more than the predicted class receives the logarithms of
    `predict_proba` (the difference of the two for binary targets).

    Attributes:
      name: name of the row and of its output folder.
      data: the data source, with one input.
      task: the task to predict: multiclass (`losses.cross_entropy`), binary with one output
        (`losses.binary_cross_entropy`, labels 0 and 1), or continuous (`losses.squared_error`).
      candidates: functions without arguments that return an estimator, such as
        `functools.partial(LogisticRegression, C=0.1)`; a regressor for continuous targets.
      use_unlabelled: whether the estimator is also fitted to the unlabelled images, with label
        -1; not for continuous targets.
      features_from: a run, trained first, whose trunk's features replace the pixels, for each
        seed. Their transferability to this task (`mtl_jax.transfer.transferability`) is then
        reported below the table.
      parameters: which parameters of that run compute the features: those selected on its
        validation data, or the raw or averaged ("ema") ones of its last step.
      num_labelled: number of labelled training examples; None uses all of them.
      num_seeds: number of seeds.
      first_seed: the first seed.

    Raises:
      BadInput: for an invalid value.
    """

    name: str
    data: DataSource
    task: Task
    candidates: tuple[Callable[[], Any], ...]
    use_unlabelled: bool = False
    features_from: Any = None
    parameters: Parameters = "selected"
    num_labelled: int | None = None
    num_seeds: int = 1
    first_seed: int = 0

    def __post_init__(self):
        require_name(self)
        require_int(self, num_seeds=1, first_seed=0)
        last = self.first_seed + self.num_seeds - 1
        require(last < 2**32, self, "first_seed", "and seeds must stay below 2^32", last)
        fine = isinstance(self.data, DataSource)
        fine = fine and not isinstance(self.data, type)
        require(fine, self, "data", "must be a source such as data.SmallDigits()", self.data)
        require(isinstance(self.task, Task), self, "task", "must be a task", self.task)
        rule = f"must have targets of type {', '.join(TARGETS[:-1])} or {TARGETS[-1]} by its loss"
        require(self.target_type in TARGETS, self, "task", rule, self.target_type or self.task.loss)
        require(
            isinstance(self.use_unlabelled, bool),
            self,
            "use_unlabelled",
            "must be True or False",
            self.use_unlabelled,
        )
        rule = "must be False for numbers, which have no label for what is unlabelled"
        fine = not (self.use_unlabelled and self.target_type == "continuous")
        require(fine, self, "use_unlabelled", rule, self.use_unlabelled)
        fine = (
            isinstance(self.candidates, tuple)
            and self.candidates
            and all(map(callable, self.candidates))
        )
        rule = "must be a tuple of functions that make estimators"
        require(bool(fine), self, "candidates", rule, self.candidates)
        if self.num_labelled is not None:
            require_int(self, num_labelled=1)
        require_choice(self, parameters=PARAMETERS)
        if self.features_from is not None:
            fine = isinstance(self.features_from, RunSettings)
            require(fine, self, "features_from", "must be a run", self.features_from)
            seeds = (self.features_from.num_seeds, self.features_from.first_seed)
            rule = f"must be a run of this row's {self.num_seeds} seeds from {self.first_seed}"
            require(seeds == (self.num_seeds, self.first_seed), self, "features_from", rule, seeds)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its task in a tuple, like `Run.tasks`."""
        return (self.task,)

    @property
    def target_type(self) -> TargetType | None:
        """Target type of its task, in scikit-learn's terms."""
        return target_type(self.task.loss, self.task.num_outputs)


def self_training(base: Callable[[], Any], **settings: Any) -> Any:
    """scikit-learn's `SelfTrainingClassifier` around the estimator that `base` returns."""
    from sklearn.semi_supervised import SelfTrainingClassifier

    return SelfTrainingClassifier(base(), **settings)


def logistic_regression(**settings: Any) -> Any:
    """scikit-learn's `LogisticRegression` on standardised pixels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(**settings))


def label_spreading(**settings: Any) -> Any:
    """scikit-learn's `LabelSpreading`."""
    from sklearn.semi_supervised import LabelSpreading

    return LabelSpreading(**settings)


def with_pca(estimator: Callable[[], Any], components: int) -> Any:
    """Pipeline of scikit-learn's `PCA`, fitted to all examples it receives, and an estimator."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline

    return make_pipeline(PCA(components, random_state=0), estimator())
