"""Reader of the text format of the UCR and UEA time series archives."""

import pathlib
from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean
from mtl_jax.data.files.columns import MAX_FLOAT32
from mtl_jax.data.files.float_precision import count_distinct, require_few_collisions
from mtl_jax.data.files.text_files import lines_of, read_text


class LabelledSeries(NamedTuple):
    """Labelled time series of equal length."""

    series: np.ndarray  # [N, T, C] float32
    labels: np.ndarray  # [N] int32, indices of classes
    classes: list[str]


def read_ts(file: pathlib.Path) -> LabelledSeries:
    """Reads a `.ts` file of labelled series of equal length.

    Lines that begin with # are comments, those with @ are metadata, and each line after `@data` is
    a series: channels separated by colons, values by commas, the class last.

    Args:
      file: path of the file.

    Raises:
      BadInput: naming the file and the line number, for a file that does not exist, has no list of
        classes or no series, and a series of another length, with other channels, with missing
        values, or of a class that is not in the list; and for a channel whose numbers are equal in
        float32.
    """
    lines = lines_of(read_text(file))
    declarations = [line.split() for line in lines if line.lower().startswith("@classlabel true ")]
    if not declarations:
        raise BadInput(f"{file} must have a line of classes, @classLabel true ...")
    classes = declarations[0][2:]
    rows, labels = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line[0] in "#@":
            continue
        *channels, label = line.strip().split(":")
        where = f"{file}, line {number}"
        if label not in classes:
            raise BadInput(
                f"{where} is of no class of the list: {label!r}; {did_you_mean(label, classes)}"
            )
        rows.append(read_series(where, channels, rows))
        labels.append(classes.index(label))
    if not rows:
        raise BadInput(f"{file} must have series")
    series = np.stack(rows)
    for channel in range(series.shape[2]):
        values = series[:, :, channel]
        require_few_collisions(f"{file}, channel {channel}", count_distinct(values), values)
    return LabelledSeries(series.astype(np.float32), np.array(labels, np.int32), classes)


def read_series(where: str, channels: list[str], previous: list[np.ndarray]) -> np.ndarray:
    """One series `[T, C]`, of the same shape as the previous ones."""
    try:
        values = [np.array(channel.split(","), np.float64) for channel in channels]
    except ValueError:
        raise BadInput(f"{where} must have a number at every time") from None
    lengths = {len(channel) for channel in values}
    if len(lengths) != 1:
        raise BadInput(f"{where} must have channels of one length, not {sorted(lengths)}")
    series = np.stack(values, 1)
    if not (np.abs(series) <= MAX_FLOAT32).all():
        raise BadInput(f"{where} must have a number at every time")
    if previous and series.shape != previous[0].shape:
        first = list(previous[0].shape)
        raise BadInput(f"{where} must be {first} [T, C] as the first is, not {list(series.shape)}")
    return series
