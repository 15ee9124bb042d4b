"""Resolution of the image files that the rows of a table name."""

import collections
import os
import pathlib
from typing import Any

from mtl_jax.core.validation import few, require
from mtl_jax.data.files.columns import Columns, fault
from mtl_jax.data.files.data_warning import warn_of
from mtl_jax.data.files.image_files import ImageFinder, normal
from mtl_jax.data.files.paths import expand_path


def named_images(source: Any, columns: Columns) -> list[pathlib.Path]:
    """The image file of each row, by the column that a source's `file` names.

    Raises:
      BadInput: if the folder does not exist; with their number and the first one, for rows whose
        image does not exist or is ambiguous.

    Warns:
      DataWarning: for rows that name the same image, and for images without a row.
    """
    root = folder_of(source)
    cells = columns.cells[source.file]
    below = ImageFinder().below(root)
    found = lookup(root, below)
    files = [one_of(root, cell, found) for cell in cells]
    rule = f"must name an image below {root}"
    require_each(source, columns, [len(each) > 0 for each in files], rule)
    rule = f"must name one image below {root} by its path; some have the same name"
    require_each(source, columns, [len(each) == 1 for each in files], rule)
    files = [each[0] for each in files]
    tell_rows(source, columns, files)
    used = {os.path.normpath(file) for file in files}
    spare = [str(file.relative_to(root)) for file in below if os.path.normpath(file) not in used]
    if spare:
        warn_of(source, f"images without a row are passed over: {len(spare)}, {few(spare, 5)}")
    return files


def folder_of(source: Any) -> pathlib.Path:
    """The folder of a source's images."""
    if source.folder is None:
        path = expand_path(source.path)
        return path if path.is_dir() else path.parent
    root = expand_path(source.folder)
    require(root.is_dir(), source, "folder", "must be a folder", source.folder)
    return root


def lookup(root: pathlib.Path, images: list[pathlib.Path]) -> list[dict[str, list[pathlib.Path]]]:
    """Images by path and by name alone, each with and without suffix."""
    tables = [collections.defaultdict(list) for _ in range(4)]
    for image in images:
        path = normal(image.relative_to(root).as_posix())
        name, suffix = path.rpartition("/")[2], image.suffix
        keys = path, path.removesuffix(suffix), name, name.removesuffix(suffix)
        for table, key in zip(tables, keys, strict=True):
            table[key].append(image)
    return tables


def one_of(
    root: pathlib.Path, cell: str, found: list[dict[str, list[pathlib.Path]]]
) -> list[pathlib.Path]:
    """The images that a cell may refer to: none, one or several."""
    if cell and (root / cell).is_file():
        return [root / cell]
    key = normal(cell).replace("\\", "/").removeprefix("./")
    return next((table[key] for table in found if key in table), [])


def require_each(source: Any, columns: Columns, fine: list[bool], rule: str) -> None:
    """Checks a condition on each row's name, and reports the number of violations."""
    wrong = [row for row, holds in enumerate(fine) if not holds]
    if wrong:
        raise fault(
            columns, source.file, wrong[0], f"{rule} ({len(wrong)} of {len(fine)} rows do not)"
        )


def tell_rows(source: Any, columns: Columns, files: list[pathlib.Path]) -> None:
    """Warns of images that several rows name."""
    rows = collections.defaultdict(list)
    for row, file in enumerate(files):
        rows[os.path.normpath(file)].append(row)
    several = {file: each for file, each in rows.items() if len(each) > 1}
    labels = [columns.cells[name] for name in (*source.labels, *source.numbers)]
    other = sum(
        len({tuple(c[row] for c in labels) for row in each}) > 1 for each in several.values()
    )
    if several:
        names = few([pathlib.Path(file).name for file in several], 5)
        told = f"{len(several)} images have several rows, {other} of them with different labels"
        warn_of(source, f"{told}: {names}")
