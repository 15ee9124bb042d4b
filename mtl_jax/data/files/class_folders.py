"""Layout of class folders: parts, classes, and unlabelled images."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean, few, require
from mtl_jax.data.files.image_files import ImageFinder, normal, subfolders
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

Labelled = list[tuple[pathlib.Path, int]]


class Layout(NamedTuple):
    """The contents of a folder."""

    classes: tuple[str, ...]
    parts: dict[str, Labelled]  # files and labels of train, validation and test
    unlabelled: Labelled  # additional files of train, each with the label -1
    given: bool  # whether there are folders of parts
    notes: list[str]  # messages for the user


def layout(source: Any) -> Layout:
    """Finds the parts and the classes of a source that has a path, split fractions and a seed.

    Raises:
      BadInput: naming the folder, see `mtl_jax.data.Folder`.
    """
    root, search = expand_path(source.path), ImageFinder()
    require(root.is_dir(), source, "path", "must be a folder", source.path)
    folders = subfolders(root)
    given = part_folders(source, [folder for folder in folders if not is_unlabelled(folder)])
    base = given.get("train", root)
    below = subfolders(base)
    require_flat(below if not given else [])
    pools = [f for f in dict.fromkeys([*folders, *below]) if is_unlabelled(f)]
    files = by_class([folder for folder in below if not is_unlabelled(folder)], search)
    require_classes(source, base, files, search)
    classes = tuple(files)
    parts = {"train": labelled(files, classes)}
    for part in given.keys() - {"train"}:
        parts[part] = labelled(known_files(given[part], classes, search), classes)
    parts = draw_splits(source, parts)
    for name, part in parts.items():
        require(len(part) > 0, source, "path", f"must have images for {name}", source.path)
    pool = {folder: search.below(folder) for folder in pools}
    for folder, images in pool.items():
        require(len(images) > 0, source, "path", "must have images in each folder", str(folder))
    notes = [
        beside_parts(folders) if given else beside_classes(below, pool),
        *(loose(folder, search) for folder in [root, *given.values()]),
        *(lacking(name, [label for _, label in part], classes) for name, part in parts.items()),
        *search.notes(),
    ]
    unlabelled = [(image, -1) for images in pool.values() for image in images]
    return Layout(classes, parts, unlabelled, bool(given), [note for note in notes if note])


def is_unlabelled(folder: pathlib.Path) -> bool:
    """Whether a folder contains unlabelled images, by its name."""
    return folder.name.lower().startswith(UNLABELLED)


def part_folders(source: Any, folders: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    """The folder of each part that has one; {} if the split is random."""
    found = {part: [f for f in folders if NAMES.get(f.name.lower()) == part] for part in PARTS}
    found = {part: each for part, each in found.items() if each}
    others = sum(map(len, found.values())) < len(folders)
    if not found or (len(found) == 1 and others):  # A class may be called train.
        return {}
    for part, each in found.items():
        names = [folder.name for folder in each]
        require(len(each) == 1, source, "path", f"must have one folder for {part}", names)
    rule = "must have train and test, and may have validation, if folders have the names of parts"
    names = [folder.name for folder in folders]
    require("train" in found and "test" in found, source, "path", rule, names)
    given = {part: each[0] for part, each in found.items()}
    alone = len({folder.resolve() for folder in given.values()}) == len(given)
    places = [str(folder.resolve()) for folder in given.values()]
    require(alone, source, "path", "must have another folder for each part", places)
    return given


def by_class(folders: list[pathlib.Path], search: ImageFinder) -> dict[str, list[pathlib.Path]]:
    """Images in each class folder, by its Unicode-normalized name."""
    found = {}
    for folder in folders:
        found.setdefault(normal(folder.name), []).extend(search.below(folder))
    return found


def require_classes(
    source: Any, base: pathlib.Path, files: dict[str, list[pathlib.Path]], search: ImageFinder
) -> None:
    """Checks for at least two classes, each with images, whose names differ not only in case."""
    require(len(files) > 0, source, "path", "must have class folders", str(base))
    rule = f"must have two class folders or more in {str(base)!r}"
    require(len(files) > 1, source, "path", rule, list(files))
    for name, images in files.items():
        hint = "".join(f"; {note}" for note in search.notes())
        rule = f"must have images in each class{hint}"
        require(len(images) > 0, source, "path", rule, str(base / name))
    alike = {}
    for name in files:
        other = alike.setdefault(name.casefold(), name)
        rule = "must have class folders that differ not only in case"
        require(other == name, source, "path", rule, [other, name])


def known_files(
    folder: pathlib.Path, classes: tuple[str, ...], search: ImageFinder
) -> dict[str, list[pathlib.Path]]:
    """Images in each class folder of a part, whose classes must be those of train."""
    files = by_class(subfolders(folder), search)
    for name in files:
        if name not in classes:
            raise BadInput(f"{folder / name} is no class of train ({did_you_mean(name, classes)})")
    return files


def labelled(files: dict[str, list[pathlib.Path]], classes: tuple[str, ...]) -> Labelled:
    """Files with the indices of their classes."""
    return [(image, classes.index(name)) for name, images in files.items() for image in images]


def draw_splits(source: Any, parts: dict[str, Labelled]) -> dict[str, Labelled]:
    """All three parts; missing ones are sampled from train, stratified by class."""
    if "validation" in parts:
        return {part: parts[part] for part in PARTS}
    test = 0.0 if "test" in parts else source.test
    files = parts["train"]
    labels = np.array([label for _, label in files], np.int32)
    places = stratified_split(labels, source.validation, test, generator(source.seed, "folder"))
    made = {name: [files[i] for i in each] for name, each in zip(PARTS, places, strict=True)}
    return made if test else {**made, "test": parts["test"]}


def require_flat(folders: list[pathlib.Path]) -> None:
    """Checks that class folders do not contain folders of parts, which would be merged."""
    for folder in folders:
        inside = {NAMES.get(each.name.lower()) for each in subfolders(folder)}
        if {"train", "test"} <= inside:
            rule = "has folders of train and test, as only the whole folder may"
            raise BadInput(f"{folder} {rule}: put the classes into those of the parts")


def beside_parts(folders: list[pathlib.Path]) -> str:
    """Message about folders that are ignored next to the folders of parts."""
    others = [f.name for f in folders if f.name.lower() not in NAMES and not is_unlabelled(f)]
    return f"folders beside those of parts are passed over: {few(others, 5)}" if others else ""


def beside_classes(folders: list[pathlib.Path], pool: dict[pathlib.Path, list]) -> str:
    """Message about folders without images next to the classes, and classes named like a part."""
    none = [f"{f.name!r} is read as {len(pool[f])} images without a label" for f in pool]
    named = [f"{f.name!r} is read as a class" for f in folders if f.name.lower() in NAMES]
    return ", ".join([*none, *named])


def loose(folder: pathlib.Path, search: ImageFinder) -> str:
    """Message about images that are ignored because they are in no class folder."""
    images = search.directly(folder)
    return f"images in no class folder of {folder} are passed over: {len(images)}" if images else ""


def lacking(name: str, labels: Sequence[int], classes: Sequence[Any]) -> str:
    """Message about classes of which a part has no image."""
    lacks = [str(classes[label]) for label in sorted({*range(len(classes))} - {*labels})]
    return f"{name} has no image of {few(lacks, 5)}" if lacks else ""
