"""The columns of a table with the numbers that encode them."""

import numpy as np

from mtl_jax.data import Table
from mtl_jax.data.files.column_splits import concatenate_columns, labels_of, part_rows
from mtl_jax.data.files.columns import Columns
from mtl_jax.data.files.table import moments, numeric, one_hot
from mtl_jax.predict.description import Column


def describe_columns(table: Table) -> tuple[Column, ...]:
    """How a table encodes its features, in their order; reads its files."""
    parts, categories = table.read(), table.columns()
    columns = concatenate_columns(table, parts, **table.fields(), features=tuple(categories))
    train = part_rows(table, parts, labels_of(table, columns))[0]
    return tuple(
        describe_column(table, columns, name, values, train) for name, values in categories.items()
    )


def describe_column(
    table: Table, columns: Columns, name: str, categories: tuple | None, train: np.ndarray
) -> Column:
    """How one column is encoded, by its values of the training part."""
    features = (numeric if categories is None else one_hot)(columns, name)[train]
    known = features[~np.isnan(features[:, 0])]
    fill = None
    if table.fill is not None:
        filled = known.mean(0).clip(known.min(0), known.max(0))
        features = np.where(np.isnan(features), filled, features)
        fill = tuple(map(float, filled))
    if categories is not None or not table.standardize:
        return Column(name, categories=categories, fill=fill)
    center, largest, std = moments(features)
    return Column(name, float(center), float(largest * std), fill=fill)
