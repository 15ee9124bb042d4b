"""Resolution of the image files that the rows of a table name."""

import collections
import os
import pathlib
from typing import Any

from mtl_jax.core.validation import few, require
from mtl_jax.data.files.columns import Columns, cell_error
from mtl_jax.data.files.data_warning import warn_of
from mtl_jax.data.files.image_files import ImageFinder, normalize
from mtl_jax.data.files.paths import expand_path

ImageSource = Any  # An `ImageTable`.
ImageIndex = dict[str, list[pathlib.Path]]


def named_images(source: ImageSource, columns: Columns) -> list[pathlib.Path]:
    """The image file of each row, by the column that a source's `file` names.

    Raises:
      BadInput: if the folder does not exist; with their number and the first one, for rows whose
        image does not exist or is ambiguous.

    Warns:
      DataWarning: for rows that name the same image, and for images without a row.
    """
    root = folder_of(source)
    cells = columns.cells[source.file]
    images = ImageFinder().find_recursive(root)
    tables = index_images(root, images)
    matches = [matching_images(root, cell, tables) for cell in cells]
    rule = f"must name an image below {root}"
    require_rows(source, columns, [len(files) > 0 for files in matches], rule)
    rule = f"must name one image below {root} by its path; some have the same name"
    require_rows(source, columns, [len(files) == 1 for files in matches], rule)
    files = [match[0] for match in matches]
    warn_of_shared_images(source, columns, files)
    used = {os.path.normpath(file) for file in files}
    unused = [str(file.relative_to(root)) for file in images if os.path.normpath(file) not in used]
    if unused:
        warn_of(source, f"images without a row are ignored: {len(unused)}, {few(unused, 5)}")
    return files


def folder_of(source: ImageSource) -> pathlib.Path:
    """The folder of a source's images."""
    if source.folder is None:
        path = expand_path(source.path)
        return path if path.is_dir() else path.parent
    root = expand_path(source.folder)
    require(root.is_dir(), source, "folder", "must be a folder", source.folder)
    return root


def index_images(root: pathlib.Path, images: list[pathlib.Path]) -> list[ImageIndex]:
    """Images by path and by name alone, each with and without suffix."""
    tables: list[ImageIndex] = [collections.defaultdict(list) for _ in range(4)]
    for image in images:
        path = normalize(image.relative_to(root).as_posix())
        name, suffix = path.rpartition("/")[2], image.suffix
        keys = path, path.removesuffix(suffix), name, name.removesuffix(suffix)
        for table, key in zip(tables, keys, strict=True):
            table[key].append(image)
    return tables


def matching_images(root: pathlib.Path, cell: str, tables: list[ImageIndex]) -> list[pathlib.Path]:
    """The images that a cell may refer to: none, one or several."""
    if cell and (root / cell).is_file():
        return [root / cell]
    key = normalize(cell).replace("\\", "/").removeprefix("./")
    return next((table[key] for table in tables if key in table), [])


def require_rows(source: ImageSource, columns: Columns, valid: list[bool], rule: str) -> None:
    """Checks a condition on each row's name, and reports the number of violations."""
    invalid = [row for row, holds in enumerate(valid) if not holds]
    if invalid:
        rule = f"{rule} ({len(invalid)} of {len(valid)} rows do not)"
        raise cell_error(columns, source.file, invalid[0], rule)


def warn_of_shared_images(source: ImageSource, columns: Columns, files: list[pathlib.Path]) -> None:
    """Warns of images that several rows name."""
    rows = collections.defaultdict(list)
    for row, file in enumerate(files):
        rows[os.path.normpath(file)].append(row)
    shared = {file: indices for file, indices in rows.items() if len(indices) > 1}
    labels = [columns.cells[name] for name in (*source.labels, *source.numbers)]
    conflicts = sum(
        len({tuple(cells[row] for cells in labels) for row in indices}) > 1
        for indices in shared.values()
    )
    if shared:
        names = few([pathlib.Path(file).name for file in shared], 5)
        text = f"{len(shared)} images have several rows, {conflicts} of them with different labels"
        warn_of(source, f"{text}: {names}")
