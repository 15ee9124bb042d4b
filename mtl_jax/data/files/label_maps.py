"""Label maps in image files: a class or a number for each pixel."""

import abc
import dataclasses
import pathlib

import numpy as np

from mtl_jax.core.validation import BadInput, few, require, require_number
from mtl_jax.data.files.decode_image import readable_formats

Color = tuple[int, int, int]  # Red, green and blue, each 0 to 255.
INDEXED = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")  # Pillow's modes of one integer a pixel


@dataclasses.dataclass(frozen=True)
class LabelMap(abc.ABC):
    """A folder of images whose pixels are labels, for a `DenseFolder`.

    Attributes:
      name: name of the label.
      folder: folder of the maps in that of the source; "{part}" stands for the part's name.
      ending: what a map's file name has after its image's name, before the suffix.
      optional: whether images may lack a map; all of their pixels are then missing.

    Raises:
      BadInput: for a name that is empty or "inputs", or a setting of the wrong type.
    """

    name: str
    folder: str = "labels/{part}"
    ending: str = ""
    optional: bool = False

    def __post_init__(self):
        for field in ("name", "folder", "ending"):
            value = getattr(self, field)
            require(isinstance(value, str), self, field, "must be a string", value)
        rule = 'must not be empty or "inputs"'
        require(self.name not in ("", "inputs"), self, "name", rule, self.name)
        valid = isinstance(self.optional, bool)
        require(valid, self, "optional", "must be True or False", self.optional)

    @abc.abstractmethod
    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Labels of images `[N, H, W]`, all missing."""

    @abc.abstractmethod
    def read(self, file: str | pathlib.Path, size: tuple[int, int]) -> np.ndarray:
        """Reads the labels of one image, resized by nearest neighbours."""


@dataclasses.dataclass(frozen=True)
class ClassMap(LabelMap):
    """A class for each pixel: int32 `[N, H, W]`, -1 where ignored.

    Maps are images of one channel (grayscale or with a palette) whose values are the classes, or
    are translated by `mapping`; or color images, with the colors in `mapping`.

    Attributes:
      name: as in `LabelMap`, like `folder`, `ending` and `optional`.
      classes: names of the classes, if they are to be checked and shown.
      ignore: values or colors of pixels without a class.
      mapping: pairs of a value or a color and its class; () if values are the classes. It comes
        before `ignore`, so that `ignore=tuple(range(256))` ignores all values that it lacks.

    Raises:
      BadInput: as in `LabelMap`; for values that are no integers of at least 0 or colors, a value
        mapped twice, or mapped to a class beyond the names; and from `load`, naming the file, for a
        value without a class, or a color image without colors in `mapping`.

    Example:
      >>> from mtl_jax import data
      >>> label = data.ClassMap("segmentation", mapping=(((128, 64, 128), 0), ((0, 0, 142), 1)))
      >>> label.folder
      'labels/{part}'
    """

    classes: tuple[str, ...] = ()
    ignore: tuple[int | Color, ...] = (255,)
    mapping: tuple[tuple[int | Color, int], ...] = ()

    def __post_init__(self):
        super().__post_init__()
        valid = isinstance(self.classes, tuple) and all(isinstance(c, str) for c in self.classes)
        require(valid, self, "classes", "must be a tuple of names", self.classes)
        valid = isinstance(self.ignore, tuple) and all(map(is_pixel, self.ignore))
        require(valid, self, "ignore", "must be a tuple of pixel values or colors", self.ignore)
        valid = isinstance(self.mapping, tuple) and all(map(is_pair, self.mapping))
        rule = "must be pairs of a pixel value or a color and a class"
        require(valid, self, "mapping", rule, self.mapping)
        pixels = [pixel for pixel, _ in self.mapping]
        rule = "must hold each value once, all of them integers or all colors"
        one_kind = len({isinstance(pixel, tuple) for pixel in pixels}) <= 1
        require(one_kind and len({*pixels}) == len(pixels), self, "mapping", rule, pixels)
        for _, label in self.mapping:
            valid = not self.classes or label < len(self.classes)
            rule = f"must map to the {len(self.classes)} classes"
            require(valid, self, "mapping", rule, label)

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Labels int32 `[N, H, W]`, all -1."""
        return np.full(shape, -1, np.int32)

    def read(self, file: str | pathlib.Path, size: tuple[int, int]) -> np.ndarray:
        """Classes of the pixels, int32 `[H, W]`.

        Raises:
          BadInput: naming the file, for a pixel without a class.
        """
        colors = any(isinstance(pixel, tuple) for pixel, _ in self.mapping)
        values, inverse = np.unique(read_pixels(file, size, colors), return_inverse=True)
        classes = {pack(pixel): -1 for pixel in self.ignore if isinstance(pixel, tuple) == colors}
        if self.mapping:
            classes |= {pack(pixel): label for pixel, label in self.mapping}
        else:
            count = len(self.classes)
            own = (v for v in values.tolist() if v >= 0 and (not count or v < count))
            classes = {value: value for value in own} | classes
        unknown = [value for value in values.tolist() if value not in classes]
        if unknown:
            names = few([str(unpack(v) if colors else v) for v in unknown], 5)
            rule = "must be among the classes, in mapping or in ignore"
            raise BadInput(f"{file}: pixel values of {self.name!r} {rule}, not {names}")
        table = np.array([classes[value] for value in values.tolist()], np.int32)
        return table[inverse].reshape(size)


