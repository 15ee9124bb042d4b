"""The house rules that a machine can check: who imports whom, sizes, docstrings, sources."""

import ast
import pathlib
import subprocess
import sys

import pytest

import mtl_jax

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "mtl_jax"
FILES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))

# A file may import its own package and those of lower floors.
FLOORS = [
    {"core"},
    {"losses", "solvers"},
    {"config", "metrics", "sharing"},
    {"aggregation", "augment", "data", "domain_adaptation", "weighting"},
    {"consistency", "nets", "predict", "transfer"},
    {"train"},
    {"storage", "trackers"},
    {"export", "report"},
    {"html_report"},
    {"runner"},
]
FLOOR = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}


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
    """Imports of a file that run up, or to another package of its floor."""
    package = path.parts[1]
    names = imports_of(path, source)
    others = {name: name.split(".")[1] for name in names if name != "mtl_jax"}
    return [
        f"{path} imports {name}"
        for name, other in others.items()
        if other != package and FLOOR[other] >= FLOOR[package]
    ]


def test_imports_run_down():
    assert [fault for path in FILES if len(path.parts) > 2 for fault in faults(path)] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/tree", "import mtl_jax.config.run"),
        ("losses/classify", "from mtl_jax import runner"),
        ("aggregation/mgda", "from mtl_jax.consistency import FixMatch"),
        ("weighting/equal", "from mtl_jax.aggregation import MGDA"),
        ("train/step", "from mtl_jax.runner.train_loop import train_run"),
        ("report/table", "from mtl_jax.runner.sweep import launch"),
    ],
)
def test_an_import_upward_is_found(path, line):
    path = pathlib.Path("mtl_jax") / f"{path}.py"
    assert faults(path, f'"""A file."""\n{line}\n') != []


def test_the_map_is_the_packages():
    there = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert there == {*FLOOR, "__init__.py", "py.typed", "README.md"}
    assert {*mtl_jax.PACKAGES} == {*FLOOR}


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


def test_files_are_small_and_say_what_they_are_for():
    wrong = []
    for path in FILES:
        lines = (ROOT / path).read_text().splitlines()
        first = lines[0]
        sentence = first.startswith('"""') and first.removesuffix('"""').endswith(".")
        wrong += [f"{path}: {first}"] * (not sentence)
        wrong += [f"{path} has {len(lines)} lines"] * (len(lines) > 250)
    assert wrong == []


def code_lines(source: str, function: ast.FunctionDef) -> int:
    """Lines of a function without docstrings, comments and blank lines."""
    documents = set()
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            documents |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = dict(enumerate(source.splitlines(), 1))
    inside = set(range(function.lineno, function.end_lineno + 1)) - documents
    return sum(lines[at].strip()[:1] not in ("", "#") for at in inside)


def num_params(function: ast.FunctionDef) -> int:
    """Number of a function's parameters, `self` and `cls` excepted."""
    own = function.args
    names = [each.arg for each in (*own.posonlyargs, *own.args, *own.kwonlyargs)]
    return len(names[names[:1] in (["self"], ["cls"]) :])


def test_functions_are_short():
    wrong = []
    engine = ("mtl_jax/train/", "mtl_jax/runner/", "mtl_jax/aggregation/balance.py")
    for path in FILES:
        source = (ROOT / path).read_text()
        few = path.as_posix().startswith(engine)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                lines, count = code_lines(source, node), num_params(node)
                wrong += [f"{path}: {node.name} has {lines} lines"] * (lines > 40)
                wrong += [f"{path}: {node.name} has {count} parameters"] * (few and count > 6)
    assert wrong == []


def test_every_method_cites_its_source():
    import mtl_jax.aggregation
    import mtl_jax.consistency
    import mtl_jax.domain_adaptation
    import mtl_jax.sharing
    import mtl_jax.weighting

    # A sum needs no paper, nor does what several papers are put together of.
    exempt = {
        "Equal",
        "Match",
        "NoAlignment",
        "NoMask",
        "ConfidenceThreshold",
        "HardLabels",
        "TeacherWeights",
        "SumOfLosses",
    }
    exempt |= {"CrossEntropy", "KLDivergence", "SquaredError"}
    faces = (mtl_jax.aggregation, mtl_jax.domain_adaptation, mtl_jax.consistency)
    faces += (mtl_jax.sharing, mtl_jax.weighting)
    for face in faces:
        for name, member in vars(face).items():
            if name[0].isupper() and name not in exempt:
                assert "Reference:" in (member.__doc__ or ""), name


def test_importing_the_package_is_light():
    code = (
        "import sys, mtl_jax, mtl_jax.losses, mtl_jax.weighting, mtl_jax.aggregation;"
        "import mtl_jax.consistency, mtl_jax.sharing, mtl_jax.transfer, mtl_jax.augment, mtl_jax.data;"
        "import mtl_jax.domain_adaptation, mtl_jax.predict;"
        "heavy = {'flax', 'tensorflow_datasets', 'orbax', 'sklearn', 'matplotlib', 'PIL'};"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# What comes from outside: users' objects of scikit-learn and Python, Flax modules, callables.
MAY_SNIFF = {"core/code_digest", "core/fingerprint", "core/typechecked", "runner/sklearn_baseline"}
MAY_SNIFF |= {"runner/sklearn_data"}


def test_members_of_methods_are_not_sniffed():
    allowed = {f"mtl_jax/{name}.py" for name in MAY_SNIFF}
    allowed |= {f"mtl_jax/runner/{name}.py" for name in ("error_messages", "local_modules")}
    calls = [
        f"{path}:{node.lineno}"
        for path in FILES
        if path.as_posix() not in allowed
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Name) and node.id == "hasattr"
    ]
    assert calls == []
