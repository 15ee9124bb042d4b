"""Data sets as TFDS' own builders have them, with made up pictures."""

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


class StandIn(tfds.builder_cls("cifar10"), skip_registration=True):
    """CIFAR-10 as its own builder has it, with made up pictures."""

    name = "cifar10"

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 40), "test": self._generate_examples(40, 56)}

    def _generate_examples(self, first, last):
        for i in range(first, last):
            image = Image.fromarray(np.full((32, 32, 3), (i, 2 * i, 255), np.uint8))
            yield i, {"image": image, "label": i % 10, "id": str(i)}


class Unlabelled(tfds.builder_cls("stl10"), skip_registration=True):
    """STL-10 as its own builder has it, with made up pictures; most have no class."""

    name = "stl10"

    def _split_generators(self, dl_manager):
        parts = {"train": (0, 20), "test": (20, 30), "unlabelled": (30, 80)}
        return {name: self._generate_examples(name, *ends) for name, ends in parts.items()}

    def _generate_examples(self, part, first, last):
        for i in range(first, last):
            image = Image.fromarray(np.full((96, 96, 3), i, np.uint8))
            yield i, {"image": image, "label": -1 if part == "unlabelled" else i % 10}
