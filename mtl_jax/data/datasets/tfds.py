"""A source of data sets prepared by TensorFlow Datasets, read without TensorFlow."""

import dataclasses
import io
from typing import Any

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import BadInput, near, require
from mtl_jax.data.datasets.tfds_sizes import SIZES, require_apart, slices_of
from mtl_jax.data.files.decode_image import MODES, decode, require_size
from mtl_jax.data.files.paths import path_of


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A data set of TensorFlow Datasets, prepared as ArrayRecord (see `prepare`).

    It keeps the image and every single number of an example as a label: integers and truth values
    as int32, others as float32; integers too large for int32, texts and arrays are left out.

    Attributes:
      name: as TFDS has it, such as "cifar10", "cifar10:3.0.2" or "set/config".
      data_dir: where it is prepared.
      split: slices for train, validation and test, joined by plus as "train[:90%]+unlabelled";
        a class of -1 is missing.
      rename: pairs of a feature's name and the name it gets, such as ("label", "digit").
      size: height and width that images are resized to, or None if they all have one size.

    Raises:
      BadInput: for settings of the wrong kind; and from `load` for an unknown data set, one not
        prepared or not as ArrayRecord, a split that is not there, empty or shares examples, an
        unknown feature, no image "image", or images of several sizes and no `size`.
    """

    name: str
    data_dir: str
    split: tuple[str, str, str] = ("train[:90%]", "train[90%:]", "test")
    rename: tuple[tuple[str, str], ...] = ()
    size: tuple[int, int] | None = None

    def __post_init__(self):
        for field in ("name", "data_dir"):
            value = getattr(self, field)
            fine = isinstance(value, str) and bool(value)
            require(fine, self, field, "must be a string", value)
        fine = texts(self.split) and len(self.split) == 3
        require(fine, self, "split", "must be three strings", self.split)
        fine = isinstance(self.rename, tuple)
        fine = fine and all(texts(pair) and len(pair) == 2 for pair in self.rename)
        require(fine, self, "rename", "must be pairs of names", self.rename)
        if self.size is not None:
            require_size(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; one image is read, if it has no fixed size.

        A data set whose size is known (`tfds_sizes`) need not be prepared for this. Labels that
        turn out too large when they are read are among them.
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
            shape = decode(io.BytesIO(first), shape[-1], None, f"an image of {self.name!r}").shape
        found = {"image": jax.ShapeDtypeStruct((count, *shape), np.uint8)}
        for old in list(names)[1:]:  # The first one is the image.
            kind = stacked(np.empty(0, features[old].np_dtype)).dtype
            found[names[old]] = jax.ShapeDtypeStruct((count,), kind)
        return found

    def load(self) -> Splits:
        """Reads the arrays: "image" uint8 `[N, H, W, C]` and each label `[N]`."""
        builder = self.builder()
        names = self.names(builder.info.features)
        self.count(builder)
        parts = [self.read(builder, split, names) for split in self.split]
        self.require_one_size(parts)
        kept = [old for old in names if all(fits(part[old]) for part in parts)]
        return Splits(*({names[old]: stacked(part[old]) for old in kept} for part in parts))

    def builder(self) -> Any:
        """The builder of the data set, which must be prepared."""
        builder = open_builder(self.name, self.data_dir)
        if not builder.info.splits:
            raise self.not_prepared()
        return builder

    def not_prepared(self) -> BadInput:
        """What is raised for a data set that is not prepared: says how to prepare it."""
        return BadInput(
            f"{self.name!r} is not prepared in {self.data_dir}: "
            f"call mtl_jax.data.prepare({self.name!r}, {self.data_dir!r}) once"
        )

    def count(self, builder: Any) -> int:
        """How many examples the training part has; no two parts may share one."""
        found = []
        for split in self.split:
            try:
                found.append(slices_of(builder, split))
            except ValueError as error:
                raise self.no_part(builder, split) from error
        if None in found:
            raise self.not_prepared()
        require_apart(*found)
        count = sum(one.end - one.first for one in found[0])
        if count <= 0:
            raise self.no_part(builder, self.split[0])
        return count

    def no_part(self, builder: Any, split: str) -> BadInput:
        """What is raised for a split that is not there or is empty."""
        parts = list(builder.info.splits) or sorted(SIZES.get(builder.name, ()))
        rule = f"must name parts that have examples; the data set has {parts}"
        return BadInput(f"Tfds.split {rule}, not {split!r}")

    def names(self, features: Any) -> dict[str, str]:
        """What each feature that is kept is called here."""
        from tensorflow_datasets.core.features import Image

        for old, _ in self.rename:
            rule = f"must name features ({near(old, features)})"
            require(old in features, self, "rename", rule, old)
        changed = dict(self.rename)
        names = {old: changed.get(old, old) for old, kind in features.items() if single(kind)}
        images = [old for old, kind in features.items() if isinstance(kind, Image)]
        image = [old for old in images if changed.get(old, old) == "image"]
        if len(image) != 1 or "image" in names.values():
            raise BadInput(
                f"{self.name!r} must have one image called 'image'; its images are {images}, "
                "so name one as in rename=(('picture', 'image'),)"
            )
        kind = features[image[0]]
        if kind.np_dtype != np.uint8 or kind.shape[-1] not in MODES:
            raise BadInput(f"{self.name!r} must have images of 8 bits, not {kind}")
        alone = len(set(names.values())) == len(names)
        require(alone, self, "rename", "must not give one name to two features", self.rename)
        return {image[0]: "image", **names}

    def read(self, builder: Any, split: str, names: dict[str, str]) -> dict[str, list]:
        """Lists of the values of a split by feature; images are arrays `[H, W, C]`."""
        image = next(iter(names))
        channels = builder.info.features[image].shape[-1]
        values = {old: [] for old in names}
        for example in self.source(builder, split, image):
            for old, rows in values.items():
                rows.append(example[old])
            rows = values[image]
            where = f"image {len(rows)} of {self.name!r}, {split!r},"
            rows[-1] = decode(io.BytesIO(rows[-1]), channels, self.size, where)
        return values

    def source(self, builder: Any, split: str, image: str) -> Any:
        """The examples of a split, not yet read; images stay encoded."""
        import tensorflow_datasets as tfds

        # Pillow decodes below: TFDS would do the same, and log advice to install OpenCV.
        decoders = {image: tfds.decode.SkipDecoding()}
        try:
            return builder.as_data_source(split, decoders=decoders)
        except NotImplementedError as error:
            raise BadInput(
                f"{self.name!r} in {self.data_dir} is prepared as "
                f"{builder.info.file_format.value}, which has no random access: "
                "call mtl_jax.data.prepare with another data_dir"
            ) from error
        except ValueError as error:
            raise self.no_part(builder, split) from error

    def require_one_size(self, parts: list[dict[str, list]]) -> None:
        """Requires that images can be stacked."""
        image = next(iter(parts[0]))
        sizes = sorted({array.shape[:2] for part in parts for array in part[image]})
        rule = f"is needed, since {self.name!r} has images of {len(sizes)} sizes, as {sizes[:4]}"
        require(len(sizes) == 1, self, "size", rule, self.size)


def prepare(name: str, data_dir: str) -> None:
    """Downloads a data set of TensorFlow Datasets and prepares it as ArrayRecord.

    Nothing is done if it is prepared already. Needs the network, and for most data sets
    TensorFlow, which is not needed to read them afterwards.

    Args:
      name: as TFDS has it.
      data_dir: where it is put.

    Raises:
      BadInput: for an unknown data set, if it is there in another format, or if it needs
        TensorFlow and that is not installed.
    """
    builder = open_builder(name, data_dir, file_format="array_record")
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise tensorflow_missing(name, error) from error


def open_builder(name: str, data_dir: str, **settings: str) -> Any:
    """The TFDS builder of a data set, prepared or not."""
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=str(path_of(data_dir)), **settings)
    except ImportError as error:
        raise tensorflow_missing(name, error) from error
    except (ValueError, AssertionError) as error:  # Unknown, malformed, of another version.
        text = f"{name!r} cannot be opened in {data_dir}: {error}"
        raise BadInput(text.partition("\n")[0]) from error


def tensorflow_missing(name: str, error: ImportError) -> ImportError | BadInput:
    """What to raise for a failed import: says how to get TensorFlow, if it is that."""
    if "No module named 'tensorflow'" not in f"{error} {error.__cause__}":
        return error
    return BadInput(f"{name!r} needs TensorFlow for this: pip install mtl_jax[tensorflow]")


def texts(value: Any) -> bool:
    """Whether a value is a tuple of strings."""
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def single(kind: Any) -> bool:
    """Whether a TFDS feature is a single number or truth value."""
    return kind.shape == () and np.dtype(kind.np_dtype).kind in "biuf"


def fits(values: list) -> bool:
    """Whether values are no whole numbers that int32 cannot hold."""
    array, bounds = np.asarray(values), np.iinfo(np.int32)
    return array.dtype.kind == "f" or (bounds.min <= array.min() and array.max() <= bounds.max)


def stacked(values: list) -> np.ndarray:
    """Images as uint8, whole numbers and truth values as int32, other numbers as float32."""
    array = np.asarray(values)
    if array.ndim > 1:
        return array
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
