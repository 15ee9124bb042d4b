"""Several domains in one stream of images, of which one is the target."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np

from mtl_jax.core.protocols import Source, Splits
from mtl_jax.core.validation import BadInput, near, require, require_choice
from mtl_jax.data.join_names import (
    Joined,
    Names,
    classes_of,
    columns_of,
    joined_columns,
    joined_names,
    listed,
    same_tokens,
    tokens_of,
)

Arrays = Mapping[str, np.ndarray | jax.ShapeDtypeStruct]


@dataclasses.dataclass(frozen=True)
class Domains:
    """The images of all domains together, of which only some bring their labels to training.

    The training part has the training images of every source, then those of the target, and
    "domain" `[N]` int32: 0, 1, ... of the sources, the last number of the target. The images of
    the target alone come unlabelled (`pools`). A hidden label
    is -1 (classes) or NaN (numbers). The validation part, by which a run chooses, is made of
    those of the labelled domains only, so a hidden label chooses nothing either. The test part
    is the target's. With `Run.labelled`, labels are drawn of the labelled domains together.

    Classes are joined by name where sources tell them (`classes`, as those of `Folder`, `Table` and
    `Texts` do): integers are those of the first source, then come classes that only others have. A
    domain may lack classes, but the target has none that no source has, unless its labels may be
    seen. Features of tables are joined by column and category; each table is standardised by its
    own training part. Where no domain tells names, integers and columns stay as they are.

    With "sources" this is unsupervised adaptation. "target" is the bound above it, trained on
    the target alone, and "both" knows everything. It cannot
    see whether two different sources are made of the same pictures, or of one with another seed.

    Attributes:
      sources: one or more, each of one input.
      target: another one, whose images are of the same shape and type, with the same labels.
      labelled: whose labels may be seen, "sources", "target" or "both".

    Raises:
      BadInput: for no source, for what is none, for a source twice or as the target; and from
        `shapes` and `load` if images or labels differ in shape or type, names of labels differ, a
        label is called "domain", or is of a type that cannot be hidden; if some domains tell names
        and others do not, a name is written in two ways, the target has a class of its own, tables
        have other columns, or texts another vocabulary.
    """

    sources: tuple[Source, ...]
    target: Source
    labelled: Literal["sources", "target", "both"] = "sources"

    def __post_init__(self):
        listed = isinstance(self.sources, tuple) and len(self.sources) > 0
        require(listed, self, "sources", "must be a tuple of at least one", self.sources)
        require_choice(self, labelled=("sources", "target", "both"))
        seen = []
        for field, value in [*(("sources", one) for one in self.sources), ("target", self.target)]:
            fine = hasattr(value, "load") and not isinstance(value, type)
            require(fine, self, field, "must be sources such as data.SmallDigits()", value)
            require(value not in seen, self, field, "must not hold a domain twice", value)
            seen.append(value)

    def domains(self) -> list[tuple[Source, bool]]:
        """The sources and then the target, each with whether its labels may be seen."""
        sources, target = self.labelled != "target", self.labelled != "sources"
        return [*((one, sources) for one in self.sources), (self.target, target)]

    @property
    def tokens(self) -> Any:
        """What makes the tokens of texts, in every domain."""
        return tokens_of(self.target)

    def names(self) -> list[str]:
        """What the domains are called in errors."""
        return [*(f"sources[{at}]" for at in range(len(self.sources))), "the target"]

    def classes(self) -> dict[str, Names]:
        """The classes of each label whose names every domain tells, in the order of integers."""
        return {label: joined.names for label, joined in self.joined_classes().items()}

    def joined_classes(self) -> dict[str, Joined]:
        """By label, where the classes of each domain are among all, of labels that have names."""
        told = [classes_of(source) for source, _ in self.domains()]
        found = {}
        for label in sorted({label for classes in told for label in classes}):
            each = [classes.get(label) for classes in told]
            joined = joined_names(each, self.names(), f"classes of {label!r}")
            if joined is not None:
                found[label] = joined
                self.check_closed(label, each)
        return found

    def check_closed(self, label: str, told: list[Names]) -> None:
        """Requires that sources have all classes of a target whose labels are not seen."""
        known = {str(name) for names in told[:-1] for name in names}
        unknown = [str(name) for name in told[-1] if str(name) not in known]
        if unknown and self.labelled == "sources":
            raise BadInput(
                f"Domains: the target has {listed(unknown)} among the classes of {label!r}, which "
                f"no source has ({near(unknown[0], known)}), so none can be learnt"
            )

    def columns(self) -> dict[str, Names | None] | None:
        """Every column of the features that are joined, if the domains tell them."""
        joined = self.joined_columns()
        return None if joined is None else dict.fromkeys(joined.names)

    def joined_columns(self) -> Joined | None:
        """Where the features of each domain are among all, if the domains tell them."""
        told = [columns_of(source) for source, _ in self.domains()]
        return joined_columns(told, self.names())

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read but names."""
        parts = [dict(source.shapes()) for source, _ in self.domains()]
        columns = self.joined_columns()
        for part in parts if columns is not None else ():
            count, _ = part["image"].shape
            size = (count, len(columns.names))
            part["image"] = jax.ShapeDtypeStruct(size, part["image"].dtype)
        check_alike(parts)
        count = sum(part["image"].shape[0] for part in parts)
        told = {
            name: jax.ShapeDtypeStruct((count, *array.shape[1:]), array.dtype)
            for name, array in parts[0].items()
        }
        return {**told, "domain": jax.ShapeDtypeStruct((count,), np.int32)}

    def known(self) -> int:
        """How many examples have a label, if those that are seen have all of theirs."""
        return sum(
            one.known() if hasattr(one, "known") else one.shapes()["image"].shape[0]
            for one, seen in self.domains()
            if seen
        )

    def pools(self) -> dict[str, np.ndarray]:
        """The training images of the target, which are the last."""
        counts = [source.shapes()["image"].shape[0] for source, _ in self.domains()]
        return {"": np.arange(sum(counts[:-1]), sum(counts), dtype=np.int32)}

    def load(self) -> Splits:
        """Reads every domain: "image" `[N, ...]`, the labels, "domain" `[N]`."""
        self.check_tokens()
        read = [(source.load(), seen) for source, seen in self.domains()]
        classes, columns = self.joined_classes(), self.joined_columns()
        read = [
            (Splits(*(renumbered(part, at, classes, columns) for part in splits)), seen)
            for at, (splits, seen) in enumerate(read)
        ]
        for name in Splits._fields:
            check_alike([getattr(splits, name) for splits, _ in read])
        train = [splits.train if seen else hidden(splits.train) for splits, seen in read]
        judged = {n: splits.validation for n, (splits, seen) in enumerate(read) if seen}
        target = {len(read) - 1: read[-1][0].test}
        return Splits(joined(dict(enumerate(train))), joined(judged), joined(target))

    def check_tokens(self) -> None:
        """Requires texts of all domains to be cut into the same tokens."""
        told = [tokens_of(source) for source, _ in self.domains()]
        for at, tokens in zip(self.names(), told, strict=True):
            if tokens is not None and told[0] is not None and not same_tokens(told[0], tokens):
                rule = "Domains: tokens must be of the same vocabulary in every domain"
                raise BadInput(f"{rule}, not of {told[0]!r} and, in {at}, {tokens!r}")


