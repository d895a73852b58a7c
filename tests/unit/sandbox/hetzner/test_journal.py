"""What the journal remembers after ends of all sorts."""

import pathlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.hetzner.journal import Change, Journal

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["", "p", "q"]),
        st.sampled_from(["servers", "networks"]),
        st.integers(1, 3),
        st.one_of(st.none(), st.fixed_dictionaries({"n": st.integers(0, 9)})),
    ),
    max_size=20,
)


def _fold(changes: list[Change]) -> dict[tuple[str, str, int], object]:
    held: dict[tuple[str, str, int], object] = {}
    for project, kind, record_id, record in changes:
        held.pop((project, kind, record_id), None)
        if record is not None:
            held[project, kind, record_id] = record
    return held


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(first=CHANGES, second=CHANGES, cut=st.booleans())
def test_the_last_value_of_everything_is_there_after_any_number_of_starts(
    tmp_path: pathlib.Path, first: list[Change], second: list[Change], cut: bool
) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    for changes in (first, second):
        journal = Journal(tmp_path)
        journal.load()
        for change in changes:
            journal.append([change])
        journal.close()
    if cut:
        with (tmp_path / "cloud.jsonl").open("a") as file:
            file.write('[["p","servers",1,{"n"')
    remembered = Journal(tmp_path).load()
    assert {(p, k, i): r for p, k, i, r in remembered} == _fold(first + second)


def test_only_the_owner_can_read_what_is_kept(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path)
    journal.load()
    journal.append([("p", "servers", 1, {"_user_data": "canary"})])
    journal.close()
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
