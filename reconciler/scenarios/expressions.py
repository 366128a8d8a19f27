"""The small language in which a story chooses buckets: `0 <= b < min(t-3, 25) and lost > 0`.

Numbers, names, + - * / //, comparisons, and, or, not, floor, min, max: nothing else. Names may stand for arrays; the
answer is then an array.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reconciler.scenarios.sections import StoryError

# What a bucket is called by, and the instant; the rest are the true parts of its cell.
NAMES = frozenset(
    {"b", "t", "accepted", "processed", "accounted", "retained", "working", "passed_over", "lost", "surplus", "doomed"}
)
_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_COMPARED: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_CALLED: dict[str, Callable[..., Any]] = {"floor": np.floor, "min": np.minimum, "max": np.maximum}


class Expression:
    """One condition, checked when it is read."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise StoryError(f"{path}: not an expression: {text!r}") from error
        self.names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)} - set(_CALLED)
        unknown = self.names - NAMES
        if unknown:
            raise StoryError(f"{path}: {', '.join(sorted(unknown))} in {text!r} is none of {', '.join(sorted(NAMES))}")
        for node in ast.walk(self._tree):
            if not isinstance(node, _ALLOWED):
                raise StoryError(f"{path}: {type(node).__name__} has no meaning in {text!r}")

    def __call__(self, values: Mapping[str, Any]) -> Any:
        return _value(self._tree, values)


_ALLOWED = (
    ast.BinOp,
    ast.BoolOp,
    ast.Call,
    ast.Compare,
    ast.Constant,
    ast.Load,
    ast.Name,
    ast.Not,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.USub,
    *_BINARY,
    *_COMPARED,
)


def _value(node: ast.AST, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() as constant):
            return constant
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left=left, op=kind, right=right):
            return _BINARY[type(kind)](_value(left, values), _value(right, values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(_value(operand, values))
        case ast.BoolOp(op=kind, values=parts):
            joined = np.logical_and if isinstance(kind, ast.And) else np.logical_or
            return joined.reduce(np.broadcast_arrays(*(_value(part, values) for part in parts)))
        case ast.Compare():
            return _compared(node, values)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _CALLED:
            return _CALLED[name](*(_value(argument, values) for argument in arguments))
    raise StoryError(f"{ast.unparse(node)} has no meaning here")


def _compared(node: ast.Compare, values: Mapping[str, Any]) -> Any:
    """`0 <= b < 5` holds where each of its steps does."""
    sides = [_value(side, values) for side in (node.left, *node.comparators)]
    held: Any = True
    for kind, left, right in zip(node.ops, sides, sides[1:], strict=False):
        held = np.logical_and(held, _COMPARED[type(kind)](left, right))
    return held