def renumbered(
    part: Mapping[str, np.ndarray], domain: int, classes: dict[str, Joined], columns: Joined | None
) -> dict[str, np.ndarray]:
    """A part of a domain, its classes and features in the places that they have among all."""
    found = dict(part)
    for label, joined in classes.items():
        if label in found:
            labels = found[label]
            # The last place stands for -1, a label that is missing.
            places = np.append(joined.places[domain], -1).astype(labels.dtype)
            found[label] = places[labels]
    if columns is not None:
        image = np.zeros((len(part["image"]), len(columns.names)), part["image"].dtype)
        image[:, columns.places[domain]] = part["image"]
        found["image"] = image
    return found


def hidden(part: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A part without its labels: -1 in the place of classes, NaN of numbers."""

    def missing(array: np.ndarray) -> np.ndarray:
        return np.full_like(array, np.nan if array.dtype.kind == "f" else -1)

    labels = {name: missing(array) for name, array in part.items() if name != "image"}
    return {"image": part["image"], **labels}


def joined(parts: Mapping[int, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Parts one after the other, with the number of the domain of each example."""
    names = next(iter(parts.values()))
    arrays = {name: np.concatenate([part[name] for part in parts.values()]) for name in names}
    counts = [len(part["image"]) for part in parts.values()]
    return {**arrays, "domain": np.repeat(np.array(list(parts), np.int32), counts)}


def check_alike(parts: list[Arrays]) -> None:
    """Requires images and labels of the same names, shapes and types in all domains.

    Raises:
      BadInput: naming what the first domain has and what another one has.
    """
    first = parts[0]
    for part in parts:
        if "image" not in part:
            raise BadInput(f'Domains: every domain must have "image" itself, not {sorted(part)}')
        if part.keys() != first.keys():
            had, has = (sorted(one.keys() - {"image"}) for one in (first, part))
            raise BadInput(f"Domains: every domain must have the labels {had}, not {has}")
        for name in first:
            had, has = (f"{a[name].dtype} {list(a[name].shape[1:])}" for a in (first, part))
            if had != has:
                raise BadInput(f"Domains: {name!r} must be {had} in every domain, not {has}")
    if "domain" in first:
        raise BadInput("Domains: no label may be called 'domain'")
    for name, array in first.items():
        if name != "image" and array.dtype.kind not in "if":
            raise BadInput(f"Domains: {name!r} must be of int or float, not {array.dtype}")
