"""What every method keeps on a mesh: its results are those of one device, up to rounding.

Eight devices are tested in processes of their own, since this one has four.
"""

import pathlib
import subprocess
import sys

import pytest

from tests.laws.meshes import FAMILIES, LIMIT, LIMITS, difference, meshes, trained

ROOT = pathlib.Path(__file__).parent.parent.parent
QUICK = [
    ("balancing", "MoCo"),  # Keeps gradients of all tasks.
    ("balancing", "UPGrad"),  # A solver on the Gram matrix.
    ("balancing", "AutoLambda"),  # Held-out losses after a step.
    ("auxiliary losses", "FreeMatch()"),  # Running statistics.
    ("auxiliary losses", "CoMatch()"),  # A memory bank.
    ("domain adaptation", "DANN()"),
    ("other parts", "MeanL2 penalty"),
]


@pytest.mark.parametrize(("family", "name"), QUICK)
def test_four_devices_are_one(family, name):
    case = FAMILIES[family]()[name]
    axes, mesh = next(iter(meshes(case, 4).items()))
    gap, path = difference(trained(case, 1, None), trained(case, 4, mesh))
    assert gap <= LIMITS.get(name, LIMIT), (axes, path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LIMITS)
def test_rounding_is_amplified_on_one_device_too(name):
    case = next(cases[name] for make in FAMILIES.values() if name in (cases := make()))
    alone = trained(case, 1, None)
    own = max(difference(alone, trained(case, 1, None, seed))[0] for seed in range(3))
    assert own > LIMIT, "the method agrees with itself, so it needs no limit of its own"
    assert LIMITS[name] <= 5 * own


def test_every_family_has_its_methods():
    counts = {family: len(make()) for family, make in FAMILIES.items()}
    least = {"balancing": 45, "auxiliary losses": 40, "domain adaptation": 11, "other parts": 20}
    assert counts.keys() == least.keys()
    assert all(counts[family] >= least[family] for family in least), counts


PARTS = [
    ("balancing", "1/2", 1), ("balancing", "2/2", 1), ("auxiliary losses", "1/2", 1),
    ("auxiliary losses", "2/2", 1), ("other parts", "1/1", 1), ("domain adaptation", "1/1", 1),
    ("balancing", "3/20", 2), ("auxiliary losses", "7/20", 2), ("other parts", "5/12", 2),
    ("domain adaptation", "2/6", 2),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("family", "part", "processes"), PARTS)
def test_eight_devices_are_one(family, part, processes):
    command = [sys.executable, "-m", "tests.laws.mesh_agreement", "--family", family]
    options = ["--part", part, "--processes", str(processes)]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    assert done.stdout.count("batch=4,model=2") >= (6 if processes == 1 else 1)
