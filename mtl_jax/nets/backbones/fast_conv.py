"""A convolution that is fast to train on a CPU."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from mtl_jax.nets.backbones.conv_forms import (
    Convolution,
    Window,
    column_convolution,
    depthwise_convolution,
    partwise_convolution,
)

MIN_CHANNELS = 8  # Minimum number of input channels; below it XLA's own gradient is as fast.
MAX_KERNEL_SIZE = 5  # Maximum kernel size; above it the product requires too many copies.
MAX_PARTS = 8  # Maximum number of parts of a batch, each of which takes time to compile.
PART_BYTES = 2**24  # Minimum size of a part's images and output.


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    *,
    dimension_numbers: Any = None,
    **settings: Any,
) -> jax.Array:
    """`jax.lax.conv_general_dilated` with the same values, faster to train on a CPU.

    An argument of `flax.linen.Conv` (`conv_general_dilated=convolution`). On a CPU, three kinds
    have other forms (`conv_forms`):

    - A kernel's gradient, which XLA computes as a convolution with a kernel of the image's size,
      slows down with the size of the batch; it is the sum over parts of a large batch.
    - Where the output has fewer pixels than the kernel, XLA exchanges kernel and images and goes
      through them one window at a time; there, where the batch has fewer pixels than there are
      channels, and for kernels of 1 x 1, all is a product of matrices.
    - Depthwise convolutions, through which XLA goes one window at a time, are sums over the
      pixels of the kernel.

    On other devices, and for images in other layouts, other grouped or transposed convolutions,
    few channels or large kernels, it is XLA's own. Derivatives of any order, in forward and
    reverse mode, and `jax.vmap` work as with XLA's.

    Before JAX 0.11, options of XLA make convolutions on a CPU faster still; runs are compiled with
    them (`mtl_jax.runner.compiler_options`).

    Measured on 2 CPU cores with JAX 0.10.2, milliseconds, ours and XLA's, both by its default:

    - Kernel's gradient, 3 x 3, 240 images of 32 x 32 x 32: 78 and 150; of 16 x 16 x 64, 73 and
      155; 464 images, 161 and 722.
    - Output and both gradients, 3 x 3, 512 to 512 channels: 64 images of 2 x 2, 21 and 1067; 4 of
      4 x 6, 8.6 and 19; 4 of 8 x 12, 31 and 37. 256 to 512 channels with stride 2, 64 of 4 x 4:
      11 and 142. 1 x 1, 64 channels, 32 images of 32 x 32: 6.7 and 21.
    - Depthwise, 16 images, the output and each gradient: 60 x 80 x 96, 3 x 3, stride 2, 8, 16 and
      62 and 75, 735 and 73; 8 x 10 x 480, 5 x 5, 2, 5 and 22 and 26, 26 and 153.

    Args:
      x: images `[N, H, W, C]`.
      kernel: `[h, w, C, D]`.
      strides: along H and W.
      padding: as in `jax.lax.conv_general_dilated`.
      dimension_numbers: as in `jax.lax.conv_general_dilated`.
      **settings: as in `jax.lax.conv_general_dilated`.

    Returns:
      `[N, H', W', D]`.
    """

    def native(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, strides, padding, dimension_numbers=dimension_numbers, **settings
        )

    if not is_plain(x, kernel, dimension_numbers, settings):
        return native(x, kernel)
    rates = tuple(settings.get("rhs_dilation") or (1, 1))
    sizes = [rate * (size - 1) + 1 for rate, size in zip(rates, kernel.shape[:2], strict=True)]
    pads = (
        jax.lax.padtype_to_pads(x.shape[1:3], sizes, strides, padding)
        if isinstance(padding, str)
        else padding
    )
    window = Window(kernel.shape[:2], strides, pads, rates)
    columns, depthwise = (
        functools.partial(form, window=window)
        for form in (column_convolution, depthwise_convolution)
    )
    groups = settings.get("feature_group_count", 1)
    if 1 < groups == x.shape[-1] == kernel.shape[-1]:
        return convolve(x, kernel, native, image_form=depthwise, kernel_form=depthwise)
    if groups > 1 or kernel.shape[2] < MIN_CHANNELS:
        return native(x, kernel)
    if is_product(x, kernel, window):
        return convolve(x, kernel, native, image_form=columns, kernel_form=columns)
    count = num_parts(x, kernel, window)
    if count == 1:
        return native(x, kernel)
    partwise = functools.partial(partwise_convolution, native, count)
    return convolve(x, kernel, native, kernel_form=partwise)


Conv = functools.partial(nn.Conv, conv_general_dilated=convolution)


def is_plain(x: jax.Array, kernel: jax.Array, dimension_numbers: Any, settings: dict) -> bool:
    """Whether images and kernel have the layout and sizes of the convolutions made here."""
    if x.ndim != 4 or max(kernel.shape[:2]) > MAX_KERNEL_SIZE:
        return False
    supported = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, ("NHWC", "HWIO", "NHWC"))
    dimensions = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    transposed = tuple(settings.get("lhs_dilation") or (1, 1)) != (1, 1)
    return dimensions == supported and not transposed and settings.get("batch_group_count", 1) == 1


def is_product(x: jax.Array, kernel: jax.Array, window: Window) -> bool:
    """Whether a product of matrices is fast: few pixels, or one for each window.

    XLA exchanges images and kernel where the output has fewer pixels than the kernel, and
    computes that one window at a time. A symbolic batch (`jax.export`) has many pixels.
    """
    area = math.prod(window.output_size(x.shape[1:3]))
    few = isinstance(x.shape[0], int) and x.shape[0] * area <= max(kernel.shape[2:])
    return few or area < math.prod(window.sizes) or tuple(window.sizes) == (1, 1)


def num_parts(x: jax.Array, kernel: jax.Array, window: Window) -> int:
    """Number of parts of the batch in which the kernel's gradient is computed."""
    if not isinstance(x.shape[0], int):  # It is symbolic: `jax.export`.
        return 1
    outputs = math.prod(window.output_size(x.shape[1:3])) * kernel.shape[3]
    size = (x.size + x.shape[0] * outputs) * x.dtype.itemsize
    return max(1, min(MAX_PARTS, x.shape[0], math.ceil(size / PART_BYTES)))


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    native: Convolution,
    *,
    image_form: Convolution | None = None,
    kernel_form: Convolution,
) -> jax.Array:
    """A convolution in another form on a CPU.

    Args:
      x: images.
      kernel: kernel.
      native: XLA's own convolution.
      image_form: the form of the convolution and of its derivative in the images; None is `native`.
      kernel_form: the form of its derivative in the kernel.
    """

    def on_cpu(form: Convolution) -> Convolution:
        # Only the images are stored for the backward pass, not their copies.
        cpu = jax.checkpoint(form)
        return lambda x, kernel: jax.lax.platform_dependent(x, kernel, cpu=cpu, default=native)

    of_images = native if image_form is None else on_cpu(image_form)
    of_kernel = on_cpu(kernel_form)

    @jax.custom_jvp
    def apply(x, kernel):
        return of_images(x, kernel)

    def jvp(primals, tangents):
        (x, kernel), (dx, dkernel) = primals, tangents
        terms = [] if is_zero_tangent(dx) else [of_images(dx, kernel)]
        terms += [] if is_zero_tangent(dkernel) else [of_kernel(x, dkernel)]
        return apply(x, kernel), sum(terms[1:], terms[0])

    # Inputs that are not differentiated (images, frozen kernels) must not cost anything.
    apply.defjvp(jvp, symbolic_zeros=True)
    return apply(x, kernel)


def is_zero_tangent(tangent: Any) -> bool:
    """Whether a tangent is zero."""
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)
