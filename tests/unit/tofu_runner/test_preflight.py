from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.errors import trouble
from contracts.questions import Finding
from contracts.request import Shape
from tests.requests import SSH_KEY
from tofu_runner.preflight import fingerprint, of_project, of_token, of_user_data, rsa_bits
from tofu_runner.probe import Verdict
from tofu_runner.survey import Named, Place, Survey, Type

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PAST, FUTURE = datetime(2026, 8, 1, tzinfo=UTC), datetime(2027, 8, 1, tzinfo=UTC)
SOVEREIGN = "demo_omani_works"


def seen(**changes: object) -> Survey:
    here = {"fsn1": Place(available=True)}
    whole = {
        "types": {"cpx22": Type("x86", here), "cpx32": Type("x86", here), "cax11": Type("arm", here)},
        "balancer_types": frozenset({"lb11"}),
        "images": frozenset({("ubuntu-24.04", "x86"), ("ubuntu-24.04", "arm")}),
    }
    return Survey(**(whole | changes))  # type: ignore[arg-type]  # fields of the class above


def shape(**topology: object) -> Shape:
    return Shape.model_validate(
        {
            "organisation": {"name": "Acme"},
            "topology": {"region": "fsn1", **topology},
            "domain": {"fqdn": "demo.omani.works"},
            "ssh_public_key": SSH_KEY,
        }
    )


def findings(wanted: Shape, there: Survey, limits: dict[str, int] | None = None) -> dict[str, Finding]:
    found = of_project(SOVEREIGN, wanted, there, image="ubuntu-24.04", limits=limits or {}, now=NOW)
    return {finding.check: finding for finding in found}


def codes(found: dict[str, Finding]) -> dict[str, str]:
    return {check: finding.trouble.code for check, finding in found.items() if finding.trouble}


def test_a_request_that_fits_passes_and_what_cannot_be_known_is_said_to_be_not_checked() -> None:
    found = findings(shape(), seen())
    assert codes(found) == {}
    assert {finding.verdict for finding in found.values()} == {"passed", "not-checked"}
    assert found["server-limit"].verdict == "not-checked"
    assert "2 more servers" in found["server-limit"].detail


def test_everything_wrong_is_told_at_once_with_an_owner_and_a_next_step() -> None:
    there = {
        "servers": (Named("demo-omani-works-w1", ""),),
        "ssh_keys": (Named("laptop", "", fingerprint(SSH_KEY)),),
    }
    types = {"cpx22": Type("x86", {"fsn1": Place(available=True, ends_at=PAST)})}
    found = findings(shape(), seen(types=types, images=frozenset(), there=there), {"servers": 1})
    assert codes(found) == {
        "server-type cpx22": "unsupported_server_type",
        "server-type cpx32": "unsupported_server_type",
        "image ubuntu-24.04/x86": "image-missing",
        "names": "name-in-use",
        "server-limit": "resource_limit_exceeded",
    }
    assert all(finding.trouble.next_step for finding in found.values() if finding.trouble)


@pytest.mark.parametrize(
    ("place", "verdict"),
    [
        (Place(available=False), "warning"),
        (Place(available=True, ends_at=FUTURE), "passed"),
        (Place(available=True, ends_at=PAST), "failed"),
    ],
)
def test_a_type_that_is_sold_out_now_is_a_warning_and_a_retired_one_a_failure(place: Place, verdict: str) -> None:
    types = {"cpx22": Type("x86", {"fsn1": place})}
    assert findings(shape(worker_count=0), seen(types=types))["server-type cpx22"].verdict == verdict


def test_a_type_of_another_location_says_where_it_is_missing() -> None:
    types = {"cpx22": Type("x86", {"ash": Place(available=True)})}
    found = findings(shape(worker_count=0), seen(types=types))["server-type cpx22"]
    assert "not in fsn1" in found.detail


def test_the_image_follows_the_architecture() -> None:
    found = findings(shape(control_plane_type="cax11"), seen())
    assert {"image ubuntu-24.04/arm", "image ubuntu-24.04/x86"} <= set(found)


def test_what_is_ours_already_is_no_obstacle_and_counts_towards_the_need() -> None:
    there = {
        "servers": (Named("demo-omani-works-cp1", SOVEREIGN), Named("other", "")),
        "ssh_keys": (Named("demo-omani-works-key", SOVEREIGN, fingerprint(SSH_KEY)),),
    }
    found = findings(shape(), seen(there=there), {"servers": 3})
    assert codes(found) == {}
    assert "1 more servers beside the 2" in found["server-limit"].detail


def test_the_size_of_an_rsa_key_is_read_from_the_key() -> None:
    # The contract takes the algorithm; a key this short is refused by the cloud only after other things were made.
    public = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - weak on purpose
    short = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert rsa_bits(short) == 1024
    assert rsa_bits(SSH_KEY) is None
    weak = shape().model_copy(update={"ssh_public_key": short})
    assert codes(findings(weak, seen()))["ssh-key"] == "ssh-key-weak"


def test_a_key_that_the_project_holds_already_is_used_and_said_to_be() -> None:
    there = {"ssh_keys": (Named("laptop", "", fingerprint(SSH_KEY)),)}
    found = findings(shape(), seen(there=there))["ssh-key"]
    assert found.verdict == "passed"
    assert "'laptop'" in found.detail


def test_user_data_that_the_cloud_would_not_take_is_told_before_anything_is_made() -> None:
    assert of_user_data(32768, 32768).verdict == "passed"
    found = of_user_data(32769, 32768)
    assert found.trouble is not None
    assert (found.verdict, found.trouble.code) == ("failed", "user-data-too-large")


def test_the_fingerprint_is_the_one_that_the_cloud_shows() -> None:
    assert len(fingerprint(SSH_KEY).split(":")) == 16


def test_a_token_that_only_reads_fails_where_it_writes() -> None:
    why = trouble("token_readonly", attempted="check", on="the cloud token")
    reads, writes = of_token(Verdict(reads=True, writes=False, trouble=why))
    assert (reads.verdict, writes.verdict) == ("passed", "failed")
    assert writes.trouble == why
    reads, writes = of_token(Verdict(reads=False, writes=False, trouble=why))
    assert (reads.verdict, writes.verdict) == ("failed", "not-checked")
