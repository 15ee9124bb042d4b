"""The cache of compiled programs: where it is, and what is removed from it."""

import os
import pathlib
import zlib

import pytest

from mtl_jax.runner import compilation_cache
from mtl_jax.runner.compilation_cache import STAMP, home, tidy


@pytest.mark.parametrize("given", [None, "", "relative/caches"])
def test_a_cache_home_that_is_none_is_the_default(monkeypatch, given):
    monkeypatch.setenv("HOME", "/home/somebody")
    if given is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert home() == pathlib.Path("/home/somebody/.cache")


def test_a_cache_home_that_is_one_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert home() == tmp_path


def entry(folder, name, data, age):
    """An entry that was written some seconds ago."""
    path = folder / f"{name}-cache"
    path.write_bytes(data)
    now = path.stat().st_mtime
    os.utime(path, (now - age, now - age))
    return path


def names(folder):
    return {path.name for path in folder.glob("*-cache")}


def test_broken_entries_are_removed(tmp_path):
    whole = zlib.compress(os.urandom(500))
    entry(tmp_path, "whole", whole, 5)
    entry(tmp_path, "half", whole[:200], 5)
    entry(tmp_path, "empty", b"", 5)
    entry(tmp_path, "other", b"\x28\xb5\x2f\xfd rest", 5)  # zstd, which is not read.
    tidy(tmp_path, 10**6)
    assert names(tmp_path) == {"whole-cache", "other-cache"}
    assert (tmp_path / STAMP).is_file()


def test_only_new_entries_are_read(tmp_path):
    (tmp_path / STAMP).touch()
    entry(tmp_path, "old", b"\x78 broken", 100)
    entry(tmp_path, "new", b"\x78 broken", -5)
    tidy(tmp_path, 10**6)
    assert names(tmp_path) == {"old-cache"}


def test_a_check_that_is_killed_is_repeated(tmp_path, monkeypatch):
    entry(tmp_path, "half", b"\x78 broken", 5)

    def killed(path):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(compilation_cache, "is_broken", killed)
        with pytest.raises(SystemExit):
            tidy(tmp_path, 10**6)
    tidy(tmp_path, 10**6)
    assert names(tmp_path) == set()


def test_the_oldest_go_first(tmp_path):
    for age in (1, 2, 3, 4):
        entry(tmp_path, str(age), b"0" * 100, age * 100)
    (tmp_path / "somebody.txt").write_text("else")
    tidy(tmp_path, 250)
    assert names(tmp_path) == {"1-cache", "2-cache"}
    tidy(tmp_path, 200)
    assert names(tmp_path) == {"1-cache", "2-cache"}
    assert (tmp_path / "somebody.txt").read_text() == "else"
