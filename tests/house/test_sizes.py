"""Modules, functions and signatures stay small."""

from __future__ import annotations

import ast

from tests.house.project import PACKAGES, Function, functions, python_files, read

MODULE = 300
MODULE_AT_MOST = 500
FUNCTION = 30
FUNCTION_AT_MOST = 50
SHARE_OF_LONGER_FUNCTIONS = 0.03
SHARE_OF_LONGER_MODULES = 0.05
PARAMETERS_AT_MOST = 6


def lines_of_code(function: Function) -> int:
    """Lines from the signature to the end, the docstring left out: explaining is free."""
    end = function.end_lineno or function.lineno
    length = end - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        length -= first.end_lineno - first.lineno + 1
    return length


def parameters(function: Function) -> int:
    """Parameters a caller has to know; `self` and `cls` are not among them."""
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return len([argument for argument in given if argument.arg not in {"self", "cls"}])


def is_command(function: Function) -> bool:
    """Whether its parameters are the options of a command line."""
    return any("command" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_modules_are_short() -> None:
    lengths = {str(path): len(read(path).splitlines()) for path in python_files(*PACKAGES, "tests")}
    assert {path: length for path, length in lengths.items() if length > MODULE_AT_MOST} == {}
    own = {path: length for path, length in lengths.items() if not path.startswith("tests/")}
    longer = {path: length for path, length in own.items() if length > MODULE}
    assert len(longer) <= len(own) * SHARE_OF_LONGER_MODULES, longer


def test_functions_are_short() -> None:
    lengths = {
        f"{path}:{function.lineno} {function.name}": lines_of_code(function)
        for path in python_files(*PACKAGES)
        for function in functions(path)
    }
    assert {name: length for name, length in lengths.items() if length > FUNCTION_AT_MOST} == {}
    longer = {name: length for name, length in lengths.items() if length > FUNCTION}
    assert len(longer) <= len(lengths) * SHARE_OF_LONGER_FUNCTIONS, longer


def test_signatures_are_short() -> None:
    longer = {
        f"{path}:{function.lineno} {function.name}": parameters(function)
        for path in python_files(*PACKAGES)
        for function in functions(path)
        if parameters(function) > PARAMETERS_AT_MOST and not is_command(function)
    }
    assert longer == {}
