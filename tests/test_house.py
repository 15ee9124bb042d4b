"""The house rules that a machine can check: who imports whom, sizes, docstrings, sources."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "mtl_jax"
FILES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))

GROUND = {
    "checks",
    "typed",
    "keys",
    "user_code",
    "identity",
    "views",
    "opening",
    "protocols",
    "trees",
    "solvers",
    "convex",
    "metrics",
    "compare",
    "optimizers",
    "affinity",
    "dispatch",
    "schemes",
    "cross_task",
    "coach",
    "task",
    "plan",
    "weighing",
    "heads",
    "net",
    "design",
    "factorial",
    "start",
}
GROUND_ROOMS = {"losses", "weighting", "augment", "data"}
METHODS = {"aggregation", "alignment", "consistency", "sharing", "transfer", "nets"}
METHODS |= {"balance", "run", "descent", "classic", "run_checks"}
FLOORS = [GROUND | GROUND_ROOMS, METHODS, {"train"}, {"host"}]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Who may be imported from one's own floor: the ground's single files, and within them only
# what stands lower; families never.
BASE = [
    "checks",
    "typed",
    "keys",
    "views",
    "opening",
    "net",
    "protocols",
    "user_code",
    "identity",
    "trees",
    "solvers",
    "convex",
    "plan",
    "optimizers",
    "metrics",
    "compare",
    "factorial",
    "affinity",
    "dispatch",
    "schemes",
    "cross_task",
    "task",
    "coach",
    "weighing",
    "heads",
    "design",
    "start",
    "classic",
    "run_checks",
]

# Who may ask a loss of what type its targets are, and which of them are known.
TYPED = {"task", "metrics"}


def room_of(path: pathlib.Path) -> str:
    """The room that a file of the package belongs to."""
    return path.parts[1].removesuffix(".py")


def imports_of(path: pathlib.Path, source: str | None = None) -> set[str]:
    """Modules of the package that a file imports, at the top or inside functions."""
    tree = ast.parse((ROOT / path).read_text() if source is None else source)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "mtl_jax"}


def faults(path: pathlib.Path, source: str | None = None) -> list[str]:
    """Imports of a file that run up, or across to another room of its floor."""
    room = room_of(path)
    wrong = []
    for name in imports_of(path, source):
        other = name.split(".")[1]
        if other in (room, "__init__"):
            continue
        lower = FLOOR[other] < FLOOR[room]
        base = other in BASE and (room not in BASE or BASE.index(other) < BASE.index(room))
        typed = other == "losses" and room in TYPED
        if not (lower or base or typed):
            wrong.append(f"{path} imports {name}")
    return wrong


@pytest.mark.parametrize(
    "path", [p for p in FILES if len(p.parts) > 2 or p.stem != "__init__"], ids=str
)
def test_imports_run_down(path):
    assert faults(path) == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("trees", "import mtl_jax.run"),
        ("losses/classify", "from mtl_jax import host"),
        ("aggregation/mgda", "from mtl_jax.consistency import FixMatch"),
        ("weighting/equal", "from mtl_jax.losses import cross_entropy"),
        ("train/step", "from mtl_jax.host.loop import train_run"),
        ("checks", "from mtl_jax.trees import gram"),
    ],
)
def test_an_import_upward_is_found(room, line):
    path = pathlib.Path("mtl_jax") / f"{room}.py"
    assert faults(path, f'"""A file."""\n{line}\n') != []


def test_no_circle():
    modules = {".".join(p.with_suffix("").parts).removesuffix(".__init__"): p for p in FILES}
    edges = {
        name: {
            target
            for full in imports_of(path)
            for target in (full, full.rsplit(".", 1)[0])
            if target in modules
            and target not in (name, "mtl_jax")
            and target != name.rsplit(".", 1)[0]
        }
        for name, path in modules.items()
    }
    while edges:
        leaves = {name for name, targets in edges.items() if not targets & edges.keys()}
        assert leaves, f"these import each other: {sorted(edges)}"
        edges = {name: targets for name, targets in edges.items() if name not in leaves}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_file_is_small_and_says_what_it_is_for(path):
    text = (ROOT / path).read_text()
    assert len(text.splitlines()) <= 250
    first = text.splitlines()[0]
    assert first.startswith('"""') and first.removesuffix('"""').endswith("."), first


@pytest.mark.parametrize("path", FILES, ids=str)
def test_functions_are_short(path):
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef):
            doc = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.lineno + 1 - len(doc.splitlines())
            assert lines <= 60, f"{node.name} has {lines} lines"


def test_every_method_cites_its_source():
    import mtl_jax.aggregation
    import mtl_jax.alignment
    import mtl_jax.consistency
    import mtl_jax.sharing
    import mtl_jax.weighting

    # A sum needs no paper, nor does what several papers are put together of.
    exempt = {
        "Equal",
        "Match",
        "Unaligned",
        "Everything",
        "Threshold",
        "Hard",
        "Chosen",
        "Together",
    }
    exempt |= {"CrossEntropy", "KLDivergence", "SquaredError"}
    faces = (mtl_jax.aggregation, mtl_jax.alignment, mtl_jax.consistency)
    faces += (mtl_jax.sharing, mtl_jax.weighting)
    for face in faces:
        for name, member in vars(face).items():
            if name[0].isupper() and name not in exempt:
                assert "Reference:" in (member.__doc__ or ""), name


def test_importing_the_package_is_light():
    code = (
        "import sys, mtl_jax, mtl_jax.losses, mtl_jax.weighting, mtl_jax.aggregation;"
        "import mtl_jax.consistency, mtl_jax.sharing, mtl_jax.transfer, mtl_jax.augment, mtl_jax.data;"
        "import mtl_jax.alignment;"
        "heavy = {'flax', 'tensorflow_datasets', 'orbax', 'sklearn', 'matplotlib', 'PIL'};"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
