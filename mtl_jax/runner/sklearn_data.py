"""Data of scikit-learn baselines for fitting and evaluation, and checks before fitting."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.validation import BadInput
from mtl_jax.data import has_label, sample_labelled_subset
from mtl_jax.data.random_split import generator
from mtl_jax.runner.sklearn_predict import outputs_of_classes, values_of
from mtl_jax.storage.class_name_checks import require_inputs
from mtl_jax.storage.run_data import load_row
from mtl_jax.storage.seeds import seed_axis, seeds_of

PARTS = ("train", "validation", "test")


class Part(NamedTuple):
    """One split of a row's data."""

    inputs: np.ndarray  # [N, ...]
    labels: np.ndarray  # [N] or [N, D], unchanged from the data


def check(row: SklearnBaseline) -> None:
    """Checks the data, estimators and metric of a row before anything is trained.

    Raises:
      BadInput: for a split without images or labels; without `features_from`, for images that are
        not finite vectors of the same size in all splits; with it, for other columns or tokens
        than the run was trained on; for labels that do not match the task, are fewer than
        requested or have a single class; for objects that are not estimators, or a regressor
        instead of a classifier or vice versa; and for a metric that does not match the task, or
        needs probabilities that an estimator does not provide.
    """
    if row.features_from is not None:
        require_inputs(f"row {row.name!r}: features_from:", row.data, row.features_from)
    for seed in seeds_of(row):
        parts = dict(zip(PARTS, parts_of(row, seed), strict=True))
        for name, part in parts.items():
            check_labels(row, name, part.labels)
            if row.features_from is None:
                check_vectors(row, name, part.inputs, parts["train"].inputs.shape[1:])
        targets = targets_of(row, parts["train"].labels)
        classes = np.unique(targets[draw_labelled(row, parts["train"].labels, seed)])
        if row.target_type != "continuous" and len(classes) < 2:
            raise BadInput(
                f"row {row.name!r}: the labels of {row.task.name!r} must be of two classes or "
                f"more, but seed {seed} draws only class {classes[0]}"
            )
    check_estimators(row, any(needs_probabilities(row, parts["test"].labels.dtype)))


def parts_of(row: SklearnBaseline, seed: int) -> tuple[Part, ...]:
    """The train, validation and test splits of a seed.

    Raises:
      BadInput: if a split has no images, no labels of the task, or different numbers of them.
    """
    data = load_row(row)
    splits = data[0] if seed_axis(row) is None else data[seed - row.first_seed]
    return tuple(part_of(row, name, getattr(splits, name)) for name in PARTS)


def part_of(row: SklearnBaseline, name: str, arrays: Mapping[str, np.ndarray]) -> Part:
    """Makes one split of a row's data from its arrays."""
    for key in ("inputs", row.task.name):
        if key not in arrays:
            raise BadInput(f"row {row.name!r}: the {name} data has no {key!r}")
    part = Part(np.asarray(arrays["inputs"]), np.asarray(arrays[row.task.name]))
    sizes = part.inputs.shape[:1], part.labels.shape[:1]
    if sizes[0] != sizes[1] or sizes[0] in ((), (0,)):
        rule = f"must have as many images as labels of {row.task.name!r}, and at least one"
        raise BadInput(f"row {row.name!r}: the {name} data {rule}, not {sizes[0]} and {sizes[1]}")
    return part


def vectors_of(images: np.ndarray) -> np.ndarray:
    """Images `[N, ...]` as float32 vectors `[N, D]`, uint8 scaled to [0, 1]."""
    vectors = images.reshape(len(images), -1).astype(np.float32)
    return vectors / np.float32(255 if images.dtype == np.uint8 else 1)


def targets_of(row: SklearnBaseline, labels: np.ndarray) -> np.ndarray:
    """Labels for estimators: classes int32 `[N]` with -1, or continuous `[N]` or `[N, D]`."""
    if row.target_type == "continuous":
        return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    return np.where(has_label(labels), labels, -1).astype(np.int32)


def draw_labelled(row: SklearnBaseline, labels: np.ndarray, seed: int) -> np.ndarray:
    """Indices `[L]` of the labelled training examples of a seed."""
    try:
        return sample_labelled_subset(
            {row.task.name: labels}, row.num_labelled, partial=False, seed=seed
        )[0]
    except BadInput as error:
        raise BadInput(f"row {row.name!r}: {error}") from None


