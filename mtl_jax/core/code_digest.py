"""Digests of user code: the source of a function or class and of all that it refers to."""

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
Place = tuple[str, ...]  # A name and the attributes accessed on it.


def is_users(module: str) -> bool:
    """Whether a module is user code: not of this package, the standard library or installed."""
    top = module.partition(".")[0]
    if top in ("", "mtl_jax") or top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return (
            module == "__main__" or module not in sys.modules
        )  # Interactive, or created dynamically.
    return not INSTALLED & set(pathlib.Path(file).parts)


@functools.lru_cache(maxsize=1024)
def code_digest(thing: Callable | type, to_text: Callable[..., str]) -> str:
    """Digest of a user's function or class, eight hexadecimal digits; "" for any other.

    The digest covers its source, the source of all user functions, classes and modules and the
    values of all constants that it refers to, recursively. Comments, docstrings and formatting
    are ignored. If the source is not available, the compiled bytecode is used.

    Args:
      thing: a function or class at module level, or nested in such a class.
      to_text: converts a value to a string, `(value, code) -> str`; it raises a ValueError for
        values without a canonical string, and calls `code` for each function and class in the
        value.
    """
    if not is_users(module_of(thing)):
        return ""
    found: list[tuple[str, str]] = []
    waiting = [thing]
    for one in waiting:
        text, named = describe(one, to_text)
        found.append((f"{module_of(one)}.{getattr(one, '__qualname__', '')}", text))
        for each in named:
            if all(each is not other for other in waiting):
                waiting.append(each)
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()[:8]


def module_of(thing: Any) -> str:
    """The module name of a function, class or module."""
    return thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", None) or ""


def describe(thing: Any, to_text: Callable[..., str]) -> tuple[str, list[Any]]:
    """A definition as a string, and the user functions, classes and modules it refers to."""
    named: list[Any] = list(getattr(thing, "__mro__", ()))
    if inspect.isroutine(thing) or hasattr(thing, "__wrapped__"):
        # A derivative rule is an attribute of the function, without a reference in its source.
        named += filter(inspect.isfunction, getattr(thing, "__dict__", {}).values())
    try:
        source = source_of(inspect.unwrap(thing))
        # Indented source, such as a method, cannot be parsed on its own.
        source = f"if True:\n{source}" if source[:1] in " \t" else source
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        text, places = bytecode_text(inspect.unwrap(thing))
    else:
        text, places = shape(tree), sorted(set(global_places(tree, source)))
        named += imported_modules(tree, module_of(thing))
    for place in places:
        value, rest = resolve(place, thing)
        text += f"\n{'.'.join(place)}={value_text(value, to_text, named)}{rest}"
    return text, [each for each in named if is_users(module_of(each))]


def source_of(thing: Any) -> str:
    """The source of a definition that is stored in a file.

    Raises:
      OSError: if there is none; for interactive code, `inspect` may return another source.
    """
    code = getattr(thing, "__code__", None)
    if code is not None and code.co_filename.startswith("<"):
        raise OSError(f"{code.co_filename} is no file")
    return inspect.getsource(thing)


def shape(node: Any) -> str:
    """A syntax tree without docstrings as a string, the same in every version of Python."""
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


def bytecode_text(thing: Any) -> tuple[str, list[Place]]:
    """The bytecode of a function or the functions of a class as a string, and their names."""
    members = [thing]
    if inspect.isclass(thing):
        members = [each for _, each in sorted(vars(thing).items()) if inspect.isfunction(each)]
    text, places, waiting = getattr(thing, "__qualname__", repr(thing)), set(), []
    waiting += [each.__code__ for each in members if hasattr(each, "__code__")]
    for code in waiting:
        inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
        constants = [constant_text(each) for each in code.co_consts if each not in inner]
        text += f"\n{code.co_code.hex()}{code.co_names}{code.co_varnames}{constants}"
        places |= {(name,) for name in code.co_names}
        waiting += inner
    return text, sorted(places)


def constant_text(constant: Any) -> str:
    """A constant as a string; sets are sorted, since their order varies between processes."""
    is_set = isinstance(constant, frozenset)
    return f"{{{sorted(map(repr, constant))}}}" if is_set else repr(constant)


def global_places(tree: ast.AST, source: str) -> Iterator[Place]:
    """The global names of a definition, each with the attributes accessed on it."""
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
    """Global names that a scope or a nested scope refers to."""
    module = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (module or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from global_names(inner)


def resolve(place: Place, thing: Any) -> tuple[Any, Place]:
    """Resolves a name with attributes through user modules to a value and the other attributes.

    An undefined name is a builtin or is defined later; its value is then the name itself.
    """
    names = getattr(inspect.unwrap(thing), "__globals__", None)
    names = vars(sys.modules.get(module_of(thing), builtins)) if names is None else names
    name, *rest = place
    value = names.get(name, getattr(builtins, name, name))
    while rest and inspect.ismodule(value) and is_users(value.__name__) and hasattr(value, rest[0]):
        value = getattr(value, rest.pop(0))
    return value, tuple(rest)


def is_code(value: Any) -> bool:
    """Whether a value is a user function, class or module; bound methods are not."""
    if inspect.ismethod(value):
        return False
    kind = inspect.isclass(value) or inspect.ismodule(value) or hasattr(value, "__wrapped__")
    return (kind or inspect.isroutine(value)) and is_users(module_of(value))


def imported_modules(tree: ast.AST, module: str) -> list[Any]:
    """User modules that are imported within a definition."""
    found = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        for name in names:
            if name.startswith(".") or importable(name):
                # The import may be optional, with a fallback in the function.
                with contextlib.suppress(ImportError):
                    found.append(importlib.import_module(name, module.rpartition(".")[0]))
    return found


def importable(name: str) -> bool:
    """Whether a module exists and is user code; only such modules are imported."""
    top = name.partition(".")[0]
    if top in sys.modules or top in sys.stdlib_module_names:
        return is_users(top)
    spec = importlib.util.find_spec(top)
    files = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    return bool(files) and not INSTALLED & {
        part for f in files if f for part in pathlib.Path(f).parts
    }


def value_text(value: Any, to_text: Callable[..., str], named: list[Any]) -> str:
    """A value as a string; functions, classes and modules in it are appended to `named`."""
    if inspect.ismodule(value) or is_code(value):
        named.append(value)
        return module_of(value)
    if isinstance(value, list | tuple):
        return repr([value_text(each, to_text, named) for each in value])
    if isinstance(value, set | frozenset):
        return f"{{{sorted(value_text(each, to_text, named) for each in value)}}}"
    if isinstance(value, dict):
        return repr({repr(key): value_text(each, to_text, named) for key, each in value.items()})
    try:
        return to_text(value, code=lambda code: named.append(code) or "")
    except ValueError:
        named.append(type(value))
        text = repr(value)
        return type(value).__qualname__ if " at 0x" in text else text
