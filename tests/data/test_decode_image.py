"""Pictures: every kind of file shows what Pillow or the format's own rules say it shows."""

import io
import pathlib
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data.files.decode_image import decode_image, read_image, suffixes
from tests.data.encoded import netpbm16, png16, tiff

# 2 rows of 3 that no turn maps to themselves.
UNLIKE = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14
# As EXIF 2.3 has it: where the 0th row and column lie.
ORIENTED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
GREY16 = np.array([[0, 255, 256, 4095], [4096, 32767, 32768, 65535]], np.uint16)
UPPER = np.array([[0, 0, 1, 15], [16, 127, 128, 255]], np.uint8)  # by hand: over 256.


def encode(image, suffix, **settings):
    """The bytes of a picture in a format."""
    file = io.BytesIO()
    image.save(file, suffix, **settings)
    return file.getvalue()


def shown(content, channels=3, size=None):
    return decode_image(io.BytesIO(content), channels, size, "a picture")


@pytest.mark.parametrize("form", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(10))
def test_it_stands_as_exif_says(form, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    settings = {"exif": exif, **({"lossless": True} if form == "webp" else {})}
    found = shown(encode(Image.fromarray(UNLIKE), form, **settings))
    np.testing.assert_array_equal(found, ORIENTED.get(orientation, lambda x: x)(UNLIKE))


@pytest.mark.parametrize("where", ["exif", "xmp"])
def test_a_jpeg_of_a_phone_stands_as_pillow_shows_it(where):
    exif = Image.Exif()
    exif[274] = 6
    tags = {"exif": exif, "xmp": b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'}
    smooth = np.tile(np.linspace(0, 255, 24, dtype=np.uint8)[None, :, None], (16, 1, 3))
    content = encode(Image.fromarray(smooth), "jpeg", **{where: tags[where]})
    with Image.open(io.BytesIO(content)) as image:
        wanted = np.asarray(
            ImageOps.exif_transpose(image).resize((5, 7), Image.Resampling.BILINEAR)
        )
    np.testing.assert_array_equal(shown(content, size=(7, 5)), wanted)
    assert wanted[0].max() < wanted[-1].min()  # It lay on its side.


@pytest.mark.parametrize("side", [8, 200])
def test_a_file_is_read_as_its_bytes_are(tmp_path, side):
    """Small files are read at once."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), "png")
    assert (len(content) > 2**16) == (side == 200)
    (tmp_path / "a.png").write_bytes(content)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png", 3, None), noise)
    np.testing.assert_array_equal(shown(content), noise)


def test_other_tags_of_exif_may_be_damaged():
    # Orientation 6 of type short, and a maker that is no text, which Pillow cannot write again.
    tags = b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\x0f\x01\x05\0\x01\0\0\0\xff\xff\xff\xff"
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + tags + b"\0\0\0\0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = encode(Image.fromarray(UNLIKE), "png", exif=exif)
        np.testing.assert_array_equal(shown(content), np.rot90(UNLIKE, -1))


@pytest.mark.parametrize(
    "content",
    [
        png16(GREY16),
        tiff(GREY16),
        tiff(GREY16.astype(">u2")),
        tiff(65535 - GREY16, photometric=0),
        netpbm16(GREY16, 65535),
        encode(Image.fromarray(GREY16), "jpeg2000"),
    ],
    ids=["png", "tiff", "tiff of the other order", "tiff of white 0", "pgm", "jp2"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_of_16_bits_the_upper_8_are_taken(content, channels):
    found = shown(content, channels)
    np.testing.assert_array_equal(found, np.repeat(UPPER[..., None], channels, -1))


def test_colours_of_16_bits_are_taken_as_grey_is():
    colours = np.stack([GREY16, GREY16[::-1], 65535 - GREY16], -1)
    np.testing.assert_array_equal(shown(png16(colours)), colours >> 8)


def test_what_was_8_bits_before_comes_out_as_it_was():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for wide in (values.astype(np.uint16) * 257, values.astype(np.uint16) << 8):
        np.testing.assert_array_equal(shown(png16(wide), 1)[..., 0], values)


def test_of_12_bits_the_upper_8_are_taken():
    packed = np.array([[0x00, 0x0F, 0xFF, 0x12, 0x34, 0x56]], np.uint8)  # 000 FFF 123 456.
    found = shown(tiff(packed, bits=12), 1)
    np.testing.assert_array_equal(found[0, :, 0], [0x00, 0xFF, 0x12, 0x45])


def test_few_of_16_bits_are_told():
    dim = np.array([[0, 4095]], np.uint16)
    with pytest.warns(DataWarning, match="no value above 4095 of 65535, so it is nearly black"):
        np.testing.assert_array_equal(shown(png16(dim), 1)[..., 0], [[0, 15]])
    shown(png16(np.array([[0, 4096]], np.uint16)), 1)
    shown(png16(np.zeros((2, 2), np.uint16)), 1)


@pytest.mark.parametrize(
    ("values", "sample", "text"),
    [
        (np.array([[0.0, 0.5]], np.float32), 3, r"floats \(mode F\)"),
        (np.array([[0, 70000]], np.int32), 2, r"integers of 32 bits \(mode I\)"),
        (np.array([[0, 70000]], np.uint32), 1, r"integers of 32 bits \(mode I\)"),
        (np.array([[-5, 5]], np.int16), 2, r"integers of 32 bits \(mode I\)"),
    ],
)
def test_what_has_no_white_is_refused(tmp_path, values, sample, text):
    file = tmp_path / "scan.tif"
    file.write_bytes(tiff(values, sample=sample))
    with pytest.raises(BadInput, match=rf"scan\.tif holds {text}.*: save it with 8 or 16 bits"):
        read_image(file, (1, 2))


def on_white(colour, alpha):
    """A colour over white, by hand."""
    return np.round(np.asarray(colour) * alpha / 255 + 255 * (1 - alpha / 255))


@pytest.mark.parametrize("form", ["png", "webp", "tiff"])
def test_what_is_transparent_is_laid_on_white(form):
    pixels = np.array([[(9, 90, 200, a) for a in (0, 1, 128, 254, 255)]], np.uint8)
    settings = {"lossless": True, "exact": True} if form == "webp" else {}
    content = encode(Image.fromarray(pixels), form, **settings)
    wanted = [on_white(p[:3], float(p[3])) for p in pixels[0]]
    np.testing.assert_allclose(shown(content)[0], wanted, atol=1)
    np.testing.assert_array_equal(shown(content, 4), pixels)


def test_grey_palettes_and_marked_colours_are_laid_on_white():
    two = np.array([[7, 200]], np.uint8)
    alpha = Image.fromarray(np.array([[0, 255]], np.uint8))
    both = Image.merge("LA", (Image.fromarray(two), alpha))
    palette = Image.fromarray(two // 200)
    palette = palette.convert("P")
    palette.putpalette([7] * 3 + [200] * 3)
    clear = {
        "grey and alpha": encode(both, "png"),
        "a marked grey": encode(Image.fromarray(two), "png", transparency=7),
        "a marked colour": encode(
            Image.fromarray(two).convert("RGB"), "png", transparency=(7, 7, 7)
        ),
        "a marked entry": encode(palette, "gif", transparency=0),
        "alphas of entries": encode(palette, "png", transparency=b"\0\xff"),
        "a marked grey of 16 bits": png16(two.astype(np.uint16) * 257, clear=7 * 257),
        "both of 16 bits": png16(np.array([[(1799, 0), (51400, 65535)]], np.uint16)),
    }
    for name, content in clear.items():
        for channels in (1, 3):
            found = shown(content, channels)[0, :, 0]
            np.testing.assert_array_equal(found, [255, 200], err_msg=name)


def test_other_modes_show_what_they_mean():
    grey = np.array([[0, 255, 255, 0]], np.uint8)
    bits = Image.fromarray(grey).convert("1")
    for form in ("png", "tiff", "ppm", "bmp"):
        np.testing.assert_array_equal(shown(encode(bits, form))[0, :, 1], grey[0])
    ink = Image.new("CMYK", (1, 1), (255, 0, 0, 0))  # Cyan is white without red.
    np.testing.assert_array_equal(shown(encode(ink, "tiff")), [[[0, 255, 255]]])
    np.testing.assert_allclose(shown(encode(ink, "jpeg", quality=100)), [[[0, 255, 255]]], atol=2)


def test_of_several_pictures_it_is_the_first():
    frames = [Image.new("L", (2, 2), value) for value in (10, 200)]
    for form in ("gif", "tiff", "webp", "png"):
        settings = {"lossless": True} if form == "webp" else {}
        content = encode(frames[0], form, save_all=True, append_images=frames[1:], **settings)
        assert {*shown(content).ravel().tolist()} == {10}, form


def test_size_is_height_then_width_of_8_bits_on_white():
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[1:3, 2:4] = (200, 0, 0, 255)
    with Image.open(io.BytesIO(encode(Image.fromarray(pixels), "png"))) as image:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
    wanted = white.convert("RGB").resize((3, 2), Image.Resampling.BILINEAR)
    found = shown(encode(Image.fromarray(pixels), "png"), size=(2, 3))
    np.testing.assert_array_equal(found, np.asarray(wanted))
    wanted = white.convert("RGB").resize((4, 6), Image.Resampling.BILINEAR)  # Turned on its side.
    found = shown(encode(Image.fromarray(pixels), "png"), size=(6, 4))
    np.testing.assert_array_equal(found, np.asarray(wanted))


def test_damaged_files_are_named_with_their_length(tmp_path):
    whole = encode(Image.effect_noise((64, 64), 50), "jpeg")
    cases = {"cut.jpg": whole[:-500], "empty.jpg": b"", "text.png": b"no picture", "no.jpg": None}
    for name, content in cases.items():
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        text = rf"{name} cannot be read as an image, it has {len(content or b'')} bytes: [^<]*$"
        with pytest.raises(BadInput, match=text):
            read_image(file, (8, 8))
    text = "^an image of a set cannot be read as an image, it has 10 bytes: it is damaged"
    with pytest.raises(BadInput, match=text):
        decode_image(io.BytesIO(b"no picture"), 3, None, "an image of a set")


@pytest.mark.parametrize("form", ["jpeg", "png", "gif", "tiff", "webp", "bmp", "ppm", "avif"])
def test_damage_is_read_or_named(form):
    if f".{form}" not in suffixes():
        pytest.skip(f"Pillow is installed without {form}")
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    settings = {"exif": exif} if form in ("jpeg", "png", "tiff", "webp") else {}
    whole = encode(Image.fromarray(UNLIKE.repeat(4, 0).repeat(4, 1)), form, **settings)
    for _ in range(60):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, min(len(content), 200), 4)
        content[places] = rng.integers(0, 256, 4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert shown(content.tobytes(), size=(4, 4)).shape == (4, 4, 3)
            except BadInput as wrong:
                assert str(wrong).startswith("a picture ")


def test_far_too_many_pixels_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    file = tmp_path / "scan.png"
    Image.new("1", (20, 11)).save(file)
    with pytest.raises(BadInput, match=r"scan\.png has too many pixels: .*220 pixels.*smaller"):
        read_image(file, (8, 8))


def test_every_format_is_read_whatever_its_suffix(tmp_path):
    for form in ("jpeg", "png", "webp", "tiff", "ppm", "bmp", "gif", "jpeg2000", "dib", "sgi"):
        file = tmp_path / f"{form}.png"
        Image.new("L", (5, 4), 77).save(file, form)
        np.testing.assert_allclose(read_image(file, (4, 5)), 77, atol=1, err_msg=form)


def test_suffixes_are_those_that_pillow_reads():
    found = suffixes()
    common = {"jpg", "jpeg", "jpe", "jfif", "png", "ppm", "pgm", "pbm", "pnm", "bmp", "gif", "tif"}
    assert {f".{suffix}" for suffix in common | {"tiff", "webp"}} <= found
    assert not found & {".txt", ".h5", ".mpg", ".pdf", ".eps", ".npy", ".csv"}
    assert pathlib.Path("a.PGM").suffix.lower() in found
