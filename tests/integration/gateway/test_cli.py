import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bus import answer
from bus.seal import SealKeys
from bus.sign import signed, signing_keys
from contracts.catalogue import APPROVE, FLUX, KEYS, RESTORE, STATE, STATE_VERSIONS, SUBMIT, TOFU, TOKEN
from contracts.proof import Gone, Proof
from contracts.questions import (
    Accepted,
    Approve,
    Asker,
    KeysReply,
    Nothing,
    OfSovereign,
    OfState,
    Restore,
    StateReply,
    StateVersion,
    StateVersionsReply,
    Submit,
    Token,
    TokenReply,
)
from contracts.request import SealedSecret
from contracts.tofu import TofuDestroyed, TofuPlanned
from tests.integration.gateway.conftest import OPERATOR, OTHER, VIEWER, Edge, EdgeOf, StandIn
from tests.integration.gateway.conftest import TOKEN as API_TOKEN
from tests.requests import CLOUD_TOKEN, SSH_KEY
from tests.unit.gateway import story


def environment(edge: Edge, *, token: str = API_TOKEN) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "CATALYST_URL": edge.url, "CATALYST_API_TOKEN": token, "HOME": "/nonexistent"}


async def catalyst(edge: Edge, *arguments: str, stdin: str = "", token: str = API_TOKEN) -> tuple[int, str, str]:
    """Run the command as a person does: its own process, the gateway by HTTP."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "catalyst",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(edge, token=token),
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_request_is_sealed_on_the_way_and_its_answer_printed(
    edge_of: EdgeOf, stand_in: StandIn, tmp_path: Path
) -> None:
    edge = await edge_of()
    keys = SealKeys.generate(TOFU)
    taken: list[dict[str, Any]] = []

    async def tell_keys(_request: Nothing, _asker: Asker | None) -> KeysReply:
        return KeysReply(service=TOFU, keys=keys.public())

    async def judge(_request: Token, _asker: Asker | None) -> TokenReply:
        return TokenReply(valid=True, can_write=True)

    async def accept(request: Submit, asker: Asker | None) -> Accepted:
        assert asker is not None
        taken.append({**request.body, "asker": asker.actor})
        return Accepted(sovereign=story.ID, life=1, run=1, event_id=story.CAUSE)

    await stand_in(answer(KEYS[TOFU], tell_keys), answer(TOKEN, judge), answer(SUBMIT, accept))
    key = tmp_path / "key.pub"
    key.write_text(SSH_KEY)
    flags = ("--fqdn", story.FQDN, "--organisation", "Omantel", "--email", "a@example.org", "--region", "fsn1")
    code, out, err = await catalyst(
        edge, "request", *flags, "--ssh-key", str(key), "--token-file", "-", stdin=CLOUD_TOKEN + "\n"
    )
    assert (code, err) == (0, "")
    assert "run 1 accepted" in out
    assert taken[0]["asker"] == "ada"
    sent = json.dumps(taken[0])
    assert CLOUD_TOKEN not in sent
    secret = taken[0]["secrets"][0]
    assert keys.open(SealedSecret.model_validate(secret), bound_to=story.ID) == CLOUD_TOKEN.encode()


async def test_watch_prints_a_line_per_fact_and_ends_when_the_sovereign_is_handed_over(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    facts = story.facts()
    await edge.say(*facts)
    code, out, err = await catalyst(edge, "watch", story.FQDN)
    assert (code, err) == (0, "")
    assert "hr.ready" in out
    assert out.count("hr.ready") == len(story.KIT)
    assert "Handed over" in out


async def test_watch_as_json_gives_the_very_events_and_a_failed_run_its_own_exit_code(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await edge.say(story.requested(), story.failure())
    code, out, err = await catalyst(edge, "watch", story.FQDN, "--json")
    assert code == 5
    assert [json.loads(row)["type"] for row in out.splitlines()] == ["sovereign.requested.v1", "sovereign.failed.v1"]
    assert "Read & Write" in err


async def test_show_events_and_replay_tell_the_same_story(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    facts = story.facts()
    await edge.say(*facts)
    code, out, _ = await catalyst(edge, "show", story.FQDN)
    assert (code, "Handed over" in out) == (0, True)
    code, out, _ = await catalyst(edge, "events", story.FQDN, "--only", "tofu")
    assert {json.loads(row)["event"]["type"].split(".")[0] for row in out.splitlines()} == {"tofu"}
    code, out, _ = await catalyst(edge, "replay", story.FQDN, "--at", "1", "--json")
    assert json.loads(out)["sentence"] == "Reserving demo.omani.works."


async def test_errors_are_two_lines_with_what_to_do_and_codes_that_scripts_can_tell_apart(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    code, _, err = await catalyst(edge, "show", "nothing.omani.works")
    assert (code, len(err.splitlines())) == (4, 2)
    assert "catalyst list" in err
    code, _, err = await catalyst(edge, "list", token="wrong")
    assert code == 4
    assert "login-required" in err
    lost = Edge("http://127.0.0.1:9", edge.bus_of, edge.http, edge.settings)
    code, _, err = await catalyst(lost, "list")
    assert code == 3
    assert "CATALYST_URL" in err
    code, _, _ = await catalyst(edge, "show", "not a name")
    assert code == 2


async def test_a_proof_is_verified_with_the_installations_keys_and_a_changed_one_is_not(
    edge_of: EdgeOf, stand_in: StandIn, tmp_path: Path
) -> None:
    edge = await edge_of()
    keys = SealKeys.generate(TOFU)

    async def tell_keys(_request: Nothing, _asker: Asker | None) -> KeysReply:
        return KeysReply(service=TOFU, keys=keys.public(), signing=signing_keys(keys))

    await stand_in(answer(KEYS[TOFU], tell_keys))
    gone = Gone(address="hcloud_network.private", cloud_id="42", kind="hcloud_network", seen_by=story.CAUSE)
    document = Proof(
        sovereign=story.ID,
        owner="omantel",
        life=1,
        gone=(gone,),
        left=("hcloud_volume data (7)",),
        inventory_at=datetime(2026, 11, 25, tzinfo=UTC),
    ).model_dump_json()
    await edge.say(*story.facts(), TofuDestroyed(gone=(gone,), proof=signed(document, keys)))

    code, out, err = await catalyst(edge, "proof", "get", story.FQDN)
    assert (code, err) == (0, "")
    file = tmp_path / "proof.json"
    file.write_text(out)
    code, out, _ = await catalyst(edge, "proof", "verify", str(file))
    assert code == 0
    assert out.startswith("Verified")
    assert "hcloud_network.private" in out
    assert "left  hcloud_volume data (7)" in out

    file.write_text(file.read_text().replace("hcloud_network.private", "hcloud_network.another"))
    code, _, err = await catalyst(edge, "proof", "verify", str(file))
    assert code == 4
    assert "NOT verified" in err


async def test_logs_are_printed_and_followed_from_where_the_printing_ended(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await edge.say(story.requested())
    watcher = await edge.bus_of(FLUX)
    await watcher.logs.say(story.ID, "helm-controller", 1, ["installing cilium"])
    async with asyncio.timeout(60):
        while not (await catalyst(edge, "logs", story.FQDN))[1]:
            pass
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "catalyst", "logs", story.FQDN, "--follow", "--json",
        stdout=asyncio.subprocess.PIPE, env=environment(edge),
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        texts = [json.loads(await process.stdout.readline())["text"]]
        await watcher.logs.say(story.ID, "helm-controller", 1, ["cilium is ready"])
        texts.append(json.loads(await process.stdout.readline())["text"])
    process.terminate()
    await process.wait()
    assert texts == ["installing cilium", "cilium is ready"]


async def test_the_states_versions_are_listed_pulled_and_restored_by_command(
    edge_of: EdgeOf, stand_in: StandIn
) -> None:
    edge = await edge_of()
    await edge.say(*story.facts())
    asked: list[tuple[OfSovereign, Asker | None]] = []
    rows = (
        StateVersion(serial=9, written_under=4, stored_bytes=12345, resources=14, newest=True),
        StateVersion(serial=8, written_under=3, stored_bytes=12001, resources=12),
    )

    async def versions(request: OfSovereign, asker: Asker | None) -> StateVersionsReply:
        asked.append((request, asker))
        return StateVersionsReply(versions=rows)

    async def one(request: OfState, asker: Asker | None) -> StateReply:
        asked.append((request, asker))
        return StateReply(serial=request.serial or 9, document='{"serial": 9}')

    async def restored(request: Restore, asker: Asker | None) -> Accepted:
        asked.append((request, asker))
        return Accepted(sovereign=request.sovereign, life=1, run=1, event_id=story.CAUSE)

    await stand_in(answer(STATE_VERSIONS, versions), answer(STATE, one), answer(RESTORE, restored))
    code, out, err = await catalyst(edge, "state", "versions", story.FQDN)
    assert (code, err) == (0, "")
    newest, older = out.splitlines()
    assert newest.split() == ["9", "14", "resources", "12345", "bytes", "newest"]
    assert older.split() == ["8", "12", "resources", "12001", "bytes"]
    code, out, _ = await catalyst(edge, "state", "versions", story.FQDN, "--json")
    assert [row["serial"] for row in json.loads(out)["versions"]] == [9, 8]

    code, out, _ = await catalyst(edge, "state", "pull", story.FQDN)
    assert (code, json.loads(out)) == (0, {"serial": 9})
    assert asked[-1][0] == OfState(sovereign=story.ID, serial=0)
    await catalyst(edge, "state", "pull", story.FQDN, "--serial", "8")
    assert asked[-1][0] == OfState(sovereign=story.ID, serial=8)

    code, out, _ = await catalyst(edge, "state", "restore", story.FQDN, "--serial", "8", "--reason", "edited by hand")
    assert (code, "restore of version 8 accepted" in out) == (0, True)
    request, asker = asked[-1]
    assert request == Restore(sovereign=story.ID, serial=8, reason="edited by hand")
    assert asker is not None
    assert asker.actor == "ada"

    count = len(asked)
    code, _, err = await catalyst(edge, "state", "restore", story.FQDN, "--serial", "8")
    assert (code, "--reason" in err) == (2, True)
    for token, refusal in ((VIEWER, "not-allowed"), (OTHER, "unknown-sovereign")):
        code, _, err = await catalyst(edge, "state", "pull", story.FQDN, token=token)
        assert code == 4
        assert refusal in err or token == OTHER, err
    assert len(asked) == count, "whoever may not is not even asked for"


async def test_a_plan_is_approved_by_an_approver_of_the_owner_and_by_nobody_else(
    edge_of: EdgeOf, stand_in: StandIn
) -> None:
    edge = await edge_of()
    digest = "ab" * 32
    planned = TofuPlanned(add=0, change=0, destroy=1, digest=digest, needs_approval=True, reasons=("w1 goes",))
    await edge.say(story.requested(), planned)
    approved: list[Approve] = []

    async def approve(request: Approve, _asker: Asker | None) -> Accepted:
        approved.append(request)
        return Accepted(sovereign=request.sovereign, life=1, run=1, event_id=story.CAUSE)

    await stand_in(answer(APPROVE, approve))
    for token in (VIEWER, OPERATOR, OTHER):
        code, _, err = await catalyst(edge, "approve", story.FQDN, "--digest", digest, token=token)
        assert code == 4
        assert ("unknown-sovereign" if token == OTHER else "not-allowed") in err
    assert approved == []
    code, out, _ = await catalyst(edge, "approve", story.FQDN, "--digest", digest)
    assert (code, "approval accepted" in out) == (0, True)
    assert approved == [Approve(sovereign=story.ID, plan_digest=digest)]
