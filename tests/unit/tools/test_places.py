"""The cache: folders appear whole or not at all, and one process builds at a time."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.tools.toolset.places import BOX, Cache, whole, write_whole

WITHIN_S = 10


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "tools" / "widget-1"
    with whole(target) as part:
        (part / "widget").write_text("half")
        assert not target.exists()
        (part / "widget").write_text("whole")
    assert (target / "widget").read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["widget-1"]


def fill_and_fail(target: Path) -> None:
    with whole(target) as part:
        (part / "widget").write_text("half")
        raise KeyboardInterrupt


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fill_and_fail(tmp_path / "tools" / "widget-1")
    assert list((tmp_path / "tools").iterdir()) == []


def test_an_interrupted_rebuild_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "tools" / "widget-1"
    with whole(target) as part:
        (part / "widget").write_text("first")
    with pytest.raises(KeyboardInterrupt):
        fill_and_fail(target)
    assert (target / "widget").read_text() == "first"


def test_a_rebuild_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "tools" / "widget-1"
    for text in ("first", "second"):
        with whole(target) as part:
            (part / "widget").write_text(text)
    assert (target / "widget").read_text() == "second"
    assert [path.name for path in target.parent.iterdir()] == ["widget-1"]


def test_what_a_killed_build_left_is_swept_away_and_nothing_else(cache: Cache) -> None:
    left = cache.tools / ".widget-1.abcd.part"
    kept = cache.tools / "widget-1"
    for folder in (left, kept):
        folder.mkdir(parents=True)
    cache.sweep()
    assert list(cache.tools.iterdir()) == [kept]


def test_a_file_is_replaced_in_one_move(tmp_path: Path) -> None:
    target = tmp_path / "tofu.tfrc"
    write_whole(target, "one")
    before = target.stat().st_ino
    write_whole(target, "two")
    assert target.read_text() == "two"
    assert target.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [target]


def test_a_second_process_waits_until_the_first_is_done_and_says_for_whom(cache: Cache) -> None:
    told: list[str] = []
    told_once = threading.Event()
    entered = threading.Event()

    def waiting(text: str) -> None:
        told.append(text)
        told_once.set()

    def second() -> None:
        with cache.lock("tools", waiting):
            entered.set()

    waiter = threading.Thread(target=second)
    with cache.lock("tools", told.append):
        waiter.start()
        assert told_once.wait(WITHIN_S)
        assert not entered.is_set()
    assert entered.wait(WITHIN_S)
    waiter.join(WITHIN_S)
    assert told == [f"waiting for process {os.getpid()}, which holds {cache.root / 'locks' / 'tools'}"]


def test_locks_of_other_names_do_not_wait(cache: Cache) -> None:
    with cache.lock("tools", pytest.fail), cache.lock("documents", pytest.fail):
        pass


def test_a_killed_holder_blocks_nobody(cache: Cache) -> None:
    holding = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from toolset.places import Cache\n"
        "with Cache(pathlib.Path(sys.argv[2])).lock('tools', print):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(BOX), str(cache.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait(WITHIN_S)
        with cache.lock("tools", pytest.fail):
            pass


def test_children_keep_every_cache_of_theirs_in_ours(cache: Cache) -> None:
    theirs = cache.environment({"PATH": "/bin", "GOPATH": "/elsewhere", "PIP_CACHE_DIR": "/elsewhere"})
    folders = ("GOPATH", "GOCACHE", "GOMODCACHE", "PIP_CACHE_DIR", "UV_CACHE_DIR", "npm_config_cache", "TMPDIR")
    assert all(Path(theirs[name]).is_relative_to(cache.root) for name in folders)
    assert theirs["PATH"] == "/bin"


def test_a_program_that_is_asked_for_its_version_leaves_nothing_in_the_home_directory(cache: Cache) -> None:
    theirs = cache.secluded({"XDG_CONFIG_HOME": "/home/ada/settings"})
    folders = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    assert all(Path(theirs[name]).is_relative_to(cache.root) for name in folders)
    assert theirs["GOENV"] == "/home/ada/settings/go/env"


def test_patience_with_a_registry_is_short_unless_a_person_chose_otherwise(cache: Cache) -> None:
    assert cache.environment({})["PIP_DEFAULT_TIMEOUT"] == "5"
    assert cache.environment({"PIP_DEFAULT_TIMEOUT": "60"})["PIP_DEFAULT_TIMEOUT"] == "60"


def test_the_cache_is_where_the_variable_says_or_below_home(tmp_path: Path) -> None:
    assert Cache.from_environment({"CATALYST_CACHE": str(tmp_path)}).root == tmp_path.resolve()
    assert Cache.from_environment({}).root == Path.home() / ".cache" / "catalyst-zero"
