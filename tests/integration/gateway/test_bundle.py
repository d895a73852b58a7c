"""The support bundle: whole, signed, and without anything that must not leave the house."""

import asyncio
import io
import json
import re
import zipfile
from pathlib import Path

from bus import answer
from contracts.catalogue import CLUSTER_EVENTS, FLUX
from contracts.questions import Asker, ClusterEventsReply, OfSovereign
from tests.integration.gateway.conftest import OTHER, EdgeOf, StandIn
from tests.integration.gateway.test_cli import catalyst
from tests.unit.gateway import story

CLOUD_TOKEN = "Zq7" + "aB3x" * 15 + "9"
CANARIES = {
    "a cloud token": CLOUD_TOKEN,
    "a bearer token": "Bearer abcdefghijklmnopqrstuvwxyz0123456789",
    "a JSON web token": "eyJhbGciOiJub25lIn0." + "eyJzdWIiOiJjYW5hcnkifQ.",
    "a private key": "-----BEGIN EC PRIVATE KEY-----\\nCANARYKEY\\n-----END EC PRIVATE KEY-----",
    "an NKey seed": "SUAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZY",
    "an address": "canary@example.org",
}


async def test_a_bundle_holds_what_the_runbook_asks_for_is_signed_and_has_no_secret_in_it(
    edge_of: EdgeOf, stand_in: StandIn, tmp_path: Path
) -> None:
    async def events(_request: OfSovereign, asker: Asker | None) -> ClusterEventsReply:
        assert asker is not None
        assert asker.owner == "demo"
        return ClusterEventsReply(events=tuple(f"Warning Failed: {name} {text}" for name, text in CANARIES.items()))

    await stand_in(answer(CLUSTER_EVENTS, events))
    edge = await edge_of()
    await edge.say(*story.facts()[:60])
    watcher = await edge.bus_of(FLUX)
    chatter = json.dumps({"lines": [f"upgrade failed: {text}" for text in CANARIES.values()]}).encode()
    await watcher.connection.client.publish(f"log.{story.ID}.helm-controller.1", chatter)

    async with asyncio.timeout(60):  # chatter is stored a little later than it is passed on
        while not (await (await edge.get(f"/api/v1/sovereigns/{story.ID}/logs")).json())["lines"]:
            await asyncio.sleep(0.05)

    file = tmp_path / "bundle.zip"
    code, out, err = await catalyst(edge, "bundle", "get", story.FQDN, "--output", str(file))
    assert (code, err) == (0, "")
    assert "labels=area/platform,kind/provisioning" in out
    with zipfile.ZipFile(file) as archive:
        held = {name: archive.read(name).decode() for name in archive.namelist()}
    summary = json.loads(held["summary.json"])
    assert (summary["fqdn"], summary["region"]) == (story.FQDN, story.SHAPE.topology.region)
    assert len(held["events-last-50.ndjson"].splitlines()) == min(50, len(held["events.ndjson"].splitlines()))
    assert held["events.ndjson"].endswith(held["events-last-50.ndjson"])
    assert len(held["cluster-events.txt"].splitlines()) == len(CANARIES)
    assert len(held["logs.ndjson"].splitlines()) == len(CANARIES)
    assert "not had" in json.loads(held["tofu.json"])["state"], "nobody answers for tofu-runner here"
    for name, content in held.items():
        for secret in (
            *CANARIES.values(),
            "CANARYKEY",
            story.SHAPE.ssh_public_key,
            *re.findall(r"\S+@example\S+", content),
        ):
            assert secret not in content, f"{secret} in {name}"

    code, out, _err = await catalyst(edge, "bundle", "verify", str(file))
    assert (code, out.splitlines()[0].startswith(f"Verified: {story.FQDN}")) == (0, True)
    for change in ("changed", "added", "left out"):
        forged = tmp_path / f"{change}.zip"
        with zipfile.ZipFile(forged, "w") as archive:
            for name, content in held.items():
                if (name, change) != ("events.ndjson", "left out"):
                    archive.writestr(name, content + ("x" if (name, change) == ("summary.json", "changed") else ""))
            if change == "added":
                archive.writestr("more.txt", "x")
        code, _out, err = await catalyst(edge, "bundle", "verify", str(forged))
        assert (code, "NOT verified" in err, len(err.splitlines())) == (4, True, 2), change
    path = f"/api/v1/sovereigns/{story.ID}/bundle"
    assert (await edge.get(path, token=OTHER)).status == 404
    whole = zipfile.ZipFile(io.BytesIO(await (await edge.get(path)).read()))
    assert whole.testzip() is None
