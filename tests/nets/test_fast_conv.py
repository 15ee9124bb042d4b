"""Convolution: equal to XLA's in value and every derivative, and dear only where it is asked."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.nets.backbones import fast_conv
from mtl_jax.nets.backbones.conv_forms import Window, column_convolution
from mtl_jax.nets.backbones.fast_conv import MIN_CHANNELS, convolution

LAYOUT = ("NHWC", "HWIO", "NHWC")
CASES = [
    ((9, 8), (3, 3), (1, 1), "SAME", (1, 1)),
    ((9, 8), (3, 2), (1, 1), "VALID", (1, 1)),
    ((8, 8), (3, 3), (2, 2), "SAME", (1, 1)),
    ((9, 7), (3, 3), (2, 1), ((1, 1), (1, 1)), (1, 1)),
    ((6, 6), (1, 1), (2, 2), "SAME", (1, 1)),
    ((6, 6), (1, 1), (1, 1), "SAME", (1, 1)),
    ((7, 6), (2, 5), (1, 1), ((2, 1), (0, 3)), (1, 1)),
    ((6, 7), (5, 5), (3, 2), ((0, 4), (4, 0)), (1, 1)),
    ((9, 8), (3, 3), (1, 1), "SAME", (2, 2)),
    ((9, 10), (3, 2), (1, 1), ((4, 4), (1, 2)), (4, 3)),
    ((11, 9), (3, 3), (2, 1), "VALID", (2, 1)),
    ((4, 5), (3, 3), (1, 1), ((6, 6), (6, 6)), (6, 6)),
]


def drawn(side, size, channels=MIN_CHANNELS, count=2):
    """Images and a kernel to five channels."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(count, *side, channels)).astype(np.float32)
    return x, draw.normal(size=(*size, channels, 5)).astype(np.float32)


def both(stride, pad, groups=1, rates=(1, 1)):
    """Our function of images and kernel, and XLA's."""
    settings = {"dimension_numbers": LAYOUT, "feature_group_count": groups}
    settings["rhs_dilation"] = rates
    native = functools.partial(
        jax.lax.conv_general_dilated, window_strides=stride, padding=pad, **settings
    )
    return functools.partial(convolution, strides=stride, padding=pad, **settings), native


def compiled(function, *arguments):
    """The optimized program of a function."""
    return jax.jit(function).lower(*arguments).compile().as_text()


def primitives(jaxpr):
    """Names of all that a program calls, those of inner programs too."""
    found = []
    for equation in jaxpr.eqns:
        found.append(equation.primitive.name)
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr"),
        ):
            if hasattr(inner, "jaxpr"):
                inner = inner.jaxpr
            if hasattr(inner, "eqns"):
                found += primitives(inner)
    return found


@pytest.mark.parametrize(
    ("groups", "part_bytes"),
    [(1, fast_conv.PART_BYTES), (1, 1), (MIN_CHANNELS, 1)],
    ids=["full", "in parts", "depthwise"],
)
@pytest.mark.parametrize(("side", "size", "stride", "pad", "rates"), CASES)
def test_values_and_derivatives_are_those_of_xla(
    monkeypatch, side, size, stride, pad, rates, groups, part_bytes
):
    monkeypatch.setattr(fast_conv, "PART_BYTES", part_bytes)
    x, kernel = drawn(side, size, count=3)
    if groups > 1:
        kernel = kernel.reshape(*size, 1, -1)[..., :groups]

    def derivatives(function):
        def loss(x, kernel):
            return jnp.sin(function(x, kernel)).sum()

        along = jax.jvp(loss, (x, kernel), (x, kernel))
        back = jax.value_and_grad(loss, (0, 1))(x, kernel)
        twice = jax.grad(lambda k: jnp.square(jax.grad(loss, 1)(x, k)).sum())(kernel)
        many = jax.vmap(jax.grad(loss, 1), (None, 0))(x, jnp.stack([kernel, 2.0 * kernel]))
        return along, back, twice, many

    found, wanted = (
        jax.jit(functools.partial(derivatives, f))() for f in both(stride, pad, groups, rates)
    )
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * float(jnp.abs(b).max()))


