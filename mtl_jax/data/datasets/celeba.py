"""CelebA: faces with forty attributes."""

import dataclasses
import io
from typing import Any

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.datasets.tfds_builder import open_builder
from mtl_jax.data.datasets.tfds_sizes import SIZES
from mtl_jax.data.files.decode_image import decode_image, require_size

NAME = "celeb_a"
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup",
    "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns",
    "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class CelebA(DataSource):
    """CelebA, aligned and cropped, as TFDS has it: "inputs" uint8 `[N, H, W, 3]`, and attributes.

    162,770 training, 19,867 validation and 19,962 test images of 218 x 178, resized as a whole. Each
    of the 40 attributes, such as "Smiling", is a label int32 `[N]` of 0 and 1; or all are one.

    Attributes:
      data_dir: directory of the data that `prepare("celeb_a", data_dir)` has written.
      size: height and width that images are resized to, bilinearly; all images take
        `202,599 * 3 * H * W` bytes.
      joint: name of one label float32 `[N, 40]` in place of the 40, in the order of `ATTRIBUTES`;
        None for the 40.

    Raises:
      BadInput: for a setting of the wrong type; and from `load` if the data are not prepared, or an
        image is damaged.

    Reference: Liu et al., Deep Learning Face Attributes in the Wild, ICCV 2015
      (https://arxiv.org/abs/1411.7766).

    Example:
      >>> from mtl_jax import data
      >>> data.CelebA("~/tensorflow_datasets").shapes()["Smiling"].shape
      (162770,)
    """

    data_dir: str
    size: tuple[int, int] = (64, 64)
    joint: str | None = None

    def __post_init__(self):
        valid = isinstance(self.data_dir, str) and bool(self.data_dir)
        require(valid, self, "data_dir", "must be a string", self.data_dir)
        require_size(self)
        valid = self.joint is None or (
            isinstance(self.joint, str) and self.joint not in ("", "inputs")
        )
        require(valid, self, "joint", 'must be a name other than "inputs", or None', self.joint)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; the data need not be prepared."""
        splits = open_builder(NAME, self.data_dir).info.splits
        count = splits["train"].num_examples if splits else SIZES[NAME]["train"]
        image = jax.ShapeDtypeStruct((count, *self.size, 3), np.uint8)
        if self.joint is not None:
            joint = jax.ShapeDtypeStruct((count, len(ATTRIBUTES)), np.float32)
            return {"inputs": image, self.joint: joint}
        label = jax.ShapeDtypeStruct((count,), np.int32)
        return {"inputs": image, **dict.fromkeys(ATTRIBUTES, label)}

    def load(self) -> Splits:
        """Reads the images and the attributes."""
        builder = open_builder(NAME, self.data_dir)
        if not builder.info.splits:
            call = f"mtl_jax.data.prepare({NAME!r}, {self.data_dir!r})"
            raise BadInput(f"CelebA is not prepared in {self.data_dir}: call {call} once")
        return Splits(*(self.read_part(builder, part) for part in Splits._fields))

    def read_part(self, builder: Any, part: str) -> dict[str, np.ndarray]:
        """The arrays of one part."""
        import tensorflow_datasets as tfds

        decoders = {"image": tfds.decode.SkipDecoding()}
        examples = builder.as_data_source(part, decoders=decoders)
        images = np.empty((len(examples), *self.size, 3), np.uint8)
        labels = np.empty((len(examples), len(ATTRIBUTES)), np.int32)
        for i, example in enumerate(examples):
            where = f"image {i + 1} of {NAME!r}, {part!r},"
            images[i] = decode_image(io.BytesIO(example["image"]), 3, self.size, where)
            labels[i] = [example["attributes"][name] for name in ATTRIBUTES]
        if self.joint is not None:
            return {"inputs": images, self.joint: labels.astype(np.float32)}
        return {"inputs": images, **dict(zip(ATTRIBUTES, labels.T.copy(), strict=True))}
