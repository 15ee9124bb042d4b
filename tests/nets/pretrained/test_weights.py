"""Pretrained weights as data: loading is whole or not at all, and the settings are a text."""

import hashlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import nets
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import pretrained
from mtl_jax.nets.pretrained import TORCHVISION_RESNET, Preprocessing, Pretrained
from tests.nets.pretrained.state_dicts import resnet, saved
from tests.nets.through import QUICK
from tests.small import RUN

SMALL = nets.ResNet(18, small_images=False, width=2)
SHAPE = (32, 32, 3)
TENSORS = resnet()


def loaded(
    folder, tensors=TENSORS, name="model.safetensors", trunk=SMALL, outputs=None, **settings
):
    path = saved(folder, tensors, name)
    return Pretrained(path, TORCHVISION_RESNET, **settings).load(trunk, SHAPE, outputs=outputs)


def refused(folder, *given, **settings):
    with pytest.raises(BadInput) as caught:
        loaded(folder, *given, **settings)
    text = str(caught.value)
    assert text.startswith(f"weights {str(folder / 'model.safetensors')!r}") and "\n" not in text
    return text


def test_trees_are_those_of_the_trunk(tmp_path):
    weights = loaded(tmp_path)
    drawn = jax.eval_shape(
        lambda: SMALL.init(jax.random.key(0), jnp.zeros((1, *SHAPE)), train=False)
    )
    found = {"params": weights.params, "batch_stats": weights.stats}
    assert jax.tree.map(jnp.shape, found) == jax.tree.map(jnp.shape, dict(drawn))
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(weights.head["kernel"], TENSORS["fc.weight"].T)
    np.testing.assert_array_equal(
        weights.stats["stage0"]["BatchNorm_0"]["var"], TENSORS["bn1.running_var"]
    )
    assert weights.preprocessing == pretrained.IMAGENET
    assert not [path for path in leaf_paths(weights) if "preprocessing" in path]


def test_npz_holds_the_same(tmp_path):
    one, other = loaded(tmp_path), loaded(tmp_path, name="model.npz")
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_file_of_another_architecture(tmp_path):
    """Of 34 layers: its first blocks would fit."""
    text = refused(tmp_path, resnet((3, 4, 6, 3)))
    assert " for ResNet: must hold each tensor of the trunk once, by the names of torchv" in text
    assert "missing" not in text and "misshapen" not in text
    assert "; extra: layer1.2.bn1.bias (params/stage1/block2/BatchNorm_0/bias) [2], " in text
    shown = text.count(" (params/") + text.count(" (batch_stats/")
    assert f" and {8 * 2 * (1 + 4) - shown} more" in text  # by hand


def test_a_file_that_lacks_tensors(tmp_path):
    lacking = {"layer2.0.bn1.running_var", "conv1.weight"}
    text = refused(tmp_path, {name: a for name, a in TENSORS.items() if name not in lacking})
    assert text.endswith(
        "ResNet; missing: batch_stats/stage2/block0/BatchNorm_0/var [4], "
        "params/stage0/Conv_0/kernel [7, 7, 3, 2]"
    )


def test_grey_images_and_small_ones_have_another_stem(tmp_path):
    text = refused(tmp_path, trunk=nets.ResNet(18, width=2))
    assert text.endswith(
        "misshapen: conv1.weight (params/stage0/Conv_0/kernel) [7, 7, 3, 2], here [3, 3, 3, 2]"
    )


def test_numbers_that_are_none(tmp_path):
    broken = TENSORS["layer4.1.conv2.weight"].copy()
    broken[3, 2, 1, 0] = np.nan
    text = refused(tmp_path, {**TENSORS, "layer4.1.conv2.weight": broken})
    assert text.endswith("; not finite: layer4.1.conv2.weight (params/stage4/block1/Conv_1/kernel)")


def test_another_precision(tmp_path):
    halves = {n: a if a.ndim == 0 else a.astype(np.float16) for n, a in TENSORS.items()}
    text = refused(tmp_path, halves)
    count = len([a for a in halves.values() if a.ndim])
    assert f" and {count - text.count(' float16')} more" in text
    found = loaded(tmp_path, halves, cast=True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), found, loaded(tmp_path))


def test_a_head_of_another_size_is_skipped_only_when_told_so(tmp_path):
    assert loaded(tmp_path, outputs=5).head["bias"].shape == (5,)
    text = refused(tmp_path, outputs=7)
    assert "fc.weight (head/kernel) [16, 5], here [16, 7]" in text
    assert loaded(tmp_path, outputs=7, skip=(r"fc\..*",)).head is None


