"""Debian packages without root: what is taken, and how it is started."""

import shutil
import subprocess
from pathlib import Path

from deploy.tools.toolset.debian import additions, library_folders, write_launcher

from .conftest import program

SIMULATED = """\
Reading package lists...
Inst libluajit-5.1-2 (2.1.0 Debian:12/oldstable [amd64])
Inst libc6 [2.36-9] (2.36-10 Debian:12/oldstable [amd64])
Inst pdns-server (4.7.3-2 Debian:12/oldstable [amd64])
Conf pdns-server (4.7.3-2 Debian:12/oldstable [amd64])
""".splitlines()


def test_the_libraries_that_this_machine_lacks_come_along() -> None:
    assert additions(SIMULATED, ["pdns-server"]) == ["pdns-server", "libluajit-5.1-2"]


def test_a_package_that_is_installed_is_unpacked_all_the_same() -> None:
    assert "pdns-backend-sqlite3" in additions([], ["pdns-backend-sqlite3"])


def test_the_c_library_is_always_the_systems_own() -> None:
    assert "libc6" not in additions(SIMULATED, ["pdns-server"])


def test_only_folders_with_libraries_are_searched(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (tmp_path / "usr/lib/x86_64-linux-gnu/liba.so.1").touch()
    (tmp_path / "usr/lib/systemd").mkdir()
    assert library_folders(tmp_path) == [tmp_path / "usr/lib/x86_64-linux-gnu"]


def test_a_launcher_works_wherever_its_folder_lies_and_through_a_link(tmp_path: Path) -> None:
    program(tmp_path / "first" / "bin", "real", '#!/bin/sh\necho "$LIBRARY: $*"\n')
    write_launcher(
        tmp_path / "first" / "start", ['LIBRARY="$here/lib"', "export LIBRARY", 'exec "$here/bin/real" "$@"']
    )
    moved = Path(shutil.move(tmp_path / "first", tmp_path / "a moved folder"))
    (tmp_path / "link").symlink_to(moved / "start")
    said = subprocess.run([tmp_path / "link", "one", "two words"], check=True, capture_output=True, text=True)
    assert said.stdout == f"{moved}/lib: one two words\n"
