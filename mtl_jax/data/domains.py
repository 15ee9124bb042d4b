"""Several domains in one stream of images, one of which is the target domain."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, did_you_mean, require, require_choice
from mtl_jax.data.join_names import (
    Columns,
    Joined,
    Names,
    join_columns,
    join_names,
    list_names,
    same_tokens,
)

Arrays = Mapping[str, np.ndarray | jax.ShapeDtypeStruct]


@dataclasses.dataclass(frozen=True)
class Domains(DataSource):
    """Concatenated images of several domains, of which only some have visible training labels.

    The training part consists of the training images of every source domain followed by those of
    the target domain, with "domain" `[N]` int32: 0, 1, ... for the sources and the last integer for
    the target. Only target images are used as unlabelled examples (`pools`). A hidden label is -1
    (classes) or NaN (continuous targets). The validation part, which is used for model selection,
    contains the labelled domains only, so hidden labels do not influence model selection either.
    The test part is that of the target. With `Labels.num_labelled`, labels are sampled from the
    labelled domains together.

    Classes are matched by name where the sources provide names (`classes`, as `Folder`, `Table` and
    `Texts` do): the integers are those of the first source, followed by the classes that only other
    domains have. A domain may lack classes, but the target may not have a class that no source has,
    unless its labels are visible. Table features are matched by column and category; each table is
    standardised by its own training part. If no domain provides names, integers and columns are
    unchanged.

    "sources" is unsupervised domain adaptation. "target", training on the target alone, is its
    upper bound, and "both" uses all labels. Overlap between sources, such as two sources of the
    same images or one source with another seed, is not detected.

    Attributes:
      sources: one or more source domains, each with a single input.
      target: target domain, with images of the same shape and type and the same labels.
      labelled: domains whose labels are visible, "sources", "target" or "both".

    Raises:
      BadInput: if there are no sources, one is not a data source, or a source is given twice or as
        the target; and from `shapes` and `load` if images or labels differ in shape or type, label
        names differ, a label is called "domain" or has a type that cannot be hidden; if only some
        domains provide names, a name is spelled in two ways, the target has a class of its own,
        tables have different columns, or texts have different vocabularies.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> labels = np.array([0, 1])
      >>> parts = ({"inputs": np.full((2, 3), i, np.float32), "label": labels} for i in range(2))
      >>> photos, sketches = (data.Arrays(part, part, part) for part in parts)
      >>> train = data.Domains(sources=(photos,), target=sketches).load().train
      >>> train["domain"].tolist(), train["label"].tolist()
      ([0, 0, 1, 1], [0, 1, -1, -1])
    """

    sources: tuple[DataSource, ...]
    target: DataSource
    labelled: Literal["sources", "target", "both"] = "sources"

    def __post_init__(self):
        valid = isinstance(self.sources, tuple) and len(self.sources) > 0
        require(valid, self, "sources", "must be a tuple of at least one", self.sources)
        require_choice(self, labelled=("sources", "target", "both"))
        fields = [("sources", source) for source in self.sources]
        domains = []
        for field, value in [*fields, ("target", self.target)]:
            valid = isinstance(value, DataSource)
            require(valid, self, field, "must be sources such as data.SmallDigits()", value)
            require(value not in domains, self, field, "must not hold a domain twice", value)
            domains.append(value)

    def domains(self) -> list[tuple[DataSource, bool]]:
        """The sources followed by the target, each with whether its labels are visible."""
        sources, target = self.labelled != "target", self.labelled != "sources"
        return [*((source, sources) for source in self.sources), (self.target, target)]

    def text_tokenizer(self) -> Callable | None:
        """The tokenizer of the texts, shared by all domains."""
        return self.target.text_tokenizer()

    def names(self) -> list[str]:
        """Names of the domains in error messages."""
        return [*(f"sources[{i}]" for i in range(len(self.sources))), "the target"]

    def classes(self) -> dict[str, Names]:
        """Classes of each label that every domain names, in the order of their integers."""
        return {label: joined.names for label, joined in self.joined_classes().items()}

    def joined_classes(self) -> dict[str, Joined]:
        """Per named label, the index of each domain's classes among all classes."""
        classes = [source.classes() for source, _ in self.domains()]
        joined = {}
        for label in sorted({label for domain in classes for label in domain}):
            names = [domain.get(label) for domain in classes]
            joined_label = join_names(names, self.names(), f"classes of {label!r}")
            if joined_label is not None:
                joined[label] = joined_label
                self.check_closed(label, [domain[label] for domain in classes])
        return joined

    def check_closed(self, label: str, names: list[Names]) -> None:
        """Checks that the sources have all classes of a target whose labels are hidden."""
        sources = {str(name) for domain in names[:-1] for name in domain}
        unknown = [str(name) for name in names[-1] if str(name) not in sources]
        if unknown and self.labelled == "sources":
            raise BadInput(
                f"Domains: the target has {list_names(unknown)} among the classes of {label!r}, "
                f"which no source has ({did_you_mean(unknown[0], sources)}), so none can be learnt"
            )

    def columns(self) -> Columns | None:
        """Columns of the joined features, or None if the domains provide none."""
        joined = self.joined_columns()
        return None if joined is None else {str(name): None for name in joined.names}

    def joined_columns(self) -> Joined | None:
        """Index of each domain's features among all features, or None if there are no names."""
        return join_columns([source.columns() for source, _ in self.domains()], self.names())

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads names only."""
        parts = [dict(source.shapes()) for source, _ in self.domains()]
        columns = self.joined_columns()
        if columns is not None:
            for part in parts:
                count, _ = part["inputs"].shape
                size = (count, len(columns.names))
                part["inputs"] = jax.ShapeDtypeStruct(size, part["inputs"].dtype)
        check_same_structure(parts)
        count = sum(part["inputs"].shape[0] for part in parts)
        shapes = {
            name: jax.ShapeDtypeStruct((count, *array.shape[1:]), array.dtype)
            for name, array in parts[0].items()
        }
        return {**shapes, "domain": jax.ShapeDtypeStruct((count,), np.int32)}

    def num_labelled(self) -> int:
        """Number of labelled examples, assuming that every visible label is known."""
        return sum(source.num_labelled() for source, visible in self.domains() if visible)

    def pools(self) -> dict[str, np.ndarray]:
        """Indices of the target's training images, which come last."""
        counts = [source.shapes()["inputs"].shape[0] for source, _ in self.domains()]
        return {"": np.arange(sum(counts[:-1]), sum(counts), dtype=np.int32)}

    def load(self) -> Splits:
        """Reads every domain: "inputs" `[N, ...]`, the labels, "domain" `[N]`."""
        self.check_tokens()
        sources, visible = zip(*self.domains(), strict=True)
        loaded = [source.load() for source in sources]
        classes, columns = self.joined_classes(), self.joined_columns()
        domains = [
            Splits(*(renumber(part, i, classes, columns) for part in splits))
            for i, splits in enumerate(loaded)
        ]
        for name in Splits._fields:
            check_same_structure([getattr(splits, name) for splits in domains])
        train = {
            i: splits.train if visible[i] else hide_labels(splits.train)
            for i, splits in enumerate(domains)
        }
        validation = {i: splits.validation for i, splits in enumerate(domains) if visible[i]}
        test = {len(domains) - 1: domains[-1].test}
        return Splits(concatenate(train), concatenate(validation), concatenate(test))

    def check_tokens(self) -> None:
        """Checks that the texts of all domains use the same tokenizer."""
        first, *others = [source.text_tokenizer() for source, _ in self.domains()]
        for name, tokenizer in zip(self.names()[1:], others, strict=True):
            if tokenizer is not None and first is not None and not same_tokens(first, tokenizer):
                rule = "Domains: tokens must be of the same vocabulary in every domain"
                raise BadInput(f"{rule}, not of {first!r} and, in {name}, {tokenizer!r}")