def test_skip_and_rename(tmp_path):
    odd = {f"module.{name}": array for name, array in TENSORS.items()} | {"extra": np.ones(1)}
    given = {"skip": ("extra",), "rename": ((r"module\.(.*)", r"\1"),)}
    assert refused(tmp_path, odd, rename=given["rename"]).endswith("; extra: extra [1]")
    jax.tree.map(np.testing.assert_array_equal, loaded(tmp_path, odd, **given), loaded(tmp_path))
    assert "skip 'ectra' must match a name" in refused(tmp_path, odd, skip=("ectra",))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "backbone.", "enc/net."]
)
def test_a_prefix_is_named_and_what_takes_it_off(prefix, tmp_path):
    named = {prefix + name: array for name, array in TENSORS.items()}
    text = refused(tmp_path, named | {"step": np.ones(1, np.float32)})
    assert f" for ResNet: {len(TENSORS)} names begin with {prefix!r}: give rename=" in text
    assert len(text.replace(str(tmp_path), "")) < 200
    settings = eval(f"dict({text.split('give ')[1]})")  # as it would be pasted
    found = loaded(tmp_path, named, **settings)
    jax.tree.map(np.testing.assert_array_equal, found, loaded(tmp_path))


def test_two_nets_in_one_file(tmp_path):
    other = {name: array + 1 for name, array in TENSORS.items()}
    both = {f"student.{n}": a for n, a in TENSORS.items()} | {
        f"teacher.{n}": a for n, a in other.items()
    }
    text = refused(tmp_path, both)
    settings = eval(f"dict({text.split('give ')[1].replace(' and ', ', ')})")
    found = loaded(tmp_path, both, **settings)
    jax.tree.map(np.testing.assert_array_equal, found, loaded(tmp_path))


def test_no_prefix_is_named_where_it_would_not_do(tmp_path):
    few = {n: a for n, a in TENSORS.items() if not n.startswith("layer4")}
    odd = {f"head.{n}": a for n, a in TENSORS.items() if n.startswith("layer4.1")}
    assert "names begin" not in refused(tmp_path, few | odd)
    named = {f"module.net.{name}": array for name, array in TENSORS.items()}
    assert "names begin" not in refused(tmp_path, named, rename=((r"module\.(.*)", r"\1"),))


def test_every_refusal_is_short(tmp_path):
    """However many tensors are amiss, and of however many kinds."""
    one = {f"x{n}": a for n, a in TENSORS.items() if n.startswith("layer1")}
    two = {n: a[..., None] for n, a in TENSORS.items() if n.startswith("layer2")}
    three = {n: a.astype(np.int32) for n, a in TENSORS.items() if n.startswith("layer3")}
    four = {n: a.astype(np.float16) for n, a in TENSORS.items() if n.startswith("layer4")}
    text = refused(tmp_path, one | two | three | four)
    for kind in ("missing: ", "extra: ", "misshapen: ", "not floats: ", "of another precision"):
        assert kind in text
    assert text.count(" more") >= 5 and len(text.replace(str(tmp_path), "")) < 700
    assert len(refused(tmp_path, one | TENSORS).replace(str(tmp_path), "")) < 400
    assert len(refused(tmp_path, rename=(("y.*", "z"),)).replace(str(tmp_path), "")) < 400


def test_groups_that_a_pattern_has_not(tmp_path):
    text = refused(tmp_path, rename=(("conv1.*", r"\1"),))
    assert r"rename 'conv1.*' must have the groups of '\\1' (" in text


def test_what_is_drawn_afresh_is_left_out(tmp_path):
    without = {name: array for name, array in TENSORS.items() if name != "conv1.weight"}
    weights = loaded(tmp_path, without, new_params=("params/stage0/Conv_0/.*",))
    assert weights.params["stage0"].keys() == {"BatchNorm_0"}
    assert "extra: conv1.weight" in refused(tmp_path, new_params=("params/stage0/Conv_0/.*",))


def test_hash_of_the_file(tmp_path):
    path = saved(tmp_path, TENSORS)
    found = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    assert loaded(tmp_path, sha256=found).head is not None
    assert f"must have the SHA-256 {64 * 'a'}, not {found}" in refused(tmp_path, sha256=64 * "a")


