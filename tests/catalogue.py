"""Writes `mtl_jax/README.md`, the catalogue of the package, from its code: `-m tests.catalogue`."""

import ast
import functools
import importlib
import inspect
import pathlib
import re
from types import ModuleType
from typing import Any, NamedTuple

from mtl_jax.core.balancing import Balancer

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "mtl_jax" / "README.md"
TESTS = ROOT / "tests"
MOST = 90  # Characters of a description.

HEAD = '''# The catalogue of `mtl_jax`

Made from the code by `python -m tests.catalogue`; change a docstring, not this page.

## The 21 packages

A file imports only its own package and lower floors:

```
runner
export | report
storage | trackers
train
consistency | nets | predict | transfer
aggregation | augment | data | domain_adaptation | weighting
config | metrics | sharing
losses | solvers
core
```

| Package | What it holds |
|---|---|
| `core` | Base classes, protocols, validation, random keys and trees |
| `losses` | Losses per example, not reduced |
| `solvers` | Small quadratic and convex programs that run inside a compiled step |
| `config` | What an experiment file says: runs, tasks, optimizers, schedules, studies |
| `metrics` | Metrics of predictions, comparison of runs, task affinity, factorial effects |
| `sharing` | Soft sharing: penalties on the parameters of several tasks |
| `aggregation` | Gradient aggregators and bilevel weightings of several tasks |
| `augment` | Random augmentation of images, images with their labels, signals and token sequences |
| `data` | Data sets, users' own files, labelled subsets and batches |
| `domain_adaptation` | Alignment of a labelled source domain and an unlabelled target domain |
| `weighting` | Loss weightings of several tasks |
| `consistency` | Semi-supervised learning: pseudo-labels and consistency of views |
| `nets` | Backbones, multi-task architectures, PEFT, pretrained weights (the Flax package) |
| `predict` | Predictions of exported models, without the training code |
| `transfer` | Fine-tuning, distillation, weight space and transferability estimates |
| `train` | One pure training step, its state and evaluation |
| `storage` | Run directories, checkpoints and prepared data on the disk |
| `trackers` | TensorBoard, Weights & Biases, MLflow |
| `export` | Trained models in folders that `predict` reads |
| `report` | Tables and figures of finished runs |
| `runner` | Experiments from the command line |

Names below are without `mtl_jax.`: `weighting.DWA` is `mtl_jax.weighting.DWA`. `Run` and the groups
of its fields, `Task`, `Experiment` and `Published` can also be imported from `mtl_jax` itself.

## Optimizers and schedules

```python
import optax

from mtl_jax import optimizers

rate = optimizers.WSDSchedule(3e-4, warmup=100)  # Or a number, or another schedule.
adamw = optimizers.Adam(rate, weight_decay=0.05, clip_norm=1.0)  # Decays kernels only.
lamb = optimizers.Optax(optax.lamb, learning_rate=rate, b1=0.95)  # Any of optax.
sharp = optimizers.SAM(adamw, rho=0.05)  # Two passes a step, each with its own balance.
free = optimizers.ScheduleFree(optimizers.SGD(1.0, momentum=0.0))
plateau = optimizers.ReduceOnPlateau(adamw, factor=0.5, patience=5)  # Of validation.
print(lamb.replace(learning_rate=1e-3))  # Optax(optax.lamb, b1=0.95, learning_rate=0.001)
```

`optimizers.Optax(function, **settings)` and `optimizers.OptaxSchedule(function, **settings)` take any
factory of optax or of your own at module level, print as their source, are part of a run's
fingerprint, and are changed by `--set optimizer.b1=0.95`. A wrong name, a missing setting, or an
optimizer that needs more than gradients (such as `optax.lbfgs`) is refused where it is written. A
linear decay is `PolynomialSchedule(peak, 1.0)`. Another kind of optimizer extends
`mtl_jax.core.optimizer.Optimizer`.

## Data larger than the memory

Folders, lists and tables of images, dense folders, TFDS, `.npy` files and Parquet or Arrow tables have
random access: with `Execution(data_location="disk")`, or by itself if the training data take more
than a quarter of the memory, each block of steps gets the examples that it reads, which threads or
processes read while the block before is trained. They are those that a run in memory would take, so
results agree bitwise, and a run resumes at any step. The progress bar shows the share of time that
steps wait. A source of your own gives `mtl_jax.core.rows.Rows` from `open_splits`:

```python
import numpy as np

from mtl_jax.core.rows import Rows


class Squares(Rows):
    """Squares of the indices, float32 `[N, 1]`."""

    shape, dtype = (10**9, 1), np.dtype(np.float32)

    def read(self, index):
        return np.square(index, dtype=np.float32)[:, None]

    def identity(self):
        return "squares"


print(Squares()[[3, 5]].tolist())  # [[9.0], [25.0]]
```

## Several devices

By itself, a run shards its seeds and then the examples of each batch over as many local devices as
divide them. `--mesh seed=2,batch=4,model=2` says it for every run, and must name as many devices as
there are; a missing axis has size 1. Over "model", each parameter of at least 65536 elements is
sharded along its largest dimension that the axis divides, and with it its average, the optimizer's
moments and whatever else of the state has its path and shape. An experiment can say otherwise:

```python
from mtl_jax import DeviceMesh, PartitionRule

replicated = PartitionRule("tasks/heads/.*", None)  # By path, as in param_rules.
rows = PartitionRule("shared/Dense_0/kernel", 0)  # Along the first dimension.
mesh = DeviceMesh(model=2, min_size=1024, rules=(replicated, rows))  # Experiment(mesh=mesh).
print(mesh.shape)  # (1, 1, 2)
```

A mesh is no part of a fingerprint: results depend on it by rounding only (`tests/laws/test_meshes.py`
compares every method on eight devices with one), BatchNorm is over the global batch, and a checkpoint
can be restored onto another number of devices.

## Several processes

`--distributed auto` joins the processes that SLURM, Open MPI, Kubernetes or a TPU slice has started,
as `jax.distributed` finds them out; `--slurm nodes=2,ntasks-per-node=4,...` submits such jobs.
Elsewhere each process is told where the first one is:

```bash
python launch.py x.py --distributed coordinator=10.0.0.1:1234,processes=2,process=0  # On one machine.
python launch.py x.py --distributed coordinator=10.0.0.1:1234,processes=2,process=1  # On another.
```

They train each row together, on a mesh of all their devices, and need a results folder that all of
them see. The first process prints, and writes everything but the shards of checkpoints, of which each
process writes its own. Examples on disk are read in parts, one by each process, which then exchange
what they have read. Results are those of one process, but for rounding; a checkpoint can be resumed
by another number of processes. If one process fails or is killed, all end, and the next launch goes
on from the last checkpoint. scikit-learn baselines and the report are left to the first process.
Runs that one process would train as a population are trained one by one.

## Add a method

One file, one test, one export line. For an aggregator: `mtl_jax/aggregation/inverse_norm.py` with
the class, `tests/aggregation/test_inverse_norm.py` with values worked out by hand, and in
`mtl_jax/aggregation/__init__.py` the line
`from mtl_jax.aggregation.inverse_norm import InverseNorm as InverseNorm`. An exported class needs
a docstring with a `Reference:` paragraph, `tests/laws` tests it as soon as it is exported, and
`python -m tests.catalogue` adds it to this page. In your own file a class works without these:

```python
import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting


@dataclasses.dataclass(frozen=True)
class InverseNorm(GramWeighting):
    """Weights by inverse gradient norms, `w_i = (1 / n_i) / sum_j (1 / n_j)`."""

    def weigh_gram(self, gram, state, key):
        """Maps the Gram matrix `[K, K]` to weights `[K]` and the next state."""
        inverse = 1.0 / jnp.sqrt(jnp.diag(gram))
        return inverse / inverse.sum(), state


gram = jnp.array([[4.0, -1.0, 0.0], [-1.0, 4.0, 1.0], [0.0, 1.0, 1.0]])
print(InverseNorm().weigh_gram(gram, (), jax.random.key(0))[0])  # [0.25 0.25 0.5 ]
```

The laws ask for more than this toy has: finite weights if gradients vanish or are huge, NaN if the
Gram matrix holds a NaN or an infinity, and no gradient through the weights.

## How to read the tables

- **Cost** of a step of a balancer of K tasks, in backward passes.
- **Paper**: the first source that the docstring names, where the link and the section are.
- **Checked against**: "golden" are reference values in `tests/golden`; "by hand" are values
  worked out in the tests of the package, by scikit-learn, SciPy, optax or Pillow where they have
  the function; "laws" are properties that `tests/laws` holds every
  method of the family to; "runs" are tests of other packages that use it.
'''

