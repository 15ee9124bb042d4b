"""A data source for TensorFlow Datasets, read without TensorFlow."""

import dataclasses
import io
from typing import Any

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, did_you_mean, require
from mtl_jax.data.datasets.tfds_builder import open_builder, tensorflow_missing
from mtl_jax.data.datasets.tfds_rows import TfdsImages, TfdsRows, encoded_images
from mtl_jax.data.datasets.tfds_sizes import SIZES, require_disjoint, slices_of
from mtl_jax.data.datasets.tfds_values import fits_int32, is_scalar, stack
from mtl_jax.data.files.decode_image import MODES, decode_image, require_size


@dataclasses.dataclass(frozen=True)
class Tfds(DataSource):
    """A data set of TensorFlow Datasets, prepared as ArrayRecord (see `prepare`).

    The image feature "image" is read as "inputs", and every scalar feature as a label: integers and
    booleans as int32, others as float32. Integers too large for int32, strings and arrays are omitted.

    Attributes:
      name: TFDS name, such as "cifar10", "cifar10:3.0.2" or "set/config".
      data_dir: directory of the prepared data.
      split: slices for train, validation, test, as "train[:90%]+test"; class -1 is missing.
      rename: pairs of a feature's name and its new name, such as ("label", "digit").
      size: height and width that images are resized to, or None if they all have one size.

    Raises:
      BadInput: for settings of the wrong type; and from `load` for a data set that is unknown, not
        prepared or not in ArrayRecord format, a split that does not exist, is empty or overlaps
        another, an unknown feature, no image or several, or images of different sizes without
        `size`.

    Example:
      >>> from mtl_jax import data
      >>> source = data.Tfds("cifar10", "~/tensorflow_datasets", rename=(("label", "object"),))
      >>> source.split
      ('train[:90%]', 'train[90%:]', 'test')
    """

    name: str
    data_dir: str
    split: tuple[str, str, str] = ("train[:90%]", "train[90%:]", "test")
    rename: tuple[tuple[str, str], ...] = ()
    size: tuple[int, int] | None = None

    def __post_init__(self):
        for field in ("name", "data_dir"):
            value = getattr(self, field)
            valid = isinstance(value, str) and bool(value)
            require(valid, self, field, "must be a string", value)
        valid = are_strings(self.split) and len(self.split) == 3
        require(valid, self, "split", "must be three strings", self.split)
        valid = isinstance(self.rename, tuple)
        valid = valid and all(are_strings(pair) and len(pair) == 2 for pair in self.rename)
        require(valid, self, "rename", "must be pairs of names", self.rename)
        if self.size is not None:
            require_size(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads one image if its size is not fixed.

        A data set of known size (`tfds_sizes`) need not be prepared for this. Labels that turn out
        to be too large when they are read are included.
        """
        builder = open_builder(self.name, self.data_dir)
        count = self.count(builder)
        features = builder.info.features
        names = self.names(features)
        image = next(iter(names))
        shape = features[image].shape
        if self.size is not None:
            shape = (*self.size, shape[-1])
        elif None in shape:
            first = self.source(builder, self.split[0], image)[0][image]
            where = f"an image of {self.name!r}"
            shape = decode_image(io.BytesIO(first), shape[-1], None, where).shape
        shapes = {"inputs": jax.ShapeDtypeStruct((count, *shape), np.uint8)}
        for feature in list(names)[1:]:  # The first one is the image.
            dtype = stack(np.empty(0, features[feature].np_dtype)).dtype
            shapes[names[feature]] = jax.ShapeDtypeStruct((count,), dtype)
        return shapes

    def load(self) -> Splits:
        """Reads the arrays: "inputs" uint8 `[N, H, W, C]` and each label `[N]`."""
        builder = self.builder()
        names = self.names(builder.info.features)
        self.count(builder)
        parts = [self.read(builder, split, names) for split in self.split]
        self.require_one_size(parts)
        features = [name for name in names if all(fits_int32(part[name]) for part in parts)]
        return Splits(*({names[name]: stack(part[name]) for name in features} for part in parts))

    def open_splits(self) -> Splits:
        """The same with images that are decoded when needed; the labels are read.

        That all images have one size is checked as they are read.
        """
        builder, shape = self.builder(), self.shapes()["inputs"].shape
        image, *labels = names = self.names(builder.info.features)
        parts, values = [], []
        for split in self.split:
            source = self.source(builder, split, image)
            values.append({name: [] for name in labels})
            for example in source:
                for name in labels:
                    values[-1][name].append(example[name])
            images = TfdsImages(self.name, self.data_dir, split, image)
            parts.append({"inputs": TfdsRows(images, (len(source), *shape[1:]), self.size)})
        kept = [name for name in labels if all(fits_int32(part[name]) for part in values)]
        for part, own in zip(parts, values, strict=True):
            part |= {names[name]: stack(own[name]) for name in kept}
        return Splits(*parts)

    def builder(self) -> Any:
        """The builder of the data set, which must be prepared."""
        builder = open_builder(self.name, self.data_dir)
        if not builder.info.splits:
            raise self.not_prepared()
        return builder

    def not_prepared(self) -> BadInput:
        """The error for a data set that is not prepared, with instructions to prepare it."""
        return BadInput(
            f"{self.name!r} is not prepared in {self.data_dir}: "
            f"call mtl_jax.data.prepare({self.name!r}, {self.data_dir!r}) once"
        )

    def count(self, builder: Any) -> int:
        """Number of training examples; checks that no two parts share an example."""
        parts = []
        for split in self.split:
            try:
                slices = slices_of(builder, split)
            except ValueError as error:
                raise self.no_part(builder, split) from error
            if slices is None:
                raise self.not_prepared()
            parts.append(slices)
        require_disjoint(*parts)
        count = sum(piece.end - piece.first for piece in parts[0])
        if count <= 0:
            raise self.no_part(builder, self.split[0])
        return count

    def no_part(self, builder: Any, split: str) -> BadInput:
        """The error for a split that does not exist or is empty."""
        parts = list(builder.info.splits) or sorted(SIZES.get(builder.name, ()))
        rule = f"must name parts that have examples; the data set has {parts}"
        return BadInput(f"Tfds.split {rule}, not {split!r}")

    def names(self, features: Any) -> dict[str, str]:
        """Maps each feature that is read to its name here; the image comes first."""
        from tensorflow_datasets.core.features import Image

        for name, _ in self.rename:
            rule = f"must name features ({did_you_mean(name, features)})"
            require(name in features, self, "rename", rule, name)
        renamed = {"image": "inputs", **dict(self.rename)}
        names = {
            name: renamed.get(name, name) for name, kind in features.items() if is_scalar(kind)
        }
        images = [name for name, kind in features.items() if isinstance(kind, Image)]
        image = [name for name in images if renamed.get(name, name) == "inputs"]
        if len(image) != 1 or "inputs" in names.values():
            raise BadInput(
                f"{self.name!r} must have one image called 'inputs'; its images are {images}, "
                "so name one as in rename=(('picture', 'inputs'),)"
            )
        kind = features[image[0]]
        if kind.np_dtype != np.uint8 or kind.shape[-1] not in MODES:
            raise BadInput(f"{self.name!r} must have images of 8 bits, not {kind}")
        distinct = len(set(names.values())) == len(names)
        require(distinct, self, "rename", "must not give one name to two features", self.rename)
        return {image[0]: "inputs", **names}

    def read(self, builder: Any, split: str, names: dict[str, str]) -> dict[str, list]:
        """Lists of the values of a split by feature; images are arrays `[H, W, C]`."""
        image = next(iter(names))
        channels = builder.info.features[image].shape[-1]
        values = {name: [] for name in names}
        for example in self.source(builder, split, image):
            for name, rows in values.items():
                rows.append(example[name])
            rows = values[image]
            where = f"image {len(rows)} of {self.name!r}, {split!r},"
            rows[-1] = decode_image(io.BytesIO(rows[-1]), channels, self.size, where)
        return values

    def source(self, builder: Any, split: str, image: str) -> Any:
        """The examples of a split, read lazily; images remain encoded."""
        try:
            return encoded_images(builder, split, image)
        except NotImplementedError as error:
            raise BadInput(
                f"{self.name!r} in {self.data_dir} is prepared as "
                f"{builder.info.file_format.value}, which has no random access: "
                "call mtl_jax.data.prepare with another data_dir"
            ) from error
        except ValueError as error:
            raise self.no_part(builder, split) from error

    def require_one_size(self, parts: list[dict[str, list]]) -> None:
        """Checks that images can be stacked."""
        image = next(iter(parts[0]))
        sizes = sorted({array.shape[:2] for part in parts for array in part[image]})
        rule = f"is needed, since {self.name!r} has images of {len(sizes)} sizes, as {sizes[:4]}"
        require(len(sizes) == 1, self, "size", rule, self.size)


def prepare(name: str, data_dir: str) -> None:
    """Downloads a data set of TensorFlow Datasets and prepares it as ArrayRecord.

    Does nothing if the data set is already prepared. Requires network access and, for most data
    sets, TensorFlow, which is not needed to read them afterwards.

    Args:
      name: TFDS name.
      data_dir: directory to write to.

    Raises:
      BadInput: for an unknown data set, one that exists in another format, or one that requires
        TensorFlow if that is not installed.

    Example:
      >>> from mtl_jax import data
      >>> data.prepare("cifar10", "~/tensorflow_datasets")  # doctest: +SKIP
    """
    builder = open_builder(name, data_dir, file_format="array_record")
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise tensorflow_missing(name, error) from error


def are_strings(value: Any) -> bool:
    """Whether a value is a tuple of strings."""
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
