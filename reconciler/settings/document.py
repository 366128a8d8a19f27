"""A YAML file as plain values, with the line of every key, nothing guessed and nothing taken twice.

YAML 1.1 reads `on` as true, `12:30` as a number and `2021-07-20` as a date. Here only null, true, false and plain
numbers are anything but text, as in the YAML 1.2 core, so that a stage may be called `on`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from reconciler.errors import ConfigError

Place = tuple[str | int, ...]
"""Where in the file something stands: the keys from the top, and positions in lists."""

MOST_VALUES = 250_000
"""A file that says a value by reference ten times, and that ten times, and so on, must not fill the memory."""

_TAG = "tag:yaml.org,2002:"
_PLAIN = re.compile(r"[\w-]+")
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{(?P<odd>[^}]*)\}?")


class Problem(NamedTuple):
    """One thing that is wrong, and where it stands."""

    place: Place
    reason: str


@dataclass(slots=True)
class Document:
    """What a file says, before it is known whether that makes sense."""

    name: str
    """The file, as the person named it."""
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    """Line of each key and list item, from 1."""
    problems: list[Problem] = field(default_factory=list)

    def describe(self, problem: Problem) -> str:
        """``line 12: pipelines.batch.bucket: is 0s, …``."""
        line, path = self._line(problem.place), show(problem.place)
        return f"{f'line {line}: ' if line else ''}{f'{path}: ' if path else ''}{problem.reason}"

    def error(self, problems: list[Problem]) -> ConfigError:
        """All problems in one error, in the order of the file."""
        ordered = sorted(problems, key=lambda problem: self._line(problem.place))
        said = list(dict.fromkeys(self.describe(problem) for problem in ordered))
        count = "one thing is" if len(said) == 1 else f"{len(said)} things are"
        return ConfigError("\n  ".join([f"{self.name}: {count} wrong", *said]))

    def _line(self, place: Place) -> int:
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)


def show(place: Place) -> str:
    """``pipelines.batch.hops[0].from``; a key that is no plain word is quoted."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _PLAIN.fullmatch(step) else f'"{step}"')
    return text


def parse_document(name: str, text: str, environment: Mapping[str, str]) -> Document:
    """Read the text of a YAML file; raises `ConfigError` only where it is no YAML at all."""
    document = Document(name)
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
        if node is not None:
            document.data = _Walk(document, environment).value(node, ())
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{name}: is not YAML\n  {where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: is not YAML\n  {error}") from None
    return document


class _CoreLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the name and shape are PyYAML's


_CoreLoader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL)?$"), ["~", "n", "N", ""])
_CoreLoader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_CoreLoader.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?[0-9]{1,18}$"), list("-+0123456789"))
_CoreLoader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})$"), list("-+.0123456789")
)


@dataclass(slots=True)
class _Walk:
    """Turns the nodes of one document into values."""

    document: Document
    environment: Mapping[str, str]
    open: list[int] = field(default_factory=list)
    """Ids of the nodes being read, to notice one that holds itself."""
    left: int = MOST_VALUES

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ConfigError(f"{self.document.name}: unfolds into more than {MOST_VALUES:,} values; use fewer aliases")
        self.document.lines.setdefault(place, node.start_mark.line + 1)
        if id(node) in self.open:
            return self._wrong(place, "holds itself")
        self.open.append(id(node))
        try:
            match node:
                case yaml.MappingNode() if node.tag == f"{_TAG}map":
                    return self._mapping(node, place)
                case yaml.SequenceNode() if node.tag == f"{_TAG}seq":
                    return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
                case yaml.ScalarNode():
                    return self._scalar(node, place)
            return self._wrong(place, f"has the tag {node.tag}, which means nothing here")
        finally:
            self.open.pop()

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(place, f"line {line} has a key that is not text")
                continue
            inner = (*place, str(key_node.value))
            if key_node.value in values:
                self._wrong(inner, f"is said twice, on line {self.document.lines[inner]} and on line {line}")
                continue
            self.document.lines[inner] = line
            values[key_node.value] = self.value(value_node, inner)
        return values

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "str":
                return self._substitute(text, place)
        return self._wrong(place, f"has the tag {node.tag}, which means nothing here")

    def _substitute(self, text: str, place: Place) -> str:
        def replace(found: re.Match[str]) -> str:
            name, default = found["name"], found["default"]
            if found[0] == "$$":
                return "$"
            if name is None:
                self._wrong(place, f"has {found[0]}, which is neither ${{NAME}} nor ${{NAME:-default}}")
            elif value := self.environment.get(name, ""):
                return value
            elif default is not None:
                return str(default)
            else:
                state = "empty" if name in self.environment else "not set"
                self._wrong(place, f"needs the environment variable {name}, which is {state}")
            return ""

        return _VARIABLE.sub(replace, text)

    def _wrong(self, place: Place, reason: str) -> None:
        self.document.problems.append(Problem(place, reason))