# Heading, package and, where a package has several tables, the subpackages of what is in this one.
FAMILIES = (
    ("Loss weightings", "weighting", ""),
    ("Gradient aggregators and bilevel weightings", "aggregation", ""),
    ("Soft sharing", "sharing", ""),
    ("Semi-supervised learning", "consistency", ""),
    ("Transfer", "transfer", ""),
    ("Fine-tuning: rules for parameters", "transfer.finetuning", ""),
    ("Transferability estimates", "transfer.transferability", ""),
    ("Domain adaptation", "domain_adaptation", ""),
    ("Backbones", "nets", "backbones"),
    ("Heads", "nets.heads", ""),
    ("Multi-task architectures", "nets", "multitask"),
    ("Parameter-efficient fine-tuning", "nets", "peft"),
    ("Assembly of nets", "nets", "compose|encoder|layer_names"),
    ("Pretrained weights", "nets.pretrained", ""),
    ("Augmentation of images, and what combines augmentations", "augment", ""),
    ("Operations of image policies", "augment.operations", ""),
    ("Augmentation of images with their labels", "augment.example", ""),
    ("Augmentation of signals", "augment.signal", ""),
    ("Augmentation of token sequences", "augment.tokens", ""),
    ("Losses", "losses", ""),
    ("Metrics", "metrics", ""),
    ("Data", "data", ""),
    ("Trackers", "trackers", ""),
    ("Configuration", "config", ""),
)
COSTS = {
    "losses": "1 backward pass",
    "heldout_losses": "1 + held-out losses",
    "gramian": "K backward passes",
    "cross_gramian": "3 batches",
    "jacobian": "K backward passes, K gradients in memory",
}
# Families with laws of their own in tests/laws.
LAWS = ("weighting", "aggregation", "sharing", "consistency", "nets", "augment", "losses")
# Of the modules without export lines: those whose functions are for users, and helpers.
FUNCTIONS = ("mtl_jax.config.sklearn_baseline", "mtl_jax.transfer.finetuning")
HELPERS = ("Replaceable", "RunGroup", "discriminative_rules", "params_of", "rules_of_rest")


