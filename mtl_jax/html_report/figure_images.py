"""The figures of a page, as images within it."""

import base64
import io
import pathlib
from typing import NamedTuple

# The figures of `mtl_jax.report.figures.draw` but for the curves, which are interactive here, and
# those of toy experiments.
CAPTIONS = {
    "gains": "Test gain of each row over the single-task rows, with 95 % intervals",
    "effects": "Effects of the factors of the design, with 95 % intervals",
    "tradeoff": "Trade-off between tasks: each row's test metrics against each other",
    "balance": "Weights of the tasks over training",
    "affinity": "Cosine similarity of the gradients of each pair of tasks",
    "pseudo_labels": "Pseudo-labels over training: how many are used, and how many are right",
    "pseudo_label_classes": "Recall and frequency of each class among the pseudo-labels over training",
    "confusion": "Confusion matrices by task and row, on test data",
    "calibration": "Calibration: accuracy against confidence, on test data",
    "embedding": "Features of test examples in the plane, by class and domain",
    "mistakes": "The worst mistakes on test data",
    "experts": "Use of experts by task",
    "attention": "Correlation of each task's attention with that of the other tasks, by stage",
    "boundaries": "Decision boundaries",
    "detections": "Predicted and true boxes on test images",
    "paths": "Trajectories from each start, by row",
    "maps": "Predicted and true maps of test images",
}
QUALITY = 90
COLORS = 256
MAX_ERROR = 1.0  # Mean of a channel, of 255, above which a picture needs more colors.


class FigureImage(NamedTuple):
    """A figure."""

    name: str
    caption: str
    url: str  # contains the image
    width: int  # pixels
    height: int


def figure_images(root: pathlib.Path) -> list[FigureImage]:
    """The figures that are in a folder."""
    paths = {name: root / f"{name}.png" for name in CAPTIONS}
    return [image(name, path) for name, path in paths.items() if path.is_file()]


def image(name: str, path: pathlib.Path) -> FigureImage:
    """A figure as WebP, the smallest of a lossless one, one of 256 colors and a lossy one."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    files = [encode(picture, lossless=True), encode(picture, quality=QUALITY)]
    reduced = reduce_colors(picture)
    if reduced is not None:
        files.append(encode(reduced, lossless=True))
    url = f"data:image/webp;base64,{base64.b64encode(min(files, key=len)).decode()}"
    return FigureImage(name, CAPTIONS[name], url, *picture.size)


def reduce_colors(picture):
    """A picture in 256 colors, which makes a plot half as large; None if it needs more."""
    from PIL import Image, ImageChops, ImageStat

    reduced = picture.quantize(COLORS, dither=Image.Dither.NONE).convert("RGB")
    errors = ImageStat.Stat(ImageChops.difference(picture, reduced)).mean
    return reduced if max(errors) <= MAX_ERROR else None


def encode(picture, **options) -> bytes:
    """A picture as WebP."""
    file = io.BytesIO()
    picture.save(file, "WEBP", **options)
    return file.getvalue()