@dataclasses.dataclass(frozen=True)
class NumberMap(LabelMap):
    """A number for each pixel, such as depth: float32 `[N, H, W, 1]`, NaN where missing.

    Maps are images of one channel, of up to 32 bits or floats; a number is `scale` times the value.

    Attributes:
      name: as in `LabelMap`, like `folder`, `ending` and `optional`.
      scale: what a value of 1 stands for, such as 0.001 for depth in millimetres to give metres.
      missing: values that mean missing.

    Raises:
      BadInput: as in `LabelMap`; for a scale that is no finite number; and from `load`, naming the
        file, for a color image.

    Example:
      >>> from mtl_jax import data
      >>> data.NumberMap("depth", "depth/{part}", scale=0.001).missing
      (0,)
    """

    scale: float = 1.0
    missing: tuple[int | float, ...] = (0,)

    def __post_init__(self):
        super().__post_init__()
        require_number(self, scale=(-np.inf, np.inf))
        valid = isinstance(self.missing, tuple)
        valid = valid and all(isinstance(v, int | float) for v in self.missing)
        require(valid, self, "missing", "must be a tuple of numbers", self.missing)

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Labels float32 `[N, H, W, 1]`, all NaN."""
        return np.full((*shape, 1), np.nan, np.float32)

    def read(self, file: str | pathlib.Path, size: tuple[int, int]) -> np.ndarray:
        """Numbers of the pixels, float32 `[H, W, 1]`."""
        values = read_pixels(file, size)
        numbers = (values * self.scale).astype(np.float32)
        return np.where(np.isin(values, self.missing), np.float32(np.nan), numbers)[..., None]


def read_pixels(
    file: str | pathlib.Path, size: tuple[int, int], colors: bool = False
) -> np.ndarray:
    """Pixels of an image `[H, W]`, resized by nearest neighbours; a color is one integer.

    Raises:
      BadInput: naming the file, if it cannot be read, or has several channels unless `colors`.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=readable_formats()) as image:
            image.load()
            if image.size != size[::-1]:
                image = image.resize(size[::-1], Image.Resampling.NEAREST)
            image = image.convert("RGB") if colors else image
            mode, pixels = image.mode, np.asarray(image)
    except Exception as error:  # Pillow's decoders raise various types.
        raise BadInput(f"{file} cannot be read as a label map: {error}") from error
    if colors:
        return pixels.astype(np.int64) @ np.array([65536, 256, 1])
    if mode not in (*INDEXED, "F"):
        rule = f"must have one channel, not {mode}; the classes of colors are given by mapping"
        raise BadInput(f"{file}: a label map {rule}")
    return pixels if mode == "F" else pixels.astype(np.int32)


def is_pixel(value: object) -> bool:
    """Whether a value is an integer of at least 0, or a color."""
    if isinstance(value, tuple):
        return len(value) == 3 and all(type(v) is int and 0 <= v <= 255 for v in value)
    return type(value) is int and value >= 0


def is_pair(value: object) -> bool:
    """Whether a value is a pair of a pixel and a class, or -1."""
    pair = isinstance(value, tuple) and len(value) == 2
    return pair and is_pixel(value[0]) and type(value[1]) is int and value[1] >= -1


def pack(pixel: int | Color) -> int:
    """A value or a color as one integer."""
    return pixel if isinstance(pixel, int) else (pixel[0] << 16) + (pixel[1] << 8) + pixel[2]


def unpack(value: int) -> Color:
    """The color of an integer."""
    return value >> 16, value >> 8 & 255, value & 255
