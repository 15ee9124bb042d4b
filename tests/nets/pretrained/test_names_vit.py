"""Names of ViTs: what timm and Google call each tensor, and places on another grid."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import GOOGLE_VIT, TIMM_VIT, Pretrained
from mtl_jax.nets.pretrained.names_vit import PLACES, fit_google, fit_timm

TRUNK = nets.ViT(8, 2, 2, patch=2)
SHAPE = (4, 4, 3)


@functools.cache
def params():
    """Random numbers in the place of every parameter, by path."""
    init = functools.partial(TRUNK.init, train=False)
    x = jnp.zeros((1, *SHAPE))
    tree = jax.eval_shape(init, jax.eval_shape(lambda: jax.random.key(0)), x)["params"]
    draw = np.random.default_rng(0)
    return {
        path: draw.normal(size=leaf.shape).astype(np.float32)
        for path, leaf in flatten_dict(tree, sep="/").items()
    }


def written(name, more, block):
    """A file's name of a parameter of ours, by tables that the module under test has not."""
    head, _, rest = name.partition("/")
    if head.startswith("block"):
        part, _, leaf = rest.partition("/")
        return block.format(head.removeprefix("block")) + more[part] + f"/{leaf}"
    return more[name]


def google(second_norm, attention, mlp, root=""):
    """The parameters as Google's codes name them, without the places."""
    block = f"{root}Transformer/encoderblock_{{}}/"
    more = {
        "norm_attention": "LayerNorm_0",
        "attention": f"MultiHeadDotProductAttention_{attention}",
        "norm_mlp": f"LayerNorm_{second_norm}",
        "mlp_in": f"MlpBlock_{mlp}/Dense_0",
        "mlp_out": f"MlpBlock_{mlp}/Dense_1",
        "patches/kernel": f"{root}embedding/kernel",
        "patches/bias": f"{root}embedding/bias",
        "norm/norm/scale": f"{root}Transformer/encoder_norm/scale",
        "norm/norm/bias": f"{root}Transformer/encoder_norm/bias",
    }
    apart = ("patches/class", "patches/class_place", "patches/places")
    tensors = {written(n, more, block): v for n, v in params().items() if n not in apart}
    return {**tensors, f"{root}cls": params()["patches/class"][None, None]}


def loaded(path, names, shape=SHAPE, **settings):
    weights = Pretrained(str(path), names, **settings).load(TRUNK, shape)
    return flatten_dict(weights.params, sep="/"), weights


