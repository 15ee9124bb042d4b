"""The peers of bench_consistency: WRN-28-2 and FixMatch in PyTorch, augmentation by Pillow."""

import functools
import itertools
import random

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from torch import nn

CLASSES, STEM, WIDTH, DEPTH = 10, 16, 2, 28
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
torch.set_num_threads(2)


class Conv(nn.Module):
    """A convolution; `far` pads as TensorFlow does, else as PyTorch's users do."""

    def __init__(self, old: int, new: int, size: int, stride: int, far: bool):
        super().__init__()
        self.far = far and stride == 2 and size == 3
        padding = 0 if self.far else size // 2
        self.conv = nn.Conv2d(old, new, size, stride, padding)

    def forward(self, x):
        """Maps images to images."""
        return self.conv(nn.functional.pad(x, (0, 1, 0, 1)) if self.far else x)


class Block(nn.Module):
    """A wide residual block; the very first one activates its skip too."""

    def __init__(self, old: int, new: int, stride: int, first: bool, far: bool):
        super().__init__()
        self.first = first
        self.norms = nn.ModuleList(nn.BatchNorm2d(n, 1e-3, 0.001) for n in (old, new))
        self.inner = nn.ModuleList([Conv(old, new, 3, stride, far), Conv(new, new, 3, 1, far)])
        self.skip = nn.Identity() if old == new else Conv(old, new, 1, stride, far)

    def forward(self, x):
        """Maps images to images."""
        active = nn.functional.leaky_relu(self.norms[0](x), 0.1)
        inner = self.inner[0](active)
        inner = self.inner[1](nn.functional.leaky_relu(self.norms[1](inner), 0.1))
        return self.skip(active if self.first else x) + inner


class Net(nn.Module):
    """WRN with a head, as `mtl_jax.nets.WideResNet`."""

    def __init__(self, far: bool = False, depth: int = DEPTH, width: int = WIDTH):
        super().__init__()
        self.stem, blocks, old = Conv(3, STEM, 3, 1, far), [], STEM
        for group, at in itertools.product(range(3), range((depth - 4) // 6)):
            new = STEM * width * 2**group
            blocks.append(Block(old, new, 2 if group and not at else 1, not blocks, far))
            old = new
        self.blocks, self.norm = nn.Sequential(*blocks), nn.BatchNorm2d(old, 1e-3, 0.001)
        self.head = nn.Linear(old, CLASSES)

    def forward(self, x):
        """Maps images `[N, 3, H, W]` to logits."""
        x = nn.functional.leaky_relu(self.norm(self.blocks(self.stem(x))), 0.1)
        return self.head(x.mean((2, 3)))


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, and decay of the kernels."""
    kernels = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": kernels, "weight_decay": 5e-4}, {"params": rest}]
    return torch.optim.SGD(groups, 0.03, 0.9, nesterov=True, fused=True)


def fixmatch_loss(net: nn.Module, images, labels, unlabelled: int) -> torch.Tensor:
    """FixMatch's loss of labelled images, then weak, then strong views."""
    cross_entropy, logits = nn.functional.cross_entropy, net(images)
    labelled = logits.shape[0] - 2 * unlabelled
    weak, strong = logits[labelled:].split(unlabelled)
    sure, guess = weak.detach().softmax(-1).max(-1)
    pulled = cross_entropy(strong, guess, reduction="none") * (sure >= 0.95)
    return cross_entropy(logits[:labelled], labels) + pulled.mean()


def step_of(side: str):
    """A step `(images, labels, labelled, unlabelled)` of FixMatch."""
    torch.manual_seed(0)
    layout = torch.contiguous_format if side == "eager" else torch.channels_last
    net = Net().to(memory_format=layout)
    parameters = list(net.parameters())
    averages = [p.detach().clone() for p in parameters]
    optimizer = optimizer_of(net)
    objective = functools.partial(fixmatch_loss, net)
    if side == "compiled":
        objective = torch.compile(objective)

    def step(images, labels, unlabelled):
        optimizer.zero_grad()
        objective(images.contiguous(memory_format=layout), labels, unlabelled).backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 0.001)

    return step


def fixmatch(side: str, views: bool, labelled: int, unlabelled: int):
    """Steps of FixMatch on one batch in memory, or on batches of loaders."""
    step = step_of(side)
    if views:
        known, pool = Loader("weak", 1, labelled), Loader("both", 2, unlabelled)

        def steps(count):
            for (seen, labels), (pair, _) in zip(known(count), pool(count), strict=True):
                step(torch.cat([seen, *pair]), labels, unlabelled)

        return steps, 4
    images = torch.rand(labelled + 2 * unlabelled, 3, 32, 32)
    labels = torch.randint(CLASSES, (labelled,))
    return (lambda count: [step(images, labels, unlabelled) for _ in range(count)]), 4


def enhanced(kind):
    """An operation that mixes by a factor."""
    return lambda image, factor: kind(image).enhance(factor)


def moved(matrix):
    """An operation that moves pixels by an affine map of a number and the size."""

    def change(image, amount):
        signed = amount if random.random() < 0.5 else -amount
        return image.transform(image.size, Image.Transform.AFFINE, matrix(signed, image.width))

    return change


# Each operation, and its range in FixMatch's form and in USB's.
OPERATIONS = (
    (lambda image, _: ImageOps.autocontrast(image), (0, 1), (0, 1)),
    (enhanced(ImageEnhance.Brightness), (0.1, 1.9), (0.05, 0.95)),
    (enhanced(ImageEnhance.Color), (0.1, 1.9), (0.05, 0.95)),
    (enhanced(ImageEnhance.Contrast), (0.1, 1.9), (0.05, 0.95)),
    (lambda image, _: ImageOps.equalize(image), (0, 1), (0, 1)),
    (lambda image, _: image, (0, 1), (0, 1)),
    (lambda image, bits: ImageOps.posterize(image, max(1, int(bits))), (4, 8), (4, 8)),
    (lambda image, a: image.rotate(a if random.random() < 0.5 else -a), (0, 30), (0, 30)),
    (enhanced(ImageEnhance.Sharpness), (0.1, 1.9), (0.05, 0.95)),
    (moved(lambda s, _: (1, s, 0, 0, 1, 0)), (0, 0.3), (0, 0.3)),
    (moved(lambda s, _: (1, 0, 0, s, 1, 0)), (0, 0.3), (0, 0.3)),
    (lambda image, level: ImageOps.solarize(image, int(level)), (0, 256), (0, 256)),
    (moved(lambda s, side: (1, 0, s * side, 0, 1, 0)), (0, 10 / 32), (0, 0.3)),
    (moved(lambda s, side: (1, 0, 0, 0, 1, s * side)), (0, 10 / 32), (0, 0.3)),
)


def weak(image: Image.Image) -> Image.Image:
    """Flip and reflected crop of 4 pixels."""
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    padded = np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)), "reflect")
    left, top = random.randint(0, 8), random.randint(0, 8)
    return Image.fromarray(padded).crop((left, top, left + 32, top + 32))


