from pathlib import Path

import pytest

from tofu_runner.admission import admitted, memory_limit, places_for

GIB = 2**30


@pytest.mark.parametrize(
    ("memory", "cores", "places"), [(GIB // 2, 2, 1), (GIB, 2, 2), (8 * GIB, 2, 4), (8 * GIB, 64, 26), (0, 1, 1)]
)
def test_memory_decides_and_cores_bound_it(memory: int, cores: int, places: int) -> None:
    assert places_for(memory, cores) == places


def machine(root: Path, limit: str | None) -> Path:
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text("MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n")
    if limit is not None:
        (root / "sys/fs/cgroup").mkdir(parents=True)
        (root / "sys/fs/cgroup/memory.max").write_text(f"{limit}\n")
    return root


@pytest.mark.parametrize(
    ("limit", "found"), [(str(GIB), GIB), ("max", 4 * GIB), (None, 4 * GIB), (str(64 * GIB), 4 * GIB)]
)
def test_the_limit_is_the_containers_or_what_the_machine_has(tmp_path: Path, limit: str | None, found: int) -> None:
    assert memory_limit(machine(tmp_path, limit)) == found


def test_a_setting_is_taken_as_it_is() -> None:
    assert admitted(7) == 7
    assert admitted(0) >= 1
