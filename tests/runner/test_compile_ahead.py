"""Compiling ahead: jobs in their order, and what is needed now is not waited for in vain."""

import functools
import threading

import jax
import jax.numpy as jnp
import pytest

from mtl_jax.runner.compile_ahead import MAX_PENDING, CompileAhead, compile_block


def test_a_job_that_has_begun_is_waited_for_and_one_that_has_not_is_done_at_once():
    began, go, done = threading.Event(), threading.Event(), []

    def first():
        began.set()
        go.wait()
        done.append("first")

    with CompileAhead() as ahead:
        ahead.add("first", first)
        ahead.add("second", lambda: done.append("second") or 2)
        ahead.add("third", lambda: done.append("third") or 3)
        began.wait()
        assert ahead.take("second")() == 2 and done == ["second"]
        go.set()
        ahead.take("first")()
        assert done[1] == "first"
        assert ahead.take("third")() == 3
    assert done.count("second") == done.count("third") == 1


def test_an_error_reaches_who_needs_the_job():
    began = threading.Event()

    def wrong():
        began.set()
        raise MemoryError("too large")

    with CompileAhead() as ahead:
        ahead.add("wrong", wrong)
        began.wait()
        with pytest.raises(MemoryError, match="too large"):
            ahead.take("wrong")()


def test_leaving_drops_what_has_not_begun():
    began, go, done = threading.Event(), threading.Event(), []
    with CompileAhead() as ahead:
        ahead.add("first", lambda: (began.set(), go.wait()))
        ahead.add("second", lambda: done.append("second"))
        began.wait()
        threading.Timer(0.05, go.set).start()
    assert done == []


def test_no_more_is_done_ahead_than_may_wait():
    done = []
    with CompileAhead() as ahead:
        for number in range(MAX_PENDING + 3):
            ahead.add(str(number), lambda number=number: done.append(number) or number)
        ahead.futures[str(MAX_PENDING - 1)].result()
        assert done == list(range(MAX_PENDING)) and len(ahead.futures) == MAX_PENDING
        assert ahead.take("0")() == 0
        ahead.futures[str(MAX_PENDING)].result()
        assert done == list(range(MAX_PENDING + 1)) and len(ahead.futures) == MAX_PENDING
        assert ahead.take(str(MAX_PENDING + 2))() == MAX_PENDING + 2  # out of turn
    assert sorted(done) == sorted(set(done))


def test_a_block_is_compiled_and_measured():
    lower = functools.partial(jax.jit(lambda x: 2.0 * x).lower, jnp.ones(100))
    compilation = compile_block(lower)
    assert compilation.seconds > 0.0
    assert compilation.num_bytes == 2 * 400  # Argument and result.
