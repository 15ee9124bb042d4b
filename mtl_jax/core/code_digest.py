"""What a user's own function or class computes: a digest of its source and of all that it names."""

import ast
import builtins
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import pathlib
import symtable
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

INSTALLED = {"site-packages", "dist-packages"}
Place = tuple[str, ...]  # A name and the attributes that are taken of it.


def is_users(module: str) -> bool:
    """Whether a module is neither of this package, nor of Python, nor installed."""
    top = module.partition(".")[0]
    if top in ("", "mtl_jax") or top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module == "__main__" or module not in sys.modules  # Typed in, or made by a program.
    return not INSTALLED & set(pathlib.Path(file).parts)


@functools.lru_cache(maxsize=1024)
def code_digest(thing: Callable | type, tell: Callable[..., str]) -> str:
    """Digest of a user's function or class, eight hexadecimal digits; "" for any other.

    Counted are its source, and that of all users' functions, classes and modules and the values
    of all constants that it names, that these name, and so on. Comments, docstrings and the
    layout do not count. Where there is no source, what Python made of it counts.

    Args:
      thing: what is defined at the top of a module, or within a class there.
      tell: prints a value, `(value, code) -> text`; it raises a ValueError for what has no text,
        and passes each function and class in the value to `code`.
    """
    if not is_users(module_of(thing)):
        return ""
    found: list[tuple[str, str]] = []
    waiting = [thing]
    for one in waiting:
        text, named = described(one, tell)
        found.append((f"{module_of(one)}.{getattr(one, '__qualname__', '')}", text))
        for each in named:
            if all(each is not other for other in waiting):
                waiting.append(each)
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()[:8]


def module_of(thing: Any) -> str:
    """The name of the module that a function, a class or a module is of."""
    return thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", None) or ""


def described(thing: Any, tell: Callable[..., str]) -> tuple[str, list[Any]]:
    """A definition as text, and the users' functions, classes and modules that it names."""
    named = list(getattr(thing, "__mro__", ()))
    if inspect.isroutine(thing) or hasattr(thing, "__wrapped__"):
        # A rule of derivatives hangs on a function, and nothing in its source names it.
        named += filter(inspect.isfunction, getattr(thing, "__dict__", {}).values())
    try:
        source = source_of(inspect.unwrap(thing))
        # What is indented, such as a method, is no program of its own.
        source = f"if True:\n{source}" if source[:1] in " \t" else source
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        text, places = compiled(inspect.unwrap(thing))
    else:
        text, places = shape(tree), sorted(set(global_places(tree, source)))
        named += imported(tree, module_of(thing))
    for place in places:
        value, rest = resolved(place, thing)
        text += f"\n{'.'.join(place)}={told(value, tell, named)}{rest}"
    return text, [each for each in named if is_users(module_of(each))]


def source_of(thing: Any) -> str:
    """The source of a definition in a file.

    Raises:
      OSError: if there is none; of what was typed in, Python may give the text of another one.
    """
    code = getattr(thing, "__code__", None)
    if code is not None and code.co_filename.startswith("<"):
        raise OSError(f"{code.co_filename} is no file")
    return inspect.getsource(thing)


def shape(node: Any) -> str:
    """A syntax tree as text, the same in every version of Python, without docstrings."""
    if isinstance(node, list):
        return f"[{','.join(map(shape, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        document = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        fields["body"] = node.body[document and isinstance(first.value.value, str) :]
    words = (f"{name}={shape(value)}" for name, value in sorted(fields.items()))
    return f"{type(node).__name__}({','.join(words)})"


