"""Trains CamVid's segmentation in plain PyTorch, as long as a row of experiments/camvid.py.

    python tests/benchmarks/camvid_torch.py data/camvid

An independent baseline for the row "segmentation alone": it reads the pictures with Pillow, and
shares no code with the package. The net is the same (ResNet-18 of width 8 without a stride in
its stem, maps at a quarter of the size, a linear classifier of pixels, resized), and so are
Adam, the learning rate, the batches of 8 with random scale, crop and flip, 600 steps, the average
of the parameters and the selection by validation every 150 steps. Prints mean IoU and accuracy
of the test images in percent for each seed.
"""

import argparse
import copy
import math
import pathlib

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

CLASSES, MISSING = 11, 255
HEIGHT, WIDTH = 72, 96
STEPS, BATCH, EVERY, RATE, DECAY = 600, 8, 150, 2e-3, 0.99


def read(root: pathlib.Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images `[N, 3, H, W]` in [0, 1] and classes `[N, H, W]`, 255 where there is none."""
    images, maps = [], []
    for path in sorted((root / part).glob("*.[jp][pn]g")):
        picture = Image.open(path).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        labels = Image.open(root / f"{part}annot" / f"{path.stem}.png")
        images.append(np.asarray(picture))
        maps.append(np.asarray(labels.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)))
    classes = torch.from_numpy(np.stack(maps)).long()
    classes[classes >= CLASSES] = MISSING
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255, classes


def conv(old: int, new: int, size: int, stride: int = 1, rate: int = 1) -> nn.Sequential:
    """A convolution and its norm."""
    pad = rate * (size // 2)
    layer = nn.Conv2d(old, new, size, stride, pad, dilation=rate, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(layer, nn.BatchNorm2d(new))


class Block(nn.Module):
    """Two convolutions and a skip."""

    def __init__(self, old: int, new: int, stride: int, rates: tuple[int, int]):
        super().__init__()
        self.first = conv(old, new, 3, stride, rates[0])
        self.second = conv(new, new, 3, 1, rates[1])
        self.skip = nn.Identity() if old == new and stride == 1 else conv(old, new, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.skip(x) + self.second(functional.relu(self.first(x))))


def net(width: int = 8) -> nn.Sequential:
    """ResNet-18 whose last map is a quarter of the image, and a classifier of its pixels."""
    layers = [conv(3, width, 3), nn.ReLU()]
    old = width
    for new, stride, rates in (
        (width, 1, (1, 1)), (2 * width, 2, (1, 1)), (4 * width, 2, (1, 1)), (8 * width, 1, (1, 2)),
    ):  # fmt: skip
        layers += [Block(old, new, stride, rates), Block(new, new, 1, (rates[1], rates[1]))]
        old = new
    return nn.Sequential(*layers, nn.Conv2d(old, CLASSES, 1))


def predict(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Logits of every pixel."""
    return functional.interpolate(model(x), (HEIGHT, WIDTH), mode="bilinear", align_corners=False)


def move(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An image and its map, scaled, cropped and flipped at random."""
    scale = (1.0, 1.2, 1.5)[torch.randint(3, ()).item()]
    high, wide = round(HEIGHT / scale), round(WIDTH / scale)
    top = torch.randint(HEIGHT - high + 1, ()).item()
    left = torch.randint(WIDTH - wide + 1, ()).item()
    x, y = (each[..., top : top + high, left : left + wide] for each in (x, y))
    x = functional.interpolate(x[None], (HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0]
    y = functional.interpolate(y[None, None].float(), (HEIGHT, WIDTH), mode="nearest")[0, 0].long()
    return (x.flip(-1), y.flip(-1)) if torch.rand(()) < 0.5 else (x, y)


@torch.no_grad()
def scores(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Mean IoU over the classes that there are, and accuracy, in percent."""
    model.eval()
    counts = torch.zeros(CLASSES, CLASSES)
    for images, classes in zip(x.split(32), y.split(32), strict=True):
        known = classes != MISSING
        pairs = classes[known] * CLASSES + predict(model, images).argmax(1)[known]
        counts += torch.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    model.train()
    hits, union = counts.diag(), counts.sum(0) + counts.sum(1) - counts.diag()
    iou = hits[union > 0] / union[union > 0]
    return 100 * iou.mean().item(), 100 * (hits.sum() / counts.sum()).item()


def train(parts: dict, seed: int) -> tuple[float, float]:
    """The test scores of the parameters that validation selects."""
    torch.manual_seed(seed)
    model = net()
    average = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    images, maps = parts["train"]
    order: list[int] = []
    best = (-1.0, (0.0, 0.0))
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * math.cos(math.pi * 7 / 16 * step / STEPS)
        if len(order) < BATCH:
            order += torch.randperm(len(images)).tolist()
        batch = [move(images[i], maps[i]) for i in order[:BATCH]]
        order = order[BATCH:]
        x, y = (torch.stack(each) for each in zip(*batch, strict=True))
        loss = functional.cross_entropy(predict(model, x), y, ignore_index=MISSING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            state = model.state_dict()
            for name, value in average.state_dict().items():
                value.copy_(
                    DECAY * value + (1 - DECAY) * state[name]
                    if "running" not in name and value.is_floating_point()
                    else state[name]
                )
        if (step + 1) % EVERY == 0:
            for each in (model, average):
                found = scores(each, *parts["val"])[0]
                best = max(best, (found, scores(each, *parts["test"])))
    return best[1]


def main() -> None:
    """Trains every seed and prints its scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    parts = {part: read(arguments.folder, part) for part in ("train", "val", "test")}
    for seed in range(arguments.seeds):
        iou, accuracy = train(parts, seed)
        print(f"seed {seed}: mean IoU {iou:.1f}, accuracy {accuracy:.1f}", flush=True)


if __name__ == "__main__":
    main()
