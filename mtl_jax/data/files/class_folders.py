"""Layout of class folders: parts, classes, and unlabelled images."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean, few, require
from mtl_jax.data.files.image_files import ImageFinder, normalize, subfolders
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.random_split import generator, stratified_split

# Folder names of each part, in lower case.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
NAMES = {name: part for part, names in PARTS.items() for name in names}
UNLABELLED = ("unlabelled", "unlabeled")  # prefixes of the names of such folders

LabelledFiles = list[tuple[pathlib.Path, int]]


class Layout(NamedTuple):
    """The contents of a folder."""

    classes: tuple[str, ...]
    parts: dict[str, LabelledFiles]  # files and labels of train, validation and test
    unlabelled: LabelledFiles  # additional files of train, each with the label -1
    has_parts: bool  # whether there are folders of parts
    notes: list[str]  # messages for the user


def read_layout(source: Any) -> Layout:
    """Finds the parts and the classes of a source that has a path, split fractions and a seed.

    Raises:
      BadInput: naming the folder, see `mtl_jax.data.Folder`.
    """
    root, search = expand_path(source.path), ImageFinder()
    require(root.is_dir(), source, "path", "must be a folder", source.path)
    folders = subfolders(root)
    part_roots = part_folders(source, [folder for folder in folders if not is_unlabelled(folder)])
    train_root = part_roots.get("train", root)
    train_folders = subfolders(train_root)
    require_flat(train_folders if not part_roots else [])
    pools = [f for f in dict.fromkeys([*folders, *train_folders]) if is_unlabelled(f)]
    class_folders = [folder for folder in train_folders if not is_unlabelled(folder)]
    files = files_by_class(class_folders, search)
    require_classes(source, train_root, files, search)
    classes = tuple(files)
    parts = {"train": label_files(files, classes)}
    for part in part_roots.keys() - {"train"}:
        parts[part] = label_files(part_class_files(part_roots[part], classes, search), classes)
    parts = sample_splits(source, parts)
    for name, part in parts.items():
        require(len(part) > 0, source, "path", f"must have images for {name}", source.path)
    pool = {folder: search.find_recursive(folder) for folder in pools}
    for folder, images in pool.items():
        require(len(images) > 0, source, "path", "must have images in each folder", str(folder))
    notes = [
        ignored_folders_note(folders) if part_roots else class_folders_note(train_folders, pool),
        *(loose_images_note(folder, search) for folder in [root, *part_roots.values()]),
        *(
            missing_classes_note(name, [label for _, label in part], classes)
            for name, part in parts.items()
        ),
        *search.notes(),
    ]
    unlabelled = [(image, -1) for images in pool.values() for image in images]
    return Layout(classes, parts, unlabelled, bool(part_roots), [note for note in notes if note])


def is_unlabelled(folder: pathlib.Path) -> bool:
    """Whether a folder contains unlabelled images, by its name."""
    return folder.name.lower().startswith(UNLABELLED)


def part_folders(source: Any, folders: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    """The folder of each part that has one; {} if the split is random."""
    by_part = {part: [f for f in folders if NAMES.get(f.name.lower()) == part] for part in PARTS}
    by_part = {part: matches for part, matches in by_part.items() if matches}
    has_others = sum(map(len, by_part.values())) < len(folders)
    if not by_part or (len(by_part) == 1 and has_others):  # A class may be called train.
        return {}
    for part, matches in by_part.items():
        names = [folder.name for folder in matches]
        require(len(matches) == 1, source, "path", f"must have one folder for {part}", names)
    rule = "must have train and test, and may have validation, if folders have the names of parts"
    names = [folder.name for folder in folders]
    require("train" in by_part and "test" in by_part, source, "path", rule, names)
    roots = {part: matches[0] for part, matches in by_part.items()}
    paths = [str(folder.resolve()) for folder in roots.values()]
    distinct = len(set(paths)) == len(paths)
    require(distinct, source, "path", "must have another folder for each part", paths)
    return roots


def files_by_class(
    folders: list[pathlib.Path], search: ImageFinder
) -> dict[str, list[pathlib.Path]]:
    """Images in each class folder, by its Unicode-normalized name."""
    files = {}
    for folder in folders:
        files.setdefault(normalize(folder.name), []).extend(search.find_recursive(folder))
    return files


def require_classes(
    source: Any, root: pathlib.Path, files: dict[str, list[pathlib.Path]], search: ImageFinder
) -> None:
    """Checks for at least two classes, each with images, whose names differ not only in case."""
    require(len(files) > 0, source, "path", "must have class folders", str(root))
    rule = f"must have two class folders or more in {str(root)!r}"
    require(len(files) > 1, source, "path", rule, list(files))
    for name, images in files.items():
        hint = "".join(f"; {note}" for note in search.notes())
        rule = f"must have images in each class{hint}"
        require(len(images) > 0, source, "path", rule, str(root / name))
    spellings = {}
    for name in files:
        first = spellings.setdefault(name.casefold(), name)
        rule = "must have class folders that differ not only in case"
        require(first == name, source, "path", rule, [first, name])


def part_class_files(
    folder: pathlib.Path, classes: tuple[str, ...], search: ImageFinder
) -> dict[str, list[pathlib.Path]]:
    """Images in each class folder of a part, whose classes must be those of train."""
    files = files_by_class(subfolders(folder), search)
    for name in files:
        if name not in classes:
            raise BadInput(f"{folder / name} is no class of train ({did_you_mean(name, classes)})")
    return files


def label_files(files: dict[str, list[pathlib.Path]], classes: tuple[str, ...]) -> LabelledFiles:
    """Files with the indices of their classes."""
    return [(image, classes.index(name)) for name, images in files.items() for image in images]


def sample_splits(source: Any, parts: dict[str, LabelledFiles]) -> dict[str, LabelledFiles]:
    """All three parts; missing ones are sampled from train, stratified by class."""
    if "validation" in parts:
        return {part: parts[part] for part in PARTS}
    test = 0.0 if "test" in parts else source.test
    files = parts["train"]
    labels = np.array([label for _, label in files], np.int32)
    indices = stratified_split(labels, source.validation, test, generator(source.seed, "folder"))
    splits = {name: [files[i] for i in rows] for name, rows in zip(PARTS, indices, strict=True)}
    return splits if test else {**splits, "test": parts["test"]}


def require_flat(folders: list[pathlib.Path]) -> None:
    """Checks that class folders do not contain folders of parts, which would be merged."""
    for folder in folders:
        parts = {NAMES.get(subfolder.name.lower()) for subfolder in subfolders(folder)}
        if {"train", "test"} <= parts:
            rule = "has folders of train and test, as only the whole folder may"
            raise BadInput(f"{folder} {rule}: put the classes into those of the parts")


def ignored_folders_note(folders: list[pathlib.Path]) -> str:
    """Message about folders that are ignored next to the folders of parts."""
    others = [f.name for f in folders if f.name.lower() not in NAMES and not is_unlabelled(f)]
    return f"folders next to those of parts are ignored: {few(others, 5)}" if others else ""


def class_folders_note(folders: list[pathlib.Path], pool: dict[pathlib.Path, list]) -> str:
    """Message about folders without images next to the classes, and classes named like a part."""
    unlabelled = [f"{f.name!r} is read as {len(pool[f])} images without a label" for f in pool]
    classes = [f"{f.name!r} is read as a class" for f in folders if f.name.lower() in NAMES]
    return ", ".join([*unlabelled, *classes])


def loose_images_note(folder: pathlib.Path, search: ImageFinder) -> str:
    """Message about images that are ignored because they are in no class folder."""
    images = search.find_direct(folder)
    return f"images in no class folder of {folder} are ignored: {len(images)}" if images else ""


def missing_classes_note(name: str, labels: Sequence[int], classes: Sequence[Any]) -> str:
    """Message about classes of which a part has no image."""
    missing = [str(classes[label]) for label in sorted({*range(len(classes))} - {*labels})]
    return f"{name} has no image of {few(missing, 5)}" if missing else ""