def test_google_with_a_place_for_the_class(tmp_path):
    places = params()["patches/places"].reshape(1, 4, 8)
    rows = np.concatenate([params()["patches/class_place"][None, None], places], 1)
    named = google(2, 1, 3) | {"Transformer/posembed_input/pos_embedding": rows}
    head = {"head/kernel": np.ones((8, 5), np.float32), "head/bias": np.zeros(5, np.float32)}
    np.savez(tmp_path / "vit.npz", **named, **head)
    found, weights = loaded(tmp_path / "vit.npz", GOOGLE_VIT)
    assert found.keys() == params().keys()
    for path, leaf in params().items():
        np.testing.assert_array_equal(found[path], leaf)
    np.testing.assert_array_equal(weights.head["kernel"], head["head/kernel"])
    x = np.array([0.0, 0.5, 1.0], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(weights.preprocessing(x), 2.0 * x - 1.0)


def test_google_without_one(tmp_path):
    places = {"params/pos_embedding": params()["patches/places"].reshape(1, 4, 8)}
    np.savez(tmp_path / "vit.npz", **google(1, 0, 0, "params/"), **places)
    found, weights = loaded(tmp_path / "vit.npz", GOOGLE_VIT)
    assert weights.head is None
    for path, leaf in params().items():
        wanted = np.zeros(8) if path == "patches/class_place" else leaf
        np.testing.assert_array_equal(found[path], wanted)


def timm():
    """The parameters as timm names them."""
    ours, tensors = params(), {}
    tensors["cls_token"] = ours["patches/class"][None, None]
    rows = [ours["patches/class_place"][None], ours["patches/places"].reshape(4, 8)]
    tensors["pos_embed"] = np.concatenate(rows)[None]
    tensors["patch_embed.proj.weight"] = ours["patches/kernel"].transpose(3, 2, 0, 1)
    tensors["patch_embed.proj.bias"] = ours["patches/bias"]
    for at in range(2):
        pairs = {"norm1": "norm_attention", "norm2": "norm_mlp"}
        for theirs, part in pairs.items():
            tensors[f"blocks.{at}.{theirs}.weight"] = ours[f"block{at}/{part}/scale"]
            tensors[f"blocks.{at}.{theirs}.bias"] = ours[f"block{at}/{part}/bias"]
        for theirs, part in {"mlp.fc1": "mlp_in", "mlp.fc2": "mlp_out"}.items():
            tensors[f"blocks.{at}.{theirs}.weight"] = ours[f"block{at}/{part}/kernel"].T
            tensors[f"blocks.{at}.{theirs}.bias"] = ours[f"block{at}/{part}/bias"]
        each = [f"block{at}/attention/{part}" for part in ("query", "key", "value")]
        fused = [ours[f"{path}/kernel"].reshape(8, 8).T for path in each]
        tensors[f"blocks.{at}.attn.qkv.weight"] = np.concatenate(fused)
        fused = [ours[f"{path}/bias"].reshape(8) for path in each]
        tensors[f"blocks.{at}.attn.qkv.bias"] = np.concatenate(fused)
        out = ours[f"block{at}/attention/out/kernel"].reshape(8, 8).T
        tensors[f"blocks.{at}.attn.proj.weight"] = out
        tensors[f"blocks.{at}.attn.proj.bias"] = ours[f"block{at}/attention/out/bias"]
    tensors["norm.weight"] = ours["norm/norm/scale"]
    tensors["norm.bias"] = ours["norm/norm/bias"]
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def test_timm(tmp_path):
    save_file(timm(), tmp_path / "vit.safetensors")
    found, _ = loaded(tmp_path / "vit.safetensors", TIMM_VIT)
    assert found.keys() == params().keys()
    for path, leaf in params().items():
        np.testing.assert_array_equal(found[path], leaf)


def test_prompts_and_adapters_are_drawn_afresh(tmp_path):
    save_file(timm(), tmp_path / "vit.safetensors")
    more = TRUNK.clone(prompts=nets.Prompts(2, True), adapter=nets.Adapter(3))
    for fresh, left in (((), "adapter_attention.* more$"), ((r".*/adapter_.*",), "prompt")):
        pretrained = Pretrained(str(tmp_path / "vit.safetensors"), TIMM_VIT, new_params=fresh)
        with pytest.raises(BadInput, match=rf"missing: .*{left}"):
            pretrained.load(more, SHAPE)
    fresh = (r".*/adapter_.*", r".*/prompt/.*")
    weights = Pretrained(str(tmp_path / "vit.safetensors"), TIMM_VIT, new_params=fresh)
    assert flatten_dict(weights.load(more, SHAPE).params, sep="/").keys() == params().keys()


def test_places_on_a_larger_grid_by_hand():
    rows = np.array([[1.0, 5.0], [2.0, 7.0]], np.float32).reshape(4, 1)
    ours = {PLACES: rows, "params/patches/class_place": np.ones(1, np.float32)}
    fitted = fit_google(ours, {PLACES: (2, 4, 1)})
    wanted = [[1.0, 2.0, 4.0, 5.0], [2.0, 3.25, 5.75, 7.0]]  # by hand: 3/4 and 1/4 of neighbours
    np.testing.assert_allclose(fitted[PLACES][..., 0], wanted, rtol=1e-6)
    # Cubic interpolation keeps a slope, but for the edges.
    slope = np.broadcast_to(np.arange(8.0, dtype=np.float32), (8, 8)).reshape(64, 1)
    grid = fit_timm({PLACES: slope}, {PLACES: (8, 16, 1)})[PLACES][..., 0]
    inner = (np.arange(16) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(grid[:, 4:-4], np.tile(inner[4:-4], (8, 1)), atol=1e-5)


def test_places_as_pytorch_resizes_them():
    rows = [0, 1, 4, 9, 2, 3, 5, 7, 1, 8, 6, 4, 3, 0, 2, 5]
    ours = {PLACES: np.array(rows, np.float32).reshape(16, 1)}
    # torch 2.13.0, interpolate(mode="bicubic", antialias=True)
    timms = [[0.98653, 6.02621], [3.85177, 5.72324], [2.35575, 3.67848]]
    second = [1.47227, 1.62841, 2.38817, 4.16492, 6.45448, 7.98081]  # the same, to 5 x 6
    # torch 2.13.0, interpolate(mode="bilinear")
    googles = [[0.83333, 6.41667], [3.5, 5.5], [2.0, 3.75]]
    shrunk, grown = {PLACES: (3, 2, 1)}, {PLACES: (5, 6, 1)}
    np.testing.assert_allclose(fit_timm(ours, shrunk)[PLACES][..., 0], timms, atol=1e-4)
    np.testing.assert_allclose(fit_timm(ours, grown)[PLACES][1, :, 0], second, atol=1e-4)
    np.testing.assert_allclose(fit_google(ours, shrunk)[PLACES][..., 0], googles, atol=1e-4)


def test_places_that_are_no_square_are_reported(tmp_path):
    tensors = timm() | {"pos_embed": np.zeros((1, 4, 8), np.float32)}
    save_file(tensors, tmp_path / "vit.safetensors")
    with pytest.raises(BadInput, match=r"misshapen: pos_embed .*\[3, 8\], here \[2, 2, 8\]"):
        loaded(tmp_path / "vit.safetensors", TIMM_VIT)