class Member(NamedTuple):
    """An exported class, function or constant."""

    face: str  # Where it is imported from.
    name: str
    module: str  # Where it is defined.
    value: Any

    @property
    def path(self) -> str:
        """Its name, without that of the package."""
        return f"{self.face}.{self.name}".removeprefix("mtl_jax.")


def members(package: str) -> list[Member]:
    """What a package exports, by name."""
    name = f"mtl_jax.{package}"
    if package == "config":
        found = [each for stem in modules_of(package) for each in defined(f"{name}.{stem}")]
    elif package == "transfer.finetuning":
        found = defined(name)
    else:
        face = find(name)
        lines = exports(face)
        found = [Member(name, each, lines[each], getattr(face, each)) for each in lines]
    return sorted(found, key=lambda member: (member.path.lower(), member.path))


def find(name: str) -> ModuleType:
    """A module by the name under which users reach it, such as `augment.operations`."""
    face, _, last = name.rpartition(".")
    return getattr(importlib.import_module(face), last, None) or importlib.import_module(name)


def modules_of(package: str) -> list[str]:
    """The names of the modules in a package."""
    files = (ROOT / "mtl_jax" / package).glob("*.py")
    return sorted(path.stem for path in files if path.stem != "__init__")


def exports(face: ModuleType) -> dict[str, str]:
    """What the export lines of a package say: name and defining module, modules left out."""
    lines = {}
    for node in ast.parse(inspect.getsource(face)).body:
        if isinstance(node, ast.ImportFrom):
            lines |= {each.asname: node.module for each in node.names if each.asname == each.name}
    return {name: at for name, at in lines.items() if not inspect.ismodule(getattr(face, name))}


def defined(name: str) -> list[Member]:
    """The public classes that a module without export lines defines, and users' functions."""
    found = []
    for each, value in vars(importlib.import_module(name)).items():
        function = inspect.isfunction(value) and name in FUNCTIONS
        own = getattr(value, "__module__", None) == name and not each.startswith("_")
        if own and each not in HELPERS and (inspect.isclass(value) or function):
            found.append(Member(name, each, name, value))
    return found


def says(member: Member) -> str:
    """The first line of its docstring; of a constant, what stands beside it."""
    if hasattr(member.value, "__name__"):  # An instance has only its class's docstring.
        return (inspect.getdoc(member.value) or "").split("\n")[0]
    if type(member.value).__name__ == "NameMap":
        return f"Names and preprocessing of {member.value.name}."
    source = inspect.getsource(importlib.import_module(member.module))
    comment = re.search(rf"^# (.*\.)\n{member.name}\b.*=", source, re.MULTILINE)
    module = inspect.getdoc(importlib.import_module(member.module)) or ""
    return comment[1] if comment else "(constant) " + module.split("\n")[0]


def cut(line: str, most: int = MOST) -> str:
    """A line as the text of a cell, cut at a word; code that is cut is closed."""
    if len(escaped(line)) > most:
        while len(escaped(line)) > most - 5:
            line = line.rsplit(" ", 1)[0]
        line = line.rstrip(",;: ")
        line += "` ..." if line.count("`") % 2 else " ..."
    return escaped(line)


def escaped(line: str) -> str:
    """A line without what would end a cell."""
    return line.replace("|", r"\|")


