from datetime import UTC, datetime
from uuid import uuid4

import pytest

from bus.seal import SealKeys
from bus.sign import NotVerified, signed, signing_keys, verify
from contracts.event import About, Fact, event_of
from contracts.history import History
from contracts.tofu import TofuAdopted, TofuProgressed
from tofu_runner.proving import gone_of, silent
from tofu_runner.stateversions import Resource

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
AT = datetime(2026, 11, 25, tzinfo=UTC)


def history(*facts: Fact) -> History:
    events = [event_of(fact, ABOUT, source="tofu-runner", cause=uuid4(), at=AT) for fact in facts]
    return History.of(ABOUT.sovereign, list(enumerate(events, 1)))


def progressed(name: str, cloud_id: str, state: str) -> TofuProgressed:
    address = f'hcloud_server.worker["{name}"]'
    body = {"address": address, "resource_type": "hcloud_server", "state": state, "done": 1, "total": 1}
    return TofuProgressed.model_validate(body | {"cloud_id": cloud_id})


def test_each_deletion_of_the_life_is_told_with_the_event_that_saw_it() -> None:
    said = history(progressed("w1", "1", "created"), progressed("w1", "1", "deleted"), progressed("w2", "2", "created"))
    (gone,) = gone_of(said)
    assert (gone.cloud_id, gone.kind) == ("1", "hcloud_server")
    assert gone.seen_by == said.recorded[1].event.id


def test_what_was_there_and_nobody_saw_gone_is_found_whoever_knew_of_it() -> None:
    said = history(
        progressed("w1", "1", "created"),
        progressed("w1", "1", "deleted"),
        progressed("w1", "3", "created"),
        TofuAdopted(address="hcloud_network.private", cloud_id="4"),
    )
    known = [Resource("hcloud_ssh_key.operator", "hcloud_ssh_key", "5"), Resource("hcloud_x.half_made", "hcloud_x", "")]
    assert silent(said, known) == {
        'hcloud_server.worker["w1"]': ("hcloud_server", "3"),
        "hcloud_network.private": ("hcloud_network", "4"),
        "hcloud_ssh_key.operator": ("hcloud_ssh_key", "5"),
    }


def test_a_signature_of_a_rotated_key_still_verifies_and_nobody_elses_does() -> None:
    keys = SealKeys.generate("tofu-runner")
    proof = signed("{}", keys)
    assert verify(proof, signing_keys(keys.rotated())).kid == proof.kid
    with pytest.raises(NotVerified):
        verify(proof, signing_keys(SealKeys.generate("tofu-runner")))
    with pytest.raises(NotVerified):
        verify(proof.model_copy(update={"document": "{ }"}), signing_keys(keys))
    with pytest.raises(NotVerified):
        verify(proof.model_copy(update={"signature": "not base64"}), signing_keys(keys))