def test_other_preprocessing(tmp_path):
    own = Preprocessing(32, (0.5,), (0.5,))
    assert loaded(tmp_path, preprocessing=own).preprocessing == own


def test_text_makes_it_again_and_tells_every_setting():
    one = Pretrained("model.npz", TORCHVISION_RESNET, skip=("a",), rename=(("b", "c"),))
    space = {"mtl_jax": FUNCTIONS, **vars(pretrained)}
    again = eval(to_source(one), space)
    assert again == one and hash(again) == hash(one)
    others = [
        Pretrained("model.npz", TORCHVISION_RESNET, skip=("a",), rename=(("b", "d"),)),
        Pretrained("model.npz", TORCHVISION_RESNET, skip=("a",), rename=(("b", "c"),), cast=True),
    ]
    assert len({fingerprint(each) for each in (one, again, *others)}) == 3
    plain = to_source(Pretrained("model.npz", TORCHVISION_RESNET))
    assert not [word for word in ("skip=", "sha256=", "fresh=", "part=") if word in plain]


def test_a_run_that_starts_from_a_file_has_an_identity_by_it():
    plain = RUN.replace(trunk=SMALL)
    names = [
        Pretrained(path, TORCHVISION_RESNET, skip=(r"fc\..*",))
        for path in ("a.npz", "b.npz", "a.npz")
    ]
    found = [
        fingerprint(plain.replace(initialization={"init_from": source}))
        for source in (None, *names)
    ]
    assert found[1] == found[3] and len(set(found)) == 3


class FUNCTIONS:
    """What a text calls `mtl_jax.name`."""

    from mtl_jax.nets.pretrained.names_resnet import fit_resnet
    from mtl_jax.nets.pretrained.transpose import as_is, conv, linear


@pytest.mark.slow
def test_a_step_of_training(tmp_path):
    """Loaded statistics move by a hundredth towards the batch's, and the loss falls."""
    weights = loaded(tmp_path)
    x = jax.random.normal(jax.random.key(0), (4, *SHAPE))
    labels = jnp.array([0, 1, 2, 3])

    def loss(trained, stats):
        params, head = trained
        variables = {"params": params, "batch_stats": stats}
        features, moved = SMALL.apply(variables, x, train=True, mutable=["batch_stats"])
        logits = features @ head["kernel"] + head["bias"][None]
        errors = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return errors.mean(), moved["batch_stats"]

    def step(trained, stats):
        (value, moved), grads = jax.value_and_grad(loss, has_aux=True)(trained, stats)
        return value, jax.tree.map(lambda p, g: p - 0.01 * g, trained, grads), moved

    step = jax.jit(step, compiler_options=QUICK)
    first, trained, moved = step((weights.params, weights.head), weights.stats)
    second, _, _ = step(trained, moved)
    assert np.isfinite(first) and second < first
    kernel = weights.params["stage0"]["Conv_0"]["kernel"]
    seen = jax.lax.conv_general_dilated(
        x, kernel, (2, 2), ((3, 3), (3, 3)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    for part, batch in (("mean", seen.mean((0, 1, 2))), ("var", seen.var((0, 1, 2)))):
        before, after = (s["stage0"]["BatchNorm_0"][part] for s in (weights.stats, moved))
        np.testing.assert_allclose(after, 0.9 * before + 0.1 * batch, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"path": 3}, "Pretrained.path must be a string, not 3"),
        ({"names": None}, "Pretrained.names must be a NameMap of nets.pretrained, not 'NoneType'"),
        ({"skip": "fc"}, "Pretrained.skip must be a tuple, not 'fc'"),
        ({"skip": ("(",)}, "Pretrained.skip must be a regular expression"),
        ({"new_params": ("[",)}, "Pretrained.new_params must be a regular expression"),
        ({"rename": ("ab",)}, r"Pretrained.rename must hold pairs \(pattern, name\), not 'ab'"),
        ({"rename": (("(", "a"),)}, "Pretrained.rename must be a regular expression"),
        ({"rename": (("a", 3),)}, "Pretrained.rename must name by texts, not 3"),
        ({"part": 0}, "Pretrained.part must be a string or None, not 0"),
        ({"sha256": 3}, "Pretrained.sha256 must be a string or None, not 3"),
        ({"sha256": "abc"}, "Pretrained.sha256 must be 64 hexadecimal digits, not 'abc'"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings, rule):
    with pytest.raises(BadInput, match=rule):
        Pretrained(**{"path": "a.npz", "names": TORCHVISION_RESNET, **settings})
