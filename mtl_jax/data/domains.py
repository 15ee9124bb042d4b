"""Several domains in one stream of images, of which one is the target."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import jax
import numpy as np

from mtl_jax.checks import BadInput, require, require_choice
from mtl_jax.protocols import Source, Splits

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
        label is called "domain", or is of a type that cannot be hidden.
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

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        parts = [source.shapes() for source, _ in self.domains()]
        check_alike(parts)
        count = sum(part["image"].shape[0] for part in parts)
        told = {
            name: jax.ShapeDtypeStruct((count, *array.shape[1:]), array.dtype)
            for name, array in parts[0].items()
        }
        return {**told, "domain": jax.ShapeDtypeStruct((count,), np.int32)}

    def known(self) -> int:
        """How many examples have a label, if those that are seen have all of theirs."""
        return sum(one.shapes()["image"].shape[0] for one, seen in self.domains() if seen)

    def pools(self) -> dict[str, np.ndarray]:
        """The training images of the target, which are the last."""
        counts = [source.shapes()["image"].shape[0] for source, _ in self.domains()]
        return {"": np.arange(sum(counts[:-1]), sum(counts), dtype=np.int32)}

    def load(self) -> Splits:
        """Reads every domain: "image" `[N, ...]`, the labels, "domain" `[N]`."""
        read = [(source.load(), seen) for source, seen in self.domains()]
        for name in Splits._fields:
            check_alike([getattr(splits, name) for splits, _ in read])
        train = [splits.train if seen else hidden(splits.train) for splits, seen in read]
        judged = {n: splits.validation for n, (splits, seen) in enumerate(read) if seen}
        target = {len(read) - 1: read[-1][0].test}
        return Splits(joined(dict(enumerate(train))), joined(judged), joined(target))


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
