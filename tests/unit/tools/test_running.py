"""Other programs: their end is our exception, and none outlives its time."""

import time
from pathlib import Path

import pytest

from deploy.tools.toolset.running import ProgramFailedError, run

BARE = {"PATH": "/usr/bin:/bin"}


def test_lines_are_heard_while_the_program_runs_and_given_at_its_end() -> None:
    heard: list[str] = []
    lines = run(["sh", "-c", "echo one; echo two >&2"], environment=BARE, within_s=10, heard=heard.append)
    assert lines == heard == ["one", "two"]


def test_a_failed_program_is_shown_by_its_last_lines() -> None:
    counting = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done; exit 3"
    with pytest.raises(ProgramFailedError) as failed:
        run(["sh", "-c", counting], environment=BARE, within_s=10)
    assert "sh ended with 3" in str(failed.value)
    assert "line 39" in str(failed.value)
    assert "line 1\n" not in str(failed.value)


def test_a_program_that_takes_too_long_is_stopped() -> None:
    begun = time.monotonic()
    with pytest.raises(ProgramFailedError, match="was stopped after 0 s"):
        run(["sh", "-c", "exec tail -f /dev/null"], environment=BARE, within_s=0.3)
    assert time.monotonic() - begun < 5


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailedError, match="absent cannot be started"):
        run([tmp_path / "absent"], environment=BARE, within_s=1)


def test_a_program_does_not_outlive_the_one_who_listens(tmp_path: Path) -> None:
    ended = tmp_path / "ended"

    def interrupted(_line: str) -> None:
        raise KeyboardInterrupt

    waiting = f"trap 'touch {ended}; exit' TERM; echo ready; while :; do sleep 0.05; done"
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", waiting], environment=BARE, within_s=10, heard=interrupted)
    assert ended.exists()
