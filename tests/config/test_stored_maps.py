"""Stored predictions of maps, which neither move with the images nor have one class each."""

import pytest

from mtl_jax import augment, consistency
from mtl_jax.core.validation import BadInput
from tests.dense import CLASS_MAP, RUN

TEACHER = RUN.replace(name="teacher", tasks=(CLASS_MAP,))


def student(method, **changes):
    task = CLASS_MAP.replace(auxiliary=method)
    return RUN.replace(name="student", tasks=(task,), labels={"teachers": (TEACHER,)}, **changes)


def test_stored_maps_are_learned_from_where_they_are():
    method = consistency.NoisyStudent(per_class=None)
    assert student(method).labels.teachers == (TEACHER,)
    joint = augment.example.Joint((augment.example.HorizontalFlip(),))
    with pytest.raises(
        BadInput, match=r"augmentation\.joint must be None: the stored .* 'classes'"
    ):
        student(method, augmentation={"joint": joint})
    with pytest.raises(BadInput, match=r"per_class must be None for a task with a head of its own"):
        student(consistency.NoisyStudent(per_class=3))
