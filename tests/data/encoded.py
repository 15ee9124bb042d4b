"""Image files that Pillow does not write, byte by byte as their formats have them."""

import struct
import zlib

import numpy as np

KINDS = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's colour type by the number of channels


def png16(values: np.ndarray, clear: int | None = None) -> bytes:
    """A PNG of 16 bits, of values uint16 `[H, W]` or `[H, W, C]`; grey `clear` is transparent."""
    height, width, *channels = values.shape
    kind = KINDS[channels[0] if channels else 1]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = [(b"IHDR", header)]
    parts += [] if clear is None else [(b"tRNS", struct.pack(">H", clear))]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff(values: np.ndarray, *, sample: int = 1, photometric: int = 1, bits: int = 0) -> bytes:
    """A TIFF of one channel as it lies in memory, `[H, W]`.

    Args:
      values: in the order of bytes of their type; of 12 bits their packed bytes `[H, bytes]`.
      sample: 1 for unsigned and 2 for signed integers, 3 for floats.
      photometric: 1 if 0 is black, 0 if it is white.
      bits: of a value, if it is not of the size of its type.
    """
    order = ">" if values.dtype.byteorder == ">" else "<"
    height, width = values.shape
    width = width * 8 // bits if bits else width
    data, bits = values.tobytes(), bits or values.itemsize * 8
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(data)), (339, 3, sample)]
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data))
    body = struct.pack(order + "H", len(tags))
    for tag, kind, value in tags:
        field = (
            struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        )
        body += struct.pack(order + "HHI", tag, kind, 1) + field
    return head + data + body + struct.pack(order + "I", 0)


def netpbm16(values: np.ndarray, largest: int) -> bytes:
    """A grey Netpbm file of two bytes a value, `[H, W]`."""
    height, width = values.shape
    return b"P5 %d %d %d\n" % (width, height, largest) + values.astype(">u2").tobytes()
