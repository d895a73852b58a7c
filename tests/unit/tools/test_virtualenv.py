"""`setup`: what makes it work again, and what makes it free."""

import io
import shutil
from pathlib import Path

import pytest

from deploy.tools.toolset.places import CHECKOUT, Cache
from deploy.tools.toolset.progress import Progress
from deploy.tools.toolset.virtualenv import (
    NotSetUpError,
    VirtualEnvironment,
    fingerprint,
    members,
    pinned,
)

from .conftest import program

PYTHON = "#!/bin/sh\necho True\n"
UV = """#!/bin/sh
[ "$1" = --version ] && { echo "uv 1.2.3 (linux)"; exit; }
echo "$@" >> "$VIRTUAL_ENV/asked"; %s
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small workspace whose .venv holds a uv that only notes what it is asked."""
    root = tmp_path / "checkout"
    for folder in ("libs/contracts", "services/intake", "cli"):
        (root / folder).mkdir(parents=True)
        (root / folder / "pyproject.toml").write_text(f"[project]\nname = '{folder}'\n")
    (root / "services/notes").mkdir()
    (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["libs/*", "services/*", "cli"]\n')
    (root / "constraints.txt").write_text("pydantic==2.14.3\nuv==1.2.3\n")
    program(root / ".venv" / "bin", "python", PYTHON)
    program(root / ".venv" / "bin", "uv", UV % ":")
    return root


@pytest.fixture
def environment(checkout: Path, cache: Cache) -> VirtualEnvironment:
    children = cache.environment({"PATH": "/usr/bin:/bin"})
    return VirtualEnvironment(checkout, cache, children, Progress(io.StringIO()))


def asked(checkout: Path) -> list[str]:
    path = checkout / ".venv" / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_every_member_is_installed_for_editing_with_the_pins_and_the_development_group(
    environment: VirtualEnvironment, checkout: Path
) -> None:
    assert environment.set_up()
    assert asked(checkout) == [
        "pip install -c constraints.txt -e ./cli -e ./libs/contracts -e ./services/intake --group dev"
    ]


def test_a_second_setup_has_nothing_to_do(environment: VirtualEnvironment, checkout: Path) -> None:
    environment.set_up()
    assert environment.up_to_date()
    assert not environment.set_up()
    assert len(asked(checkout)) == 1


@pytest.mark.parametrize("changed", ["constraints.txt", "pyproject.toml", "services/intake/pyproject.toml"])
def test_a_change_in_what_is_wanted_installs_again(
    environment: VirtualEnvironment, checkout: Path, changed: str
) -> None:
    environment.set_up()
    with (checkout / changed).open("a") as file:
        file.write("# changed\n")
    assert environment.set_up()
    assert len(asked(checkout)) == 2


def test_a_new_member_installs_again(environment: VirtualEnvironment, checkout: Path) -> None:
    environment.set_up()
    (checkout / "services/notes/pyproject.toml").write_text("[project]\n")
    assert environment.set_up()
    assert "-e ./services/notes" in asked(checkout)[-1]


def test_an_installation_that_failed_is_not_taken_for_done(environment: VirtualEnvironment, checkout: Path) -> None:
    program(checkout / ".venv" / "bin", "uv", UV % "exit 1")
    with pytest.raises(Exception, match="uv ended with 1"):
        environment.set_up()
    assert not environment.up_to_date()


def test_a_moved_checkout_is_set_up_again(checkout: Path, tmp_path: Path) -> None:
    before = fingerprint(checkout)
    moved = Path(shutil.move(checkout, tmp_path / "elsewhere"))
    assert fingerprint(moved) != before


def test_an_installer_without_a_pin_is_refused_with_what_to_add(checkout: Path) -> None:
    (checkout / "constraints.txt").write_text("pydantic==2.14.3\n")
    with pytest.raises(NotSetUpError, match=r"constraints\.txt pins no uv: add a line"):
        pinned(checkout, "uv")


def test_the_members_of_this_checkout_are_its_libraries_services_cli_and_sandbox() -> None:
    names = {str(path.relative_to(CHECKOUT)) for path in members(CHECKOUT)}
    assert {"libs/contracts", "libs/bus", "services/intake", "services/gateway", "cli", "sandbox"} <= names
