"""What a row of another estimator is fitted to and judged on, and what is refused before."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.validation import BadInput
from mtl_jax.data import few_labels, has_label
from mtl_jax.data.random_split import generator
from mtl_jax.runner.sklearn_predict import outputs_of_classes, value_of
from mtl_jax.storage.class_name_checks import require_inputs
from mtl_jax.storage.loading import read, seed_axis, seeds_of

PARTS = ("train", "validation", "test")


class Part(NamedTuple):
    """A part of a row's data."""

    image: np.ndarray  # [N, ...]
    labels: np.ndarray  # [N] or [N, D], as the data has them


def check(row: Classic) -> None:
    """Refuses what a row cannot be fitted to, before anything is trained.

    Raises:
      BadInput: for a part without images or labels; for images that are no vectors of finite
        numbers, of one length in all parts, unless a run reads them, and then for other columns or
        tokens than its trunk learnt; for labels that are not the task's, fewer than asked for or
        of one class only; for what is no estimator, or one of the other kind; and for a metric
        that does not fit the task or reads probabilities of an estimator that has none.
    """
    if row.features is not None:
        require_inputs(f"row {row.name!r}: features:", row.data, row.features)
    for seed in seeds_of(row):
        parts = dict(zip(PARTS, parts_of(row, seed), strict=True))
        for name, part in parts.items():
            check_labels(row, name, part.labels)
            if row.features is None:
                check_vectors(row, name, part.image, parts["train"].image.shape[1:])
        targets = targets_of(row, parts["train"].labels)
        found = np.unique(targets[drawn(row, parts["train"].labels, seed)])
        if row.target_type != "continuous" and len(found) < 2:
            raise BadInput(
                f"row {row.name!r}: the labels of {row.task.name!r} must be of two classes or "
                f"more, but seed {seed} draws only class {found[0]}"
            )
    check_estimators(row, needs_probabilities(row, parts["test"].labels.dtype))


def parts_of(row: Classic, seed: int) -> tuple[Part, ...]:
    """Train, validation and test of a seed.

    Raises:
      BadInput: if a part has no images or no label of the task, or not as many.
    """
    data = read(row)
    splits = data[0] if seed_axis(row) is None else data[seed - row.first_seed]
    return tuple(part_of(row, name, getattr(splits, name)) for name in PARTS)


def part_of(row: Classic, name: str, arrays: Mapping[str, np.ndarray]) -> Part:
    """A part of a row's data, of its arrays."""
    for key in ("image", row.task.name):
        if key not in arrays:
            raise BadInput(f"row {row.name!r}: the {name} data has no {key!r}")
    part = Part(np.asarray(arrays["image"]), np.asarray(arrays[row.task.name]))
    sizes = part.image.shape[:1], part.labels.shape[:1]
    if sizes[0] != sizes[1] or sizes[0] in ((), (0,)):
        rule = f"must have as many images as labels of {row.task.name!r}, and at least one"
        raise BadInput(f"row {row.name!r}: the {name} data {rule}, not {sizes[0]} and {sizes[1]}")
    return part


def vectors_of(images: np.ndarray) -> np.ndarray:
    """Images `[N, ...]` as vectors `[N, D]` of float32, bytes from 0 to 1."""
    vectors = images.reshape(len(images), -1).astype(np.float32)
    return vectors / np.float32(255 if images.dtype == np.uint8 else 1)


def targets_of(row: Classic, labels: np.ndarray) -> np.ndarray:
    """Labels as estimators take them: classes int32 `[N]` with -1, numbers `[N]` or `[N, D]`."""
    if row.target_type == "continuous":
        return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    return np.where(has_label(labels), labels, -1).astype(np.int32)


def drawn(row: Classic, labels: np.ndarray, seed: int) -> np.ndarray:
    """Places of the training examples that have labels for a seed, `[L]`."""
    try:
        return few_labels({row.task.name: labels}, row.labelled, partial=False, seed=seed)[0]
    except BadInput as wrong:
        raise BadInput(f"row {row.name!r}: {wrong}") from None


