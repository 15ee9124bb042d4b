"""Where compiled programs are kept between launches, and how much of them."""

import contextlib
import os
import pathlib
import zlib

import jax

MOST = 4 * 2**30  # Bytes; what was read longest ago goes first.
ENDING = "-cache"
STAMP = "checked"


def cache_compilations() -> None:
    """Keeps compiled programs on disk, so that a second start compiles nothing.

    A folder that a user has told JAX is the user's own, and is not tidied.
    """
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = home() / "mtl_jax" / "compiled"
    with contextlib.suppress(OSError):  # Where nothing can be written, nothing is kept.
        folder.mkdir(parents=True, exist_ok=True)
        tidy(folder, MOST)
        jax.config.update("jax_compilation_cache_dir", str(folder))


def home() -> pathlib.Path:
    """The folder of caches: as the XDG rules have it, one that is empty or relative is none."""
    given = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else pathlib.Path(os.path.expanduser("~")) / ".cache"


def tidy(folder: pathlib.Path, most: int) -> None:
    """Removes entries that were cut short, and the oldest beyond `most` bytes.

    JAX would warn of a broken entry at every start and never write it anew. Only those are
    read that were written since the last launch.
    """
    stamp = folder / STAMP
    since = stamp.stat().st_mtime if stamp.is_file() else 0.0
    stamp.touch()
    kept = []
    for path in folder.glob(f"*{ENDING}"):
        with contextlib.suppress(FileNotFoundError):  # Another launch may tidy too.
            found = path.stat()
            if found.st_mtime >= since and is_broken(path):
                path.unlink()
            else:
                kept.append((max(found.st_atime, found.st_mtime), found.st_size, path))
    total = sum(size for _, size, _ in kept)
    for _, size, path in sorted(kept):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size


def is_broken(path: pathlib.Path) -> bool:
    """Whether an entry is empty, or a zlib stream without its end."""
    data = path.read_bytes()
    if data[:1] != b"\x78":  # Another compression, which this does not read.
        return not data
    try:
        zlib.decompress(data)
    except zlib.error:
        return True
    return False