def cost(member: Member) -> str:
    """What a step of a balancer costs; "-" of a function."""
    if not inspect.isclass(member.value):
        return "-"
    access = member.value.access
    if member.value.perturb is not Balancer.perturb:
        return "2 K forward passes, K + 1 backward passes"
    if not isinstance(access, str):
        return "its method's"
    later = member.value.post_step is not Balancer.post_step
    return COSTS[access] + ", 1 more forward pass" * later


NAME = r"[A-Z][\w'-]+(?: [A-Z][\w'-]+)?"
TEAM = re.compile(rf"({NAME}) et al\.|((?:{NAME}, )*{NAME}) and {NAME}(?=,)")
YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def paper(member: Member) -> str:
    """First author or authors, venue and year of the first source that a docstring names."""
    doc = (inspect.getdoc(member.value) or "") if callable(member.value) else ""
    found = re.search(r"^Reference: (.*?)(?:\n\n|\Z)", doc, re.DOTALL | re.MULTILINE)
    if found is None:
        return "-"
    source = " ".join(re.sub(r"\(?https?://[^\s)]+\)?", "", found[1]).split())
    same = re.match(r"as `(\w+)`", source)
    if same:
        module = importlib.import_module(member.module)
        return paper(member._replace(name=same[1], value=getattr(module, same[1])))
    line = short(source)
    words = line.rsplit(", ", 1)[-1].split(" ")
    return line if len(line) <= 60 else f"{line.split(', ')[0]}, {' '.join(words[:2])} {words[-1]}"


def short(source: str) -> str:
    """`Author et al., Venue year` of a source, or its first part where it has no year."""
    parts = source.rstrip(".").split(", ")
    team = TEAM.match(source) or (TEAM.search(source) if source[0].islower() else None)
    author = parts[0]
    if team:
        several = team[1] or (team[2].split(", ")[0] if ", " in team[2] else None)
        author = f"{several} et al." if several else team[0]
        parts = source[team.end() :].rstrip(".").split(", ")
    dated = next((i for i, part in enumerate(parts) if YEAR.search(part)), None)
    if dated is None:
        return re.split(r"[,;`(]", author)[0].strip().removesuffix("'s")
    venue = re.split(r"[;.:(]", parts[dated])[0].strip()
    if YEAR.fullmatch(venue) and re.fullmatch(r"[A-Z]+ \d+", parts[dated - 1]):
        venue = f"{parts[dated - 1]}, {venue}"
    return f"{author}, {venue}"


@functools.cache
def golden() -> frozenset[str]:
    """Full names of what the tests with reference values import or reach through a module."""
    found = set()
    for path in (TESTS / "golden").glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mtl_jax"):
                names |= {n.asname or n.name: f"{node.module}.{n.name}" for n in node.names}
        found |= {*names.values()}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found.add(f"{names.get(node.value.id)}.{node.attr}")
    return frozenset(found)


@functools.cache
def tests_of(package: str) -> dict[str, str]:
    """The tests of a package: module of the file, and its text."""
    files = sorted((TESTS / package).rglob("test_*.py"))
    return {path.stem: path.read_text() for path in files if path.stem != "test_catalogue"}


def checked(member: Member) -> str:
    """What the values of a method are compared with."""
    full = {f"{member.face}.{member.name}", f"{member.module}.{member.name}"}
    if full & golden() or beside(member):
        return "golden"
    package = member.face.split(".")[1]
    tests = tests_of(package)
    named = rf"\b{member.name}\b"
    stem = member.module.rsplit(".", 1)[1]
    if f"test_{stem}" in tests or any(re.search(named, text) for text in tests.values()):
        return "by hand"
    if package in LAWS:
        return "laws"
    return "runs" if any(re.search(named, text) for text in tests_of(".").values()) else "-"


def beside(member: Member) -> bool:
    """Whether reference values hold for a function beside an aggregator, in its own file."""
    own = member.face == "mtl_jax.aggregation" and f"{member.module}."
    return bool(own) and any(name.startswith(own) for name in golden())


def table(heading: str, package: str, within: str) -> str:
    """A heading and a table of what a package exports."""
    found = members(package)
    if within:
        found = [m for m in found if re.match(rf"mtl_jax\.nets\.({within})\b", m.module)]
    columns = {"Name": lambda m: f"`{m.path}`", "What it is": lambda m: cut(says(m))}
    if package in ("weighting", "aggregation"):
        columns["Cost"] = cost
    columns |= {"Paper": paper, "Checked against": checked}
    rows = [columns, ["---"] * len(columns)]
    rows += [[column(member) for column in columns.values()] for member in found]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return f"\n## {heading}\n\n" + "\n".join(lines) + "\n"


def text() -> str:
    """The whole page."""
    return HEAD + "".join(table(*family) for family in FAMILIES)


if __name__ == "__main__":
    PAGE.write_text(text())