def check_labels(row: Classic, part: str, labels: np.ndarray) -> None:
    """Requires labels of the type that the task's loss says, of the task's number of outputs."""
    outputs, kind = row.task.outputs, row.target_type

    def need(holds: bool, rule: str, found: Any) -> None:
        if not holds:
            name = row.task.name
            text = f"labels of {name!r} {rule}, but the {part} data has {found}"
            raise BadInput(f"row {row.name!r}: {text}")

    shape = f"{labels.dtype} {list(labels.shape)}"
    if kind == "continuous":
        need(labels.dtype.kind == "f", "must be floats for a loss of numbers", shape)
        fine = labels.shape[1:] in ((), (1,)) if outputs == 1 else labels.shape[1:] == (outputs,)
        need(fine, f"must be {outputs} numbers an example", shape)
        gaps = np.isnan(labels.reshape(len(labels), -1))
        known = labels[~gaps.any(1)]
        partly = int((gaps.any(1) & ~gaps.all(1)).sum())
        need(partly == 0, "must be missing as a whole", f"{partly} that are in part")
        need(np.isfinite(known).all(), "must be finite", "infinite ones")
        return
    kinds = "iuf" if kind == "binary" else "iu"
    need(labels.dtype.kind in kinds and labels.ndim == 1, "must be integers [N]", shape)
    if kind == "multiclass":
        low, high = int(labels.min()), int(labels.max())
        rule = f"must lie in 0..{outputs - 1} (-1 where missing), as outputs={outputs} says"
        need(low >= -1 and high < outputs, rule, f"class {high if high >= outputs else low}")
        return
    other = np.setdiff1d(labels[has_label(labels)], (0, 1))
    need(len(other) == 0, "must be 0 or 1 for one logistic output", other[:1])
    lowest = labels.min() if labels.dtype.kind == "i" else -1
    need(lowest >= -1, "must be 0 or 1 for one logistic output", lowest)


def check_vectors(row: Classic, part: str, images: np.ndarray, shape: tuple[int, ...]) -> None:
    """Requires images of one shape that are numbers and finite."""
    where = f"row {row.name!r}: the {part} data"
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        rule = 'must have numbers as "image", uint8 or floats, to be vectors'
        raise BadInput(f"{where} {rule}, not {images.dtype} {list(images.shape)} such as tokens")
    if images.shape[1:] != shape:
        rule = f"must have images of shape {list(shape)}, as the train data has"
        raise BadInput(f"{where} {rule}, not {list(images.shape[1:])}")
    bytes_only = images.dtype == np.uint8
    wrong = 0 if bytes_only else (~np.isfinite(images.reshape(len(images), -1))).any(1).sum()
    if wrong:
        raise BadInput(f"{where} must be finite, but {wrong} of {len(images)} images are not")


def needs_probabilities(row: Classic, dtype: np.dtype) -> bool:
    """Whether the task's metric reads more of the outputs than the class that they decide for.

    Tried on outputs that are made up; of numbers it never does.

    Raises:
      BadInput: if the metric does not fit the task.
    """
    outputs = row.task.outputs
    if row.target_type == "continuous":
        made = np.zeros((4, outputs), np.float32)
        value_of(row, made, np.zeros(4 if outputs == 1 else (4, outputs), dtype))
        return False
    classes = max(outputs, 2)
    place = np.arange(4 * classes)
    labels = place % classes
    decided = outputs_of_classes((labels + place // classes % 2) % classes, outputs)
    # The same decisions, of other sizes, and with the other classes in another order.
    other = (2 + place[:, None]) * decided
    other += np.arange(outputs) / outputs
    values = [value_of(row, each, labels.astype(dtype)) for each in (decided, other)]
    return not np.array_equal(*values, equal_nan=True)


def check_estimators(row: Classic, probabilities: bool) -> None:
    """Requires choices that make estimators which predict what the task asks for."""
    from sklearn.base import BaseEstimator, is_classifier, is_regressor

    numbers = row.target_type == "continuous"
    for place, make in enumerate(row.choices):
        where = f"row {row.name!r}, choice {place}"
        try:
            made = make()
        except (TypeError, ValueError) as wrong:
            raise BadInput(f"{where} cannot be made: {wrong}") from wrong
        offers = [callable(getattr(made, name, None)) for name in ("fit", "predict")]
        if isinstance(made, type) or not all(offers):
            raise BadInput(f"{where} must make an estimator with fit and predict, not {made!r}")
        name = type(made).__name__
        if isinstance(made, BaseEstimator) and (is_classifier if numbers else is_regressor)(made):
            kinds = ("a regressor", "numbers") if numbers else ("a classifier", "classes")
            rule = f"must be {kinds[0]}, since {row.task.name!r} has {kinds[1]}"
            raise BadInput(f"{where} {rule}, not {name}")
        if probabilities and not hasattr(made, "predict_proba"):
            rule = f"must have predict_proba, since {row.task.metric.name!r} reads probabilities"
            raise BadInput(f"{where} {rule}; {name} has none")
        if isinstance(made, BaseEstimator):
            check_settings(row, where, made)


def check_settings(row: Classic, where: str, estimator: Any) -> None:
    """Refuses settings that scikit-learn refuses, which it tells when it fits: here a few numbers.

    What else it cannot do with so few is no fault of the settings.
    """
    outputs = row.task.outputs
    features = generator(0, "settings").normal(size=(8 * outputs, 4))
    labels = np.arange(len(features)) % max(2, outputs)
    if row.target_type == "continuous":
        labels = features[:, 0] if outputs == 1 else features[:, :1].repeat(outputs, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.fit(features, labels)
        except (TypeError, ValueError) as wrong:
            # Its class is no public name of scikit-learn's.
            if type(wrong).__name__ == "InvalidParameterError":
                raise BadInput(f"{where}: {wrong}") from wrong