def strong(image: Image.Image, usb: bool) -> Image.Image:
    """RandAugment and Cutout in USB's form, or in FixMatch's."""
    for change, ours, theirs in random.choices(OPERATIONS, k=3 if usb else 2):
        if usb or random.random() < 0.5:
            low, high = theirs if usb else ours
            image = change(image, low + (high - low) * random.random())
    side = int(32 * random.uniform(0, 0.5)) if usb else 16
    left, top = (int(random.random() * 32) - side // 2 for _ in range(2))
    colour = (125, 123, 114) if usb else (127, 127, 127)
    image = image.copy()
    if side:
        ImageDraw.Draw(image).rectangle((left, top, left + side - 1, top + side - 1), colour)
    return image


class Views(torch.utils.data.Dataset):
    """Images of bytes, a view or two of each, normalized, and labels."""

    def __init__(self, what: str):
        draw = np.random.default_rng(0)
        self.what, self.images = what, draw.integers(0, 256, (5000, 32, 32, 3)).astype(np.uint8)
        self.labels = draw.integers(CLASSES, size=5000)
        self.mean, self.std = (torch.tensor(part)[:, None, None] for part in (MEAN, STD))

    def __getitem__(self, index):
        """The views and the label of an image."""
        image, label = Image.fromarray(self.images[index]), int(self.labels[index])
        if self.what == "both":
            return (self.seen(weak(image)), self.seen(strong(image, False))), label
        view = weak(image) if self.what == "weak" else strong(image, self.what == "strong_usb")
        return self.seen(view), label

    def seen(self, image):
        """A tensor of a Pillow image."""
        array = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return (array.to(torch.float32).div(255.0) - self.mean) / self.std


class Loader:
    """Loads as many batches as asked for; workers stay, and none starts before it is asked."""

    def __init__(self, what: str, workers: int, batch: int):
        self.count, self.batch = 0, batch
        self.loader = torch.utils.data.DataLoader(
            Views(what), batch_sampler=self, num_workers=workers, persistent_workers=True
        )

    def __iter__(self):
        for _ in range(self.count):
            yield random.choices(range(5000), k=self.batch)

    def __len__(self):
        return self.count

    def __call__(self, count: int):
        """An iterator over `count` batches."""
        self.count = count
        return iter(self.loader)


def loaded(what: str, workers: int, batch: int):
    """Batches of views by so many processes."""
    loader = Loader(what, workers, batch)
    return (lambda count: [None for _ in loader(count)]), 2


def peak():
    """A matrix product of 2048."""
    a = torch.randn(2048, 2048)
    return (lambda count: [a @ a for _ in range(count)]), 1


def gigaflops(images: int) -> float:
    """Work of convolutions and products of a step, forward and back, in 1e9 operations."""
    from torch.utils.flop_counter import FlopCounterMode

    net = Net()
    with FlopCounterMode(display=False) as counter:
        net(torch.rand(2, 3, 32, 32)).sum().backward()
    return 1e-9 * counter.get_total_flops() * images / 2


def check(run, labelled: int, unlabelled: int) -> None:
    """Prints how far the two nets of the same weights are apart; raises if they differ."""
    import jax
    import jax.numpy as jnp

    from mtl_jax.consistency import fixmatch as loss_of
    from mtl_jax.nets import make_model

    whole = labelled + 2 * unlabelled
    draw = np.random.default_rng(0)
    images = draw.random((whole, 32, 32, 3), np.float32)
    labels = draw.integers(CLASSES, size=labelled)
    net = make_model(run.trunk, {"label": CLASSES})
    params, stats = net.init(jax.random.key(0), jnp.asarray(images[:2]))

    def objective(params):
        logits = net.apply(params, stats, jnp.asarray(images), train=True)[0].logits["label"]
        weak, strong = jnp.split(logits[labelled:], 2)
        known = -jnp.take_along_axis(jax.nn.log_softmax(logits[:labelled]), labels[:, None], 1)
        return known.mean() + loss_of(strong, weak, threshold=0.0)[0].mean(), logits

    (loss, logits), gradient = jax.jit(jax.value_and_grad(objective, has_aux=True))(params)
    peer = filled(Net(far=True), params)
    theirs = peer(torch.from_numpy(images).permute(0, 3, 1, 2))
    weak, strong = theirs[labelled:].split(unlabelled)
    sure, guess = weak.detach().softmax(-1).max(-1)
    pulled = nn.functional.cross_entropy(strong, guess, reduction="none") * (sure >= 0.0)
    known = nn.functional.cross_entropy(theirs[:labelled], torch.from_numpy(labels))
    (known + pulled.mean()).backward()
    mine = sum(leaf.size for leaf in jax.tree.leaves(params))
    counted = sum(p.numel() for p in peer.parameters())
    norms = float(jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient))))
    peers = float(sum((p.grad**2).sum() for p in peer.parameters()).sqrt())
    print(f"parameters {mine} and {counted}; loss {float(loss):.6f} and "
          f"{(known + pulled.mean()).item():.6f}; surest {sure.max().item():.2f}; "
          f"norm of the gradient {norms:.6f} and {peers:.6f}")  # fmt: skip
    assert mine == counted
    np.testing.assert_allclose(theirs.detach(), logits, atol=1e-3)
    np.testing.assert_allclose(norms, peers, rtol=1e-3)


def filled(net: Net, params) -> Net:
    """The net with our weights."""
    shared, head = params["shared"], params["tasks"]["heads"]["label"]
    fill(net.stem.conv, shared["stage0"]["Conv_0"])
    for number, block in enumerate(net.blocks):
        stage, at = divmod(number, len(net.blocks) // 3)
        own = shared[f"stage{stage + 1}"][f"block{at}"]
        for i, norm in enumerate(block.norms):
            fill(norm, own[f"BatchNorm_{i}"])
        for i, conv in enumerate(block.inner):
            fill(conv.conv, own[f"Conv_{i}"])
        if "Conv_2" in own:
            fill(block.skip.conv, own["Conv_2"])
    fill(net.norm, own["BatchNorm_2"])
    fill(net.head, head)
    return net


def fill(module: nn.Module, own: dict) -> None:
    """Writes our weights into a layer."""
    weight = np.array(own.get("kernel", own.get("scale")))
    weight = weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight.T
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight.copy()))
        module.bias.copy_(torch.from_numpy(np.array(own["bias"])))
