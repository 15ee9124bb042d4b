"""Files of the hub: what is asked of it, and errors that say what to do; nothing is fetched."""

import sys
import types

import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import download

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def stand_in(monkeypatch, fetch):
    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = fetch
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def test_it_asks_for_a_commit(monkeypatch):
    stand_in(monkeypatch, lambda repo, file, revision: f"{repo}:{file}:{revision}")
    assert download("a/b", "model.safetensors", COMMIT) == f"a/b:model.safetensors:{COMMIT}"


def test_a_branch_is_refused():
    with pytest.raises(BadInput, match=r"download.revision must be a commit .*, not 'main'"):
        download("a/b", "model.safetensors", "main")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BadInput, match=r"pip install mtl_jax\[hub\]"):
        download("a/b", "model.safetensors", COMMIT)


def test_what_is_not_there(monkeypatch):
    def fetch(repo, file, revision):
        raise OSError("no such\nfile")

    stand_in(monkeypatch, fetch)
    with pytest.raises(
        BadInput, match=rf"'m.npz' of 'a/b' at {COMMIT} must .*OSError: no such file"
    ):
        download("a/b", "m.npz", COMMIT)
