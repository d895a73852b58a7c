"""The command line as a person or a Makefile meets it: another folder, an empty cache, an old Python."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.tools.toolset.environment import variables, write_tofu_config
from deploy.tools.toolset.manifest import load
from deploy.tools.toolset.places import BOX, Cache
from deploy.tools.toolset.sources import in_cache

from .conftest import program

MANIFEST = load(BOX / "manifest.toml")
PROVIDER = MANIFEST.tools["terraform-provider-hcloud"]


def call(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the entry from a folder that is not the checkout, with an empty cache and nothing on PATH."""
    environment = {"PATH": str(folder), "HOME": str(folder), "CATALYST_CACHE": str(folder / "cache"), **variables}
    return subprocess.run(
        [sys.executable, BOX / "tools.py", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=30,
    )


def fill(cache: Cache, name: str) -> Path:
    """Put a stand-in for a tool, and what it needs beside it, into the cache."""
    tool = MANIFEST.tools[name]
    root = cache.tool(name, tool.version)
    for pattern in tool.needs:
        path = root / pattern.replace("*", "x86_64-linux-gnu")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return program((root / tool.inside).parent, tool.inside.name, "#!/bin/sh\n")


def test_help_teaches_the_order_of_commands_and_of_sources(tmp_path: Path) -> None:
    told = call(tmp_path, "--help")
    assert told.returncode == 0
    words = [f"tools.py {command}" for command in ("setup", "ensure", "documents", "doctor")]
    places = [told.stdout.index(word, told.stdout.index("What a fresh checkout needs")) for word in words]
    assert places == sorted(places)
    assert "published checksum" in told.stdout


def test_the_path_of_an_absent_tool_is_one_line_that_says_what_to_type(tmp_path: Path) -> None:
    told = call(tmp_path, "path", "opentofu")
    assert told.returncode == 1
    assert told.stdout == ""
    [line] = told.stderr.splitlines()
    assert "opentofu 1.12.6 is not here" in line
    assert line.endswith("tools.py ensure opentofu")


def test_the_path_of_a_tool_in_the_cache_is_printed_alone(tmp_path: Path) -> None:
    there = fill(Cache(tmp_path / "cache"), "opentofu")
    told = call(tmp_path, "path", "opentofu")
    assert (told.returncode, told.stdout) == (0, f"{there}\n")


def test_doctor_on_an_empty_cache_names_what_the_demo_misses_and_fails(tmp_path: Path) -> None:
    told = call(tmp_path, "doctor")
    assert told.returncode == 1
    assert "terraform-provider-hcloud, powerdns, age, opentofu" in told.stdout.splitlines()[-1]
    rows = {line.split()[0]: line for line in told.stdout.splitlines() if line}
    assert rows["opentofu"].endswith("tools.py ensure opentofu")
    assert rows["asyncapi-specs"].endswith("tools.py documents")
    assert not (tmp_path / "cache" / "tools").exists()


def test_doctor_says_where_a_tool_was_found(tmp_path: Path) -> None:
    fill(Cache(tmp_path / "cache"), "opentofu")
    program(tmp_path, "shellcheck", "#!/bin/sh\necho version: 0.10.0\n")
    rows = {line.split()[0]: line.split() for line in call(tmp_path, "doctor").stdout.splitlines() if line}
    assert rows["opentofu"][2:5] == ["1.12.6", "1.12.6", "cache"]
    assert rows["shellcheck"][2:5] == ["0.9.0+", "0.10.0", "PATH"]


def test_env_of_an_empty_cache_is_empty(tmp_path: Path) -> None:
    told = call(tmp_path, "env")
    assert (told.returncode, told.stdout) == (0, "")


def test_env_tells_programs_all_that_powerdns_needs(cache: Cache) -> None:
    server = fill(cache, "powerdns")
    root = cache.tool("powerdns", MANIFEST.tools["powerdns"].version)
    assert variables(MANIFEST, cache, {"PATH": ""}) == {
        "CATALYST_PDNS_LIBRARY_PATH": "",
        "CATALYST_PDNS_MODULE_DIR": str(root / "usr/lib/x86_64-linux-gnu/pdns"),
        "CATALYST_PDNS_SCHEMA": str(root / "usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"),
        "CATALYST_PDNS_SERVER": str(server),
    }


def test_the_provider_is_served_from_the_cache_and_nobody_is_asked(cache: Cache) -> None:
    fill(cache, PROVIDER.name)
    provider = in_cache(PROVIDER, cache)
    assert provider
    write_tofu_config(provider, cache)
    text = cache.tofu_config.read_text()
    assert f'filesystem_mirror {{\n    path = "{provider.root}"' in text
    assert "direct" not in text
    assert "disable_checkpoint = true" in text
    assert variables(MANIFEST, cache, {"PATH": ""}) == {"CATALYST_TOFU_CLI_CONFIG": str(cache.tofu_config)}


@pytest.mark.parametrize("words", [("path", "terraform"), ("ensure", "terraform")])
def test_an_unknown_tool_is_answered_in_one_line(tmp_path: Path, words: tuple[str, str]) -> None:
    told = call(tmp_path, *words)
    assert told.returncode == 1
    assert told.stderr.startswith("tools: terraform is no tool; there are: ")
    assert len(told.stderr.splitlines()) == 1


def pretend_old(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the entry in a Python that believes to be 3.9."""
    script = (
        "import runpy, sys\n"
        "sys.version_info = (3, 9, 2)\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, BOX / "tools.py", *words],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(folder)},
        timeout=30,
    )


def test_an_old_python_says_in_one_line_what_to_install(tmp_path: Path) -> None:
    told = pretend_old(tmp_path, "setup")
    assert told.returncode == 1
    assert told.stderr.startswith("tools: Python 3.11 or newer is needed and python3 is 3.9: install it")
    assert len(told.stderr.splitlines()) == 1


def test_an_old_python_hands_over_to_a_newer_one_beside_it(tmp_path: Path) -> None:
    program(tmp_path, "python3.11", '#!/bin/sh\necho "newer runs: ${1##*/} $2"\n')
    told = pretend_old(tmp_path, "setup")
    assert (told.returncode, told.stdout) == (0, "newer runs: tools.py setup\n")


def test_the_entry_can_be_read_by_pythons_that_are_too_old() -> None:
    text = (BOX / "tools.py").read_text()
    assert ast.parse(text, feature_version=(3, 7)).body