def check_labels(row: SklearnBaseline, part: str, labels: np.ndarray) -> None:
    """Requires labels that match the task's target type and number of outputs."""
    outputs, target = row.task.num_outputs, row.target_type

    def check(condition: bool | np.bool, rule: str, value: Any) -> None:
        if not condition:
            name = row.task.name
            text = f"labels of {name!r} {rule}, but the {part} data has {value}"
            raise BadInput(f"row {row.name!r}: {text}")

    shape = f"{labels.dtype} {list(labels.shape)}"
    if target == "continuous":
        check(labels.dtype.kind == "f", "must be floats for a loss of numbers", shape)
        valid = labels.shape[1:] in ((), (1,)) if outputs == 1 else labels.shape[1:] == (outputs,)
        check(valid, f"must be {outputs} numbers an example", shape)
        missing = np.isnan(labels.reshape(len(labels), -1))
        partial = int((missing.any(1) & ~missing.all(1)).sum())
        check(partial == 0, "must be missing as a whole", f"{partial} that are in part")
        check(np.isfinite(labels[~missing.any(1)]).all(), "must be finite", "infinite ones")
        return
    kinds = "iuf" if target == "binary" else "iu"
    check(labels.dtype.kind in kinds and labels.ndim == 1, "must be integers [N]", shape)
    if target == "multiclass":
        low, high = int(labels.min()), int(labels.max())
        rule = f"must lie in 0..{outputs - 1} (-1 where missing), as num_outputs={outputs} says"
        check(low >= -1 and high < outputs, rule, f"class {high if high >= outputs else low}")
        return
    invalid = np.setdiff1d(labels[has_label(labels)], (0, 1))
    check(len(invalid) == 0, "must be 0 or 1 for one logistic output", invalid[:1])
    lowest = labels.min() if labels.dtype.kind == "i" else -1
    check(lowest >= -1, "must be 0 or 1 for one logistic output", lowest)


def check_vectors(
    row: SklearnBaseline, part: str, images: np.ndarray, shape: tuple[int, ...]
) -> None:
    """Requires images of the given shape that are numeric and finite."""
    where = f"row {row.name!r}: the {part} data"
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        rule = 'must have numbers as "inputs", uint8 or floats, to be vectors'
        raise BadInput(f"{where} {rule}, not {images.dtype} {list(images.shape)} such as tokens")
    if images.shape[1:] != shape:
        rule = f"must have images of shape {list(shape)}, as the train data has"
        raise BadInput(f"{where} {rule}, not {list(images.shape[1:])}")
    if images.dtype == np.uint8:
        return
    invalid = (~np.isfinite(images.reshape(len(images), -1))).any(1).sum()
    if invalid:
        raise BadInput(f"{where} must be finite, but {invalid} of {len(images)} images are not")


def needs_probabilities(row: SklearnBaseline, dtype: np.dtype) -> tuple[bool, ...]:
    """Whether each of the task's metrics depends on more than the predicted classes.

    Tested on synthetic outputs; always False for regression.

    Raises:
      BadInput: if a metric does not match the task.
    """
    outputs = row.task.num_outputs
    if row.target_type == "continuous":
        zeros = np.zeros((4, outputs), np.float32)
        values_of(row, zeros, np.zeros(4 if outputs == 1 else (4, outputs), dtype))
        return (False,) * len(row.task.metrics)
    classes = max(outputs, 2)
    index = np.arange(4 * classes)
    labels = index % classes
    one_hot = outputs_of_classes((labels + index // classes % 2) % classes, outputs)
    # The same predicted classes, with other magnitudes and another order of the other classes.
    scaled = (2 + index[:, None]) * one_hot
    scaled += np.arange(outputs) / outputs
    values = [values_of(row, logits, labels.astype(dtype)) for logits in (one_hot, scaled)]
    return tuple(not np.array_equal(*pair, equal_nan=True) for pair in zip(*values, strict=True))


def check_estimators(row: SklearnBaseline, probabilities: bool) -> None:
    """Requires candidates that make estimators for the task's target type."""
    from sklearn.base import BaseEstimator, is_classifier, is_regressor

    is_regression = row.target_type == "continuous"
    for index, make in enumerate(row.candidates):
        where = f"row {row.name!r}, choice {index}"
        try:
            estimator = make()
        except (TypeError, ValueError) as error:
            raise BadInput(f"{where} cannot be made: {error}") from error
        methods = [callable(getattr(estimator, name, None)) for name in ("fit", "predict")]
        if isinstance(estimator, type) or not all(methods):
            rule = "must make an estimator with fit and predict"
            raise BadInput(f"{where} {rule}, not {estimator!r}")
        name = type(estimator).__name__
        is_wrong_kind = is_classifier if is_regression else is_regressor
        if isinstance(estimator, BaseEstimator) and is_wrong_kind(estimator):
            kinds = ("a regressor", "numbers") if is_regression else ("a classifier", "classes")
            rule = f"must be {kinds[0]}, since {row.task.name!r} has {kinds[1]}"
            raise BadInput(f"{where} {rule}, not {name}")
        if probabilities and not hasattr(estimator, "predict_proba"):
            names = ", ".join(metric.name for metric in row.task.metrics)
            rule = f"must have predict_proba, since a metric ({names}) reads probabilities"
            raise BadInput(f"{where} {rule}; {name} has none")
        if isinstance(estimator, BaseEstimator):
            check_settings(row, where, estimator)


def check_settings(row: SklearnBaseline, where: str, estimator: Any) -> None:
    """Rejects invalid parameters, which scikit-learn reports in `fit`: here on a few examples.

    Other errors may be due to the small number of examples and are ignored.
    """
    outputs = row.task.num_outputs
    features = generator(0, "settings").normal(size=(8 * outputs, 4))
    labels = np.arange(len(features)) % max(2, outputs)
    if row.target_type == "continuous":
        labels = features[:, 0] if outputs == 1 else features[:, :1].repeat(outputs, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.fit(features, labels)
        except (TypeError, ValueError) as error:
            # The exception class is not public in scikit-learn.
            if type(error).__name__ == "InvalidParameterError":
                raise BadInput(f"{where}: {error}") from error
