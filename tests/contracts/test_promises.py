"""``docs/promises.md``: each row is well formed, and each test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "promises.md"
_ROW = re.compile(r"^\| (?P<section>[^|]+) \| (?P<promise>[^|]+) \| (?P<keeper>[^|]+) \|$")
_TEST = re.compile(r"`(?P<path>tests/[\w/]+\.py)::(?P<name>test_\w+)`")
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


@pytest.mark.parametrize("row", ROWS)
def test_a_promise_names_a_test_that_exists_or_says_that_it_is_not_kept(row: str) -> None:
    parts = _ROW.match(row)
    assert parts, "a row has three cells: section, promise, kept by"
    keeper = parts["keeper"]
    if keeper.startswith("not yet kept"):
        return
    named = _TEST.fullmatch(keeper)
    assert named, f"neither a test nor 'not yet kept': {keeper}"
    assert (ROOT / named["path"]).exists(), f"{named['path']} is no file"
    assert named["name"] in names_in(named["path"]), f"{named['path']} has no {named['name']}"


def test_no_promise_is_listed_twice() -> None:
    promises = [row.split("|")[2] for row in ROWS]
    assert len(promises) == len(set(promises))
