"""Persistent compilation cache, with a size limit."""

import contextlib
import os
import pathlib
import zlib

import jax

MOST = 4 * 2**30  # Bytes; the least recently used entries are evicted first.
ENDING = "-cache"
STAMP = "checked"


def cache_compilations() -> None:
    """Enables the persistent compilation cache, so that a second launch compiles nothing.

    A cache directory that the user has configured in JAX is used unchanged and not cleaned up.
    """
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = home() / "mtl_jax" / "compiled"
    with contextlib.suppress(OSError):  # No caching where the directory is not writable.
        folder.mkdir(parents=True, exist_ok=True)
        tidy(folder, MOST)
        jax.config.update("jax_compilation_cache_dir", str(folder))


def home() -> pathlib.Path:
    """The cache directory by the XDG specification, which ignores an empty or relative path."""
    given = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else pathlib.Path(os.path.expanduser("~")) / ".cache"


def tidy(folder: pathlib.Path, most: int) -> None:
    """Removes truncated entries, and the least recently used ones beyond `most` bytes.

    JAX would warn about a broken entry at every launch and never rewrite it. Only entries written
    since the last launch are read.
    """
    stamp = folder / STAMP
    since = stamp.stat().st_mtime if stamp.is_file() else 0.0
    stamp.touch()
    kept = []
    for path in folder.glob(f"*{ENDING}"):
        with contextlib.suppress(FileNotFoundError):  # Another launch may clean up concurrently.
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
    """Whether an entry is empty or a truncated zlib stream."""
    data = path.read_bytes()
    if data[:1] != b"\x78":  # Another compression, which is not checked.
        return not data
    try:
        zlib.decompress(data)
    except zlib.error:
        return True
    return False