@pytest.mark.parametrize(("side", "size", "stride", "pad", "rates"), CASES)
def test_a_product_is_the_convolution(side, size, stride, pad, rates):
    x, kernel = drawn(side, size)
    pads = pad
    if isinstance(pad, str):
        dilated = [rate * (each - 1) + 1 for rate, each in zip(rates, size, strict=True)]
        pads = jax.lax.padtype_to_pads(side, dilated, stride, pad)
    found = column_convolution(x, kernel, Window(size, stride, pads, rates))
    wanted = both(stride, pad, rates=rates)[1](x, kernel)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (5, 5), (24, 8)])
def test_the_kernels_gradient_of_a_large_batch_is_computed_in_parts(monkeypatch, count, parts):
    x, kernel = drawn((8, 8), (3, 3), count=count)
    loss = lambda f: lambda k, x: jnp.sin(f(x, k)).sum()
    ours, native = both((1, 1), "SAME")
    assert compiled(jax.grad(loss(ours)), kernel, x).count(" convolution(") == 2
    monkeypatch.setattr(fast_conv, "PART_BYTES", 1)
    text = compiled(jax.grad(loss(ours)), kernel, x)
    # One convolution is the forward pass.
    assert text.count(" convolution(") == 1 + parts and " conditional(" not in text
    assert compiled(jax.grad(loss(native)), kernel, x).count(" convolution(") == 2


def test_images_alone_cost_no_gradient_of_the_kernel(monkeypatch):
    monkeypatch.setattr(fast_conv, "PART_BYTES", 1)
    x, kernel = drawn((8, 8), (3, 3), count=8)
    back = jax.grad(lambda x: jnp.sin(both((1, 1), "SAME")[0](x, kernel)).sum())
    assert compiled(back, x).count(" convolution(") == 2


def test_a_kernel_of_one_pixel_is_a_product():
    x, kernel = drawn((8, 8), (1, 1), count=4)
    grad = lambda f: jax.grad(lambda x, k: jnp.sin(f(x, k)).sum(), (0, 1))
    assert " convolution(" not in compiled(grad(both((2, 2), "SAME")[0]), x, kernel)


@pytest.mark.parametrize(
    "change",
    [{"feature_group_count": 2}, {"lhs_dilation": (2, 2)}, {"dimension_numbers": ("NHWC", "HWIO", "NCHW")}],
    ids=["grouped", "transposed", "layout"],
)  # fmt: skip
def test_what_does_not_fit_is_left_to_xla(change):
    x, kernel = drawn((8, 8), (3, 3), 16)
    settings = {"dimension_numbers": LAYOUT, **change}
    kernel = kernel[:, :, : 16 // settings.get("feature_group_count", 1)]
    kernel = np.repeat(kernel, 2, 3)
    found = convolution(x, kernel, (1, 1), ((1, 1), (1, 1)), **settings)
    wanted = jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1), (1, 1)), **settings)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("count", "side", "stride", "channels", "small"),
    [
        (8, (2, 2), (1, 1), 8, True),
        (8, (3, 3), (1, 1), 8, False),
        (8, (4, 4), (2, 2), 8, True),
        (1, (4, 4), (1, 1), 16, True),
        (2, (4, 4), (1, 1), 16, False),
    ],
)
def test_few_pixels_have_no_convolution(count, side, stride, channels, small):
    x, kernel = drawn(side, (3, 3), channels, count)
    ours, native = both(stride, "SAME")
    grad = lambda f: jax.grad(lambda x, k: jnp.sin(f(x, k)).sum(), (0, 1))
    assert (" convolution(" not in compiled(grad(ours), x, kernel)) is small
    assert " convolution(" in compiled(grad(native), x, kernel)


def test_few_channels_are_left_to_xla():
    x, kernel = drawn((8, 8), (3, 3), MIN_CHANNELS - 1)
    back = jax.make_jaxpr(jax.grad(lambda k: both((1, 1), "SAME")[0](x, k).sum()))(kernel)
    assert "dot_general" not in primitives(back.jaxpr)


def test_a_depthwise_convolution_is_none_on_a_cpu():
    x, kernel = drawn((8, 8), (3, 3))
    ours, native = both((2, 2), "SAME", MIN_CHANNELS)
    grad = lambda f: jax.grad(lambda x, k: jnp.sin(f(x, k)).sum(), (0, 1))
    kernel = kernel[:, :, :1].repeat(2, 3)[..., :MIN_CHANNELS]
    assert " convolution(" not in compiled(grad(ours), x, kernel)
    assert " convolution(" in compiled(grad(native), x, kernel)
