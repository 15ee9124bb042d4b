"""What every policy of tokens keeps: shape, dtype, padding; a new one is tested when exported."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax.augment import Chain, tokens

# A strength for each field there is; a policy with a new field needs a line here.
STRENGTHS = {
    "mask": 9,
    "padding": 0,
    "probability": 0.4,
    "share": 0.5,
    "fraction": 0.5,
    "special": (0, 1),
    "table": tuple((token, token + 10, token + 20) for token in range(2, 8)),
}
OF_VERSIONS = (
    tokens.OriginalText,
    tokens.BackTranslated,
)  # They take another shape; see their own test.


def made(make, strength):
    """A policy with all its fields set by their names."""
    return make(**{field.name: strength(field.name) for field in dataclasses.fields(make)})


def none(field):
    """The strength that changes nothing."""
    return type(STRENGTHS[field])()


CLASSES = [make for name, make in vars(tokens).items() if name[0].isupper()]
CLASSES = [make for make in CLASSES if make not in OF_VERSIONS]
CHAIN = Chain((tokens.TokenDeletion(), tokens.TokenMask(9, special=(0, 1)), tokens.RandomSwap()))
POLICIES = [*(made(make, STRENGTHS.__getitem__) for make in CLASSES), CHAIN]
IDENTITIES = [made(make, none) for make in CLASSES]
# 64 texts of 2 to 17 tokens, each begun by the special token 1 and filled up by 0.
LENGTHS = np.arange(64) % 16 + 2
TEXTS = np.random.default_rng(0).integers(2, 9, (64, 17)).astype(np.int32)
TEXTS = np.where(np.arange(17) < LENGTHS[:, None], TEXTS, 0).astype(np.int32)
TEXTS[:, 0] = 1

every = pytest.mark.parametrize("policy", POLICIES, ids=str)


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(3), len(TEXTS))


def test_there_are_policies():
    assert len(POLICIES) >= 6


@every
def test_repr_makes_it_again(policy):
    assert eval(repr(policy), {**vars(tokens), "Chain": Chain}) == policy
    assert hash(policy) == hash(dataclasses.replace(policy))


@every
def test_shape_dtype_and_keys(policy, keys):
    many = jax.jit(jax.vmap(policy))
    out = np.asarray(many(keys, TEXTS))
    assert out.shape == TEXTS.shape and out.dtype == TEXTS.dtype
    np.testing.assert_array_equal(out, many(keys, TEXTS))
    one = np.broadcast_to(TEXTS[15], TEXTS.shape)
    same = np.asarray(many(keys, one))
    assert len(np.unique(same, axis=0)) > len(keys) // 4, "different keys, different texts"
    np.testing.assert_array_equal(jax.vmap(policy, (0, None))(keys, TEXTS[15]), same)
    np.testing.assert_array_equal(out[5], policy(keys[5], TEXTS[5]))


@every
def test_padding_stays_behind_the_text(policy, keys):
    out = np.asarray(jax.jit(jax.vmap(policy))(keys, TEXTS))
    lengths = (out != 0).sum(1)
    np.testing.assert_array_equal(out != 0, np.arange(17) < lengths[:, None])
    assert (lengths <= LENGTHS).all() and (lengths >= 1).all()


@every
def test_special_tokens_stay_where_they_are(policy, keys):
    if policy == CHAIN:
        policy = dataclasses.replace(CHAIN, policies=CHAIN.policies[1:2])
    out = np.asarray(jax.jit(jax.vmap(policy))(keys, TEXTS))
    np.testing.assert_array_equal(out == 1, TEXTS == 1)


@every
@pytest.mark.parametrize("text", [[0, 0, 0], [5], [0]], ids=str)
def test_the_shortest_texts(policy, text, keys):
    out = np.asarray(jax.jit(policy)(keys[0], np.array(text, np.int32)))
    np.testing.assert_array_equal(out == 0, np.array(text) == 0)


@every
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_small_types_stay_what_they_are(policy, dtype, keys):
    one = jax.ShapeDtypeStruct(TEXTS.shape[1:], dtype)
    assert jax.eval_shape(policy, keys[0], one) == one


@every
def test_they_work_where_whole_numbers_have_64_bits(policy, keys):
    with jax.enable_x64(True):
        one = jax.ShapeDtypeStruct(TEXTS.shape[1:], "int64")
        assert jax.eval_shape(policy, keys[0], one) == one


@pytest.mark.parametrize("policy", IDENTITIES, ids=str)
def test_strength_zero_is_the_identity(policy, keys):
    np.testing.assert_array_equal(jax.jit(jax.vmap(policy))(keys, TEXTS), TEXTS)


@pytest.mark.parametrize("policy", POLICIES + IDENTITIES, ids=str)
def test_floats_and_batches_are_refused(policy, keys):
    with pytest.raises(ValueError, match="as integers, not float32"):
        policy(keys[0], np.zeros(4, np.float32))
    with pytest.raises(ValueError, match=r"one sequence .* vmap"):
        policy(keys[0], TEXTS)


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (tokens.TokenMask, {"mask": -1}),
        (tokens.TokenMask, {"mask": 3, "special": [0]}),
        (tokens.TokenDeletion, {"probability": 1.1}),
        (tokens.TokenDeletion, {"padding": 0.5}),
        (tokens.NeighbourSwap, {"special": (-1,)}),
        (tokens.RandomSwap, {"fraction": -0.1}),
        (tokens.Synonyms, {"table": [(1, 2)]}),
        (tokens.Synonyms, {"table": ((1,),)}),
        (tokens.Synonyms, {"table": ((1, 2), (1, 3))}),
        (tokens.Synonyms, {"table": ((1, 2),), "probability": 2.0}),
    ],
    ids=str,
)
def test_settings_are_checked(make, setting):
    with pytest.raises(ValueError, match=rf"{make.__name__}\.{list(setting)[-1]} must"):
        make(**setting)
