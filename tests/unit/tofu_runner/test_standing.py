"""Where a run stands, read from its history."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from contracts.errors import trouble
from contracts.event import About, Event, Fact
from contracts.history import History
from contracts.node import NodeEnrolled, NodeReported
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignFailed,
    SovereignRequested,
)
from contracts.tofu import TofuApplied, TofuFailed, TofuInterrupted, TofuProgressed, TofuStarted, TofuWaiting
from tests.deliver import ABOUT, history_of, said
from tofu_runner import standing

SECOND = About(**{**ABOUT.model_dump(), "run": 2})
STARTED = TofuStarted(action="apply", fencing_token=1)
APPLIED = TofuApplied(
    add=1,
    change=0,
    destroy=0,
    nodes=(),
    load_balancer_id=1,
    load_balancer_ipv4="127.64.0.1",
    network_id=1,
    state_serial=1,
)
FAILED = TofuFailed(trouble=trouble("conflict", attempted="x", on="y"))


REQUEST = {
    "request_id": UUID(int=1),
    "shape": {
        "organisation": {"name": "Acme"},
        "topology": {"region": "fsn1"},
        "domain": {"fqdn": "demo.omani.works"},
        "ssh_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx0yT6ZHzmYqNPbzkAdEWDHqgVqZdYVOkOJ0n2PpQ2M a",
    },
    "body_digest": "0" * 64,
    "admin_ref": "demo_omani_works.1.admin",
}
RETRY = SovereignRequested.model_validate(REQUEST | {"kind": "retry"})
FIRST = TofuStarted(action="apply", fencing_token=1, first_server="demo-cp1")


def report(server: str, state: str, sequence: int) -> NodeReported:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return NodeReported.model_validate(
        {"server": server, "stage": "k3s", "number": 3, "state": state, "sequence": sequence, "at": now}
    )


def created(server: str) -> TofuProgressed:
    address = f'hcloud_server.control_plane["{server}"]'
    return TofuProgressed(address=address, resource_type="hcloud_server", state="created", done=1, total=1)


def read(*facts: Fact | Event[Fact]) -> History:
    return history_of(*facts)


def test_a_run_is_to_do_until_its_outcome_is_said() -> None:
    assert standing.to_do(read(), 1)
    assert standing.to_do(read(STARTED), 1)
    assert not standing.to_do(read(STARTED, APPLIED), 1)
    assert not standing.to_do(read(STARTED, FAILED), 1)
    assert not standing.to_do(read(STARTED, TofuInterrupted(why="cancelled")), 1)
    assert not standing.to_do(read(STARTED, TofuInterrupted(why="deadline")), 1)


def test_a_shutdown_is_no_outcome() -> None:
    assert standing.to_do(read(STARTED, TofuInterrupted(why="shutdown")), 1)


def test_an_outcome_counts_for_its_own_run_only() -> None:
    assert standing.to_do(read(STARTED, APPLIED, said(STARTED, SECOND)), 2)


def test_a_newer_run_a_cancel_or_a_decommission_ends_what_is_to_do() -> None:
    assert not standing.to_do(read(STARTED, said(STARTED, SECOND)), 1)
    assert not standing.to_do(read(STARTED, SovereignCancelRequested()), 1)
    assert not standing.to_do(read(STARTED, SovereignDecommissionRequested()), 1)
    assert standing.stop_wanted(read(STARTED, SovereignCancelRequested()), 1) == "cancelled"


def test_a_cancel_of_the_first_run_does_not_stop_the_second() -> None:
    history = read(SovereignCancelRequested(), TofuInterrupted(why="cancelled"), said(STARTED, SECOND))
    assert standing.stop_wanted(history, 2) == ""


def test_a_deadline_is_told_apart_from_a_cancel() -> None:
    late = SovereignFailed(cause=uuid4(), trouble=trouble("run-deadline", attempted="x", on="y"))
    assert standing.stop_wanted(read(STARTED, late), 1) == "deadline"


def test_who_waits_is_parked_until_it_begins_anew() -> None:
    waiting = TofuWaiting(why="capacity")
    assert standing.parked(read(STARTED, waiting), 1)
    assert not standing.parked(read(waiting, STARTED), 1)
    assert not standing.parked(read(STARTED), 1)


def test_a_retry_makes_a_node_anew_whose_last_word_was_a_failed_stage_and_only_once() -> None:
    failed = (FIRST, report("demo-cp1", "begun", 1), report("demo-w1", "done", 1), report("demo-cp1", "failed", 2))
    assert standing.broken_nodes(read(*failed)) == (), "nobody asked for a retry"
    assert standing.broken_nodes(read(*failed, RETRY)) == ("demo-cp1",)
    assert standing.broken_nodes(read(*failed, RETRY, created("demo-cp1"))) == ()
    assert standing.broken_nodes(read(*failed, RETRY, created("demo-w1"))) == ("demo-cp1",)


def test_a_first_node_that_never_handed_in_is_made_anew_and_one_that_did_is_not() -> None:
    late = SovereignFailed(cause=uuid4(), trouble=trouble("enrol-timeout", attempted="x", on="y"))
    assert standing.broken_nodes(read(FIRST, report("demo-cp1", "begun", 1), late, RETRY)) == ("demo-cp1",)
    enrolled = NodeEnrolled.model_validate(
        {
            "server": "demo-cp1",
            "kubeconfig": {"reader": "flux-watcher", "name": "k", "kid": "1", "sha256": "0" * 64},
            "body_sha256": "0" * 64,
        }
    )
    assert standing.broken_nodes(read(FIRST, late, enrolled, report("demo-w1", "failed", 3), RETRY)) == ("demo-w1",)
