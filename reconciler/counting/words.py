"""How each engine says what the questions need: time, text, hashes by its dialect, and the reading of JSON."""

from dataclasses import dataclass

from reconciler.connectors._sql_dialects import DIALECTS, Dialect


@dataclass(frozen=True, slots=True)
class Words:
    """How one engine says what is said differently."""

    dialect: Dialect
    matches: str
    """Whether the text `{x}` matches the regular expression `{regex}` from its first letter to its last."""
    instant: str
    """Text as an instant in UTC; NULL where it is none."""
    whole: str
    """Whether the text `line` is one object of JSON, and nothing else."""
    step: str
    """One `{part}` of a path into JSON."""
    keys: str
    """The keys of the object at `{path}` of the JSON `r_json`, as a list."""
    repeated: str
    """Whether a list `{x}` holds anything twice."""
    member: str
    """What is at `{path}` of the JSON `r_json`, as text; `{struct}`: the path as a type, `{dotted}`: as a name."""


DUCKDB = Words(
    DIALECTS["duckdb"],
    matches="regexp_matches({x}, '{regex}')",
    instant="TRY_CAST({x} AS TIMESTAMPTZ)",
    whole="CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE FALSE END",
    step='."{part}"',
    keys="json_keys(r_json, '{path}')",
    repeated="COALESCE(len({x}) > len(list_distinct({x})), FALSE)",
    member="json_extract_string(r_json, '{path}')",
)

_STRICT = "MAP('allowSingleQuotes', 'false')"
_PAIR = r"[\\]u[dD][89abAB][0-9a-fA-F]{2}[\\]u[dD][c-fC-F][0-9a-fA-F]{2}"
SPARK = Words(
    DIALECTS["databricks"],
    # `$` of Java is content before a line's end, too; what it found is then not all there is.
    matches="(REGEXP_EXTRACT({x}, '{regex}', 0) = {x} AND {x} <> '')",
    # Hours alone in a zone, and a clock without seconds, are not read by it.
    instant="TRY_CAST(REGEXP_REPLACE(REGEXP_REPLACE({x}, '^(.{{16}})(Z|[+-].*)?$', '$1:00$2'),"
    " '(?<=[:.][0-9]{{1,9}})([+-][0-9]{{2}})$', '$1:00') AS TIMESTAMP)",
    # What follows the end of a value goes unread by it. No text is sound in a list and in an object but one value.
    whole=f"COALESCE(SIZE(FROM_JSON(CONCAT('[', line, ']'), 'ARRAY<STRING>', {_STRICT})) = 1"
    f" AND FROM_JSON(CONCAT('{{\"r\":', line, '}}'), 'r STRING', {_STRICT}).r IS NOT NULL"
    " AND SUBSTR(TRIM(LEADING CONCAT(' ', CHR(9), CHR(13)) FROM line), 1, 1) = '{'"
    # An escape that is half of a letter: looked for behind escaped backslashes and whole pairs.
    f" AND NOT REGEXP_REPLACE(REPLACE(line, CONCAT(CHR(92), CHR(92)), ''), '{_PAIR}', '') RLIKE '[\\\\]u[dD][89a-fA-F]'"
    " AND IS_VALID_UTF8(line), FALSE)",
    step=".{part}",
    keys="JSON_OBJECT_KEYS(COALESCE(GET_JSON_OBJECT(r_json, '{path}'), ''))",
    repeated="COALESCE(SIZE({x}) > SIZE(ARRAY_DISTINCT({x})), FALSE)",
    # A variant keeps the digits of a fraction, and knows no NaN.
    member="COALESCE(TRY_VARIANT_GET(TRY_PARSE_JSON(r_json), '{path}', 'STRING'),"
    f" FROM_JSON(r_json, '{{struct}}', {_STRICT}).{{dotted}})",
)