def renumber(
    part: Mapping[str, np.ndarray], domain: int, classes: dict[str, Joined], columns: Joined | None
) -> dict[str, np.ndarray]:
    """A part of a domain with its classes and features renumbered to the joined ones."""
    arrays = dict(part)
    for label, joined in classes.items():
        if label in arrays:
            labels = arrays[label]
            # The last index is for -1, a missing label.
            indices = np.append(joined.indices[domain], -1).astype(labels.dtype)
            arrays[label] = indices[labels]
    if columns is not None:
        image = np.zeros((len(part["inputs"]), len(columns.names)), part["inputs"].dtype)
        image[:, columns.indices[domain]] = part["inputs"]
        arrays["inputs"] = image
    return arrays


def hide_labels(part: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A part with hidden labels: -1 for classes, NaN for continuous targets."""

    def missing(array: np.ndarray) -> np.ndarray:
        return np.full_like(array, np.nan if array.dtype.kind == "f" else -1)

    labels = {name: missing(array) for name, array in part.items() if name != "inputs"}
    return {"inputs": part["inputs"], **labels}


def concatenate(parts: Mapping[int, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenated parts by domain index, with the domain index of each example."""
    names = next(iter(parts.values()))
    arrays = {name: np.concatenate([part[name] for part in parts.values()]) for name in names}
    counts = [len(part["inputs"]) for part in parts.values()]
    return {**arrays, "domain": np.repeat(np.array(list(parts), np.int32), counts)}


def check_same_structure(parts: Sequence[Arrays]) -> None:
    """Checks that images and labels have the same names, shapes and types in all domains.

    Raises:
      BadInput: with the shapes of the first domain and of the one that differs.
    """
    first = parts[0]
    for part in parts:
        if "inputs" not in part:
            raise BadInput(f'Domains: every domain must have "inputs" itself, not {sorted(part)}')
        if part.keys() != first.keys():
            expected, actual = (sorted(arrays.keys() - {"inputs"}) for arrays in (first, part))
            raise BadInput(f"Domains: every domain must have the labels {expected}, not {actual}")
        for name in first:
            expected, actual = (f"{a[name].dtype} {list(a[name].shape[1:])}" for a in (first, part))
            if expected != actual:
                raise BadInput(
                    f"Domains: {name!r} must be {expected} in every domain, not {actual}"
                )
    if "domain" in first:
        raise BadInput("Domains: no label may be called 'domain'")
    for name, array in first.items():
        if name != "inputs" and array.dtype.kind not in "if":
            raise BadInput(f"Domains: {name!r} must be of int or float, not {array.dtype}")
