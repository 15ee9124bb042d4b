"""Time series of the UCR and UEA archives, three of them from the package aeon."""

import dataclasses
import importlib.util
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, did_you_mean, require, require_int, require_number
from mtl_jax.data.files.duplicates import require_distinct_files, warn_of_repeats
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.ts import LabelledSeries, read_ts
from mtl_jax.data.random_split import generator, stratified_split


class Bundled(NamedTuple):
    """Metadata of a data set included in the package."""

    file: str  # prefix before _TRAIN.ts
    train: int  # number of series in the archive's training part
    steps: int  # T
    channels: int  # C


BUNDLED = {
    "JapaneseVowels": Bundled("JapaneseVowels_eq", 270, 25, 12),  # resampled to one length
    "OSULeaf": Bundled("OSULeaf", 200, 427, 1),
    "ACSF1": Bundled("ACSF1", 100, 1460, 1),
}


@dataclasses.dataclass(frozen=True)
class UCR(DataSource):
    """Labelled series of equal length: "inputs" `[N, T, C]` float32, "label" int32 `[N]`.

    Each channel has mean 0 and variance 1 over all series and time steps of the training part.
    Train and test are the archive's parts; the validation part is sampled from its training part,
    stratified by class. Without a path, the files of the package `aeon` are used; none of its code
    is run, so `pip install --no-deps aeon` is sufficient. It includes

    | name | train | test | T | C | classes |
    |---|---|---|---|---|---|
    | JapaneseVowels | 270 | 370 | 25 | 12 | 9 speakers |
    | OSULeaf | 200 | 242 | 427 | 1 | 6 leaves' outlines |
    | ACSF1 | 100 | 100 | 1460 | 1 | 10 home appliances |

    Attributes:
      name: name of the data set, one of these; or of the files in the folder.
      path: folder with `<name>_TRAIN.ts` and `<name>_TEST.ts`, as in the archives; None uses the
        package.
      validation: fraction of the training part used for validation.
      seed: seed of the validation part.

    Raises:
      BadInput: for an unknown name without a path, a fraction outside (0, 1) or a negative seed;
        and from `load` (and with a path from `shapes`) if the package is not installed, a file
        does not exist or cannot be read, the parts are inconsistent or the same file, or the
        fraction leaves a part empty. Series that occur in two parts cause a `DataWarning`.

    Reference: Dau et al., The UCR Time Series Archive, 2018 (https://arxiv.org/abs/1810.07758);
      Bagnall et al., The UEA Multivariate Time Series Classification Archive, 2018
      (https://arxiv.org/abs/1811.00075). JapaneseVowels: Kudo et al., Multidimensional Curve
      Classification Using Passing-Through Regions, Pattern Recognition Letters 1999.

    Example:
      >>> from mtl_jax import data
      >>> data.UCR("OSULeaf").shapes()["inputs"].shape
      (160, 427, 1)
    """

    name: str = "JapaneseVowels"
    path: str | None = None
    validation: float = 0.2
    seed: int = 0

    def __post_init__(self):
        require(isinstance(self.name, str), self, "name", "must be a string", self.name)
        if self.path is None:
            is_bundled = self.name in BUNDLED
            rule = f"must be one that aeon includes ({did_you_mean(self.name, BUNDLED)}), or have a path"
            require(is_bundled, self, "name", rule, self.name)
        else:
            require(isinstance(self.path, str), self, "path", "must be a string or None", self.path)
        require_number(self, validation=(0.0, 1.0))
        valid = 0.0 < self.validation < 1.0
        require(valid, self, "validation", "must lie between 0 and 1", self.validation)
        require_int(self, seed=0)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; the package's files are not read."""
        if self.path is None:
            _, count, *shape = BUNDLED[self.name]
        else:
            count, *shape = self.read("TRAIN")[0].shape
        count -= round(count * self.validation)
        return {
            "inputs": jax.ShapeDtypeStruct((count, *shape), np.float32),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of "label", in the order of their integers."""
        return {"label": tuple(self.read("TRAIN")[2])}

    def load(self) -> Splits:
        """Reads, splits and standardises the series."""
        series, labels, classes = self.read("TRAIN")
        test, test_labels, test_classes = self.read("TEST")
        if (series.shape[1:], classes) != (test.shape[1:], test_classes):
            raise BadInput(f"UCR: training and test part of {self.name} must fit together")
        require_distinct_files([self.file("TRAIN"), self.file("TEST")])
        rng = generator(self.seed, "ucr")
        train, validation, _ = stratified_split(labels, self.validation, 0.0, rng)
        rule = f"must leave a part to train on and one to validate, of {len(labels)}"
        valid = len(train) > 0 and len(validation) > 0
        require(valid, self, "validation", rule, self.validation)
        parts = {"train": series[train], "validation": series[validation], "test": test}
        series_bytes = {name: [row.tobytes() for row in rows] for name, rows in parts.items()}
        warn_of_repeats(self, "series", series_bytes, user_split=False)
        mean = series[train].mean((0, 1), np.float64)
        std = series[train].std((0, 1), np.float64)
        # A constant channel remains 0.
        std = np.where(std > 0.0, std, 1.0)

        def part(series: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
            return {"inputs": ((series - mean) / std).astype(np.float32), "label": labels}

        splits = (part(series[rows], labels[rows]) for rows in (train, validation))
        return Splits(*splits, part(test, test_labels))

    def read(self, part: str) -> LabelledSeries:
        """Series, labels and classes of one of the archive's parts."""
        return read_ts(self.file(part))

    def file(self, part: str) -> pathlib.Path:
        """Path of one of the archive's parts."""
        if self.path is not None:
            return expand_path(self.path) / f"{self.name}_{part}.ts"
        folder = aeon_directory() / "datasets" / "data" / self.name
        return folder / f"{BUNDLED[self.name].file}_{part}.ts"


def aeon_directory() -> pathlib.Path:
    """Directory of aeon; importing it would require numba."""
    spec = importlib.util.find_spec("aeon")
    if spec is None or spec.origin is None:
        raise BadInput("UCR needs the package aeon: pip install --no-deps aeon, or give a path")
    return pathlib.Path(spec.origin).parent
