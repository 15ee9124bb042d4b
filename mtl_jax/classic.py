"""A classic is a row too: what a user of scikit-learn would pick, on the same labels and images."""

import dataclasses
from collections.abc import Callable
from typing import Any

from mtl_jax.checks import require, require_count, require_name
from mtl_jax.protocols import Source
from mtl_jax.task import Task
from mtl_jax.typed import typed


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Classic:
    """One row of a table that is fitted by an estimator with `fit` and `predict`.

    For every seed it gets the labels that a `Run` of the same settings gets, and images as
    vectors of numbers in [0, 1]. Of several choices, validation takes the best for each seed.

    Attributes:
      name: of the row and of its folder.
      data: where the arrays come from, of one input.
      task: what is predicted, of classes.
      choices: functions without arguments that make an estimator, such as
        `functools.partial(LogisticRegression, C=0.1)`.
      pool: whether it sees the unlabelled images too, with the label -1.
      features: a run, whose trunk's features are the vectors, seed by seed, in the place of
        pixels; it is trained before. How well they promise to transfer to this task
        (`mtl_jax.transfer.estimates`) is then told below the table.
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
    labelled: int | None = None
    seeds: int = 1
    first_seed: int = 0

    def __post_init__(self):
        require_name(self)
        require_count(self, seeds=1, first_seed=0)
        fine = isinstance(self.choices, tuple) and self.choices and all(map(callable, self.choices))
        rule = "must be a tuple of functions that make estimators"
        require(bool(fine), self, "choices", rule, self.choices)
        if self.labelled is not None:
            require_count(self, labelled=1)
        if self.features is not None:
            fine = hasattr(self.features, "teachers")
            require(fine, self, "features", "must be a run", self.features)
            seeds = (self.features.seeds, self.features.first_seed)
            rule = f"must be a run of this row's {self.seeds} seeds from {self.first_seed}"
            require(seeds == (self.seeds, self.first_seed), self, "features", rule, seeds)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its task, as a run has several."""
        return (self.task,)

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