def compiled(thing: Any) -> tuple[str, list[Place]]:
    """What Python made of a function, or of the functions of a class, and the names in it."""
    members = [thing]
    if inspect.isclass(thing):
        members = [each for _, each in sorted(vars(thing).items()) if inspect.isfunction(each)]
    text, places, waiting = getattr(thing, "__qualname__", repr(thing)), set(), []
    waiting += [each.__code__ for each in members if hasattr(each, "__code__")]
    for code in waiting:
        inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
        plain = [ordered(each) for each in code.co_consts if each not in inner]
        text += f"\n{code.co_code.hex()}{code.co_names}{code.co_varnames}{plain}"
        places |= {(name,) for name in code.co_names}
        waiting += inner
    return text, sorted(places)


def ordered(constant: Any) -> str:
    """A constant as text; a set has another order in every process."""
    is_set = isinstance(constant, frozenset)
    return f"{{{sorted(map(repr, constant))}}}" if is_set else repr(constant)


def global_places(tree: ast.AST, source: str) -> Iterator[Place]:
    """The global names of a definition, each with the attributes that are taken of it."""
    names = set(global_names(symtable.symtable(source, "source", "exec")))
    inner = set()
    for node in ast.walk(tree):
        place, at = [], node
        while isinstance(at, ast.Attribute):
            inner.add(at.value)
            place.append(at.attr)
            at = at.value
        known = isinstance(at, ast.Name) and at.id in names and at.id[:2] != "__"
        if known and node not in inner:
            yield (at.id, *reversed(place))


def global_names(table: symtable.SymbolTable) -> Iterator[str]:
    """Names that a scope or one within it takes from its module."""
    module = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (module or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from global_names(inner)


def resolved(place: Place, thing: Any) -> tuple[Any, Place]:
    """What a place of a definition's module holds, as far as users' modules lead, and the rest.

    A name that is not there is Python's own, or has its value later: it counts by its name.
    """
    names = getattr(inspect.unwrap(thing), "__globals__", None)
    names = vars(sys.modules.get(module_of(thing), builtins)) if names is None else names
    name, *rest = place
    value = names.get(name, getattr(builtins, name, name))
    while rest and inspect.ismodule(value) and is_users(value.__name__) and hasattr(value, rest[0]):
        value = getattr(value, rest.pop(0))
    return value, tuple(rest)


def is_code(value: Any) -> bool:
    """Whether a value is a user's function, class or module; a method of a setting is not."""
    if inspect.ismethod(value):
        return False
    kind = inspect.isclass(value) or inspect.ismodule(value) or hasattr(value, "__wrapped__")
    return (kind or inspect.isroutine(value)) and is_users(module_of(value))


def imported(tree: ast.AST, module: str) -> list[Any]:
    """Users' modules that a definition imports within itself."""
    found = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        for name in names:
            if name.startswith(".") or importable(name):
                # One that fails may be meant to: a function that does without it.
                with contextlib.suppress(ImportError):
                    found.append(importlib.import_module(name, module.rpartition(".")[0]))
    return found


def importable(name: str) -> bool:
    """Whether a module is there and is a user's; only such a one is imported to be read."""
    top = name.partition(".")[0]
    if top in sys.modules or top in sys.stdlib_module_names:
        return is_users(top)
    spec = importlib.util.find_spec(top)
    files = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    return bool(files) and not INSTALLED & {
        part for f in files if f for part in pathlib.Path(f).parts
    }


def told(value: Any, tell: Callable[..., str], named: list[Any]) -> str:
    """A value as text; what there is of functions, classes and modules in it goes to `named`."""
    if inspect.ismodule(value) or is_code(value):
        named.append(value)
        return module_of(value)
    if isinstance(value, list | tuple):
        return repr([told(each, tell, named) for each in value])
    if isinstance(value, set | frozenset):
        return f"{{{sorted(told(each, tell, named) for each in value)}}}"
    if isinstance(value, dict):
        return repr({repr(key): told(each, tell, named) for key, each in value.items()})
    try:
        return tell(value, code=lambda code: named.append(code) or "")
    except ValueError:
        named.append(type(value))
        text = repr(value)
        return type(value).__qualname__ if " at 0x" in text else text
