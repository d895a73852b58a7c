"""The module as OpenTofu, cloud-init and shellcheck see it."""

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest
import yaml

from sandbox.cluster.kit import Kit
from sandbox.node.cloud_config import read
from tests.integration.module.rendering import DEFAULTS, DEPLOY, MODULE, module_copy, tofu
from tests.integration.tofu_runner.stand import shape
from tofu_runner.userdata import user_data_bytes
from tofu_runner.variables import Deployment

LIMIT = 32 * 1024
SCRIPTS = sorted(each for each in (MODULE / "scripts").rglob("*") if each.is_file())


def contents(user_data: str) -> dict[str, str]:
    """Path to text of every file that the user data writes."""
    return {str(file.path): file.content.decode() for file in read(user_data).files}


def test_the_module_is_valid_formatted_and_passes_its_own_tests(tmp_path: pathlib.Path) -> None:
    copy = module_copy(tmp_path)
    assert tofu(copy, "fmt", "-check", "-recursive").stdout == ""
    assert tofu(copy, "validate").returncode == 0
    done = tofu(copy, "test", "-json")
    (summary,) = (line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "test_summary")
    assert (summary["test_summary"]["status"], done.returncode) == ("pass", 0), done.stdout
    assert summary["test_summary"]["passed"] >= 20


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_passes_shellcheck(script: pathlib.Path) -> None:
    root = DEPLOY.parent
    done = subprocess.run(
        [os.environ["CATALYST_SHELLCHECK"], "-x", "-P", str(root), str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["cp1", "cp2", "w1"])
def test_user_data_is_what_cloud_init_takes(
    highly_available: dict[str, str], name: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "user-data"
    path.write_text(highly_available[f"demo-omani-works-{name}"])
    done = subprocess.run(
        [os.environ["CATALYST_CLOUD_INIT"], "schema", "--config-file", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_user_data_stays_below_the_clouds_limit(highly_available: dict[str, str], largest: dict[str, str]) -> None:
    for name, user_data in (highly_available | largest).items():
        assert len(user_data.encode()) <= LIMIT, name


@pytest.mark.parametrize("rendered", ["highly_available", "largest"])
def test_what_preflight_takes_the_user_data_for_is_no_less_and_not_much_more(
    rendered: str, request: pytest.FixtureRequest
) -> None:
    given: dict[str, str] = request.getfixturevalue(rendered)
    first = given["demo-omani-works-cp1"]
    chain = contents(first).get("/etc/catalyst/node-door.pem", "")
    defaults, kit = DEFAULTS, DEFAULTS["kit_source"]
    deployment = Deployment(
        node_door_url=defaults["node_door_url"],
        node_door_ca=chain,
        kit_url=kit["url"],
        kit_path=kit["path"],
        kit_revision=kit["revision"],
        acme_server=defaults["acme_server"],
    )
    options = sorted(path.name for path in (DEPLOY / "kit" / "options").iterdir()) if chain else []
    taken_for = user_data_bytes(MODULE, deployment, shape(), "demo_omani_works", options)
    assert len(first.encode()) <= taken_for <= 1.1 * len(first.encode())


def test_only_the_first_control_plane_holds_what_only_it_needs(highly_available: dict[str, str]) -> None:
    first, *others = (contents(highly_available[name]) for name in sorted(highly_available))
    holds = {path for path, text in first.items() if "canary-hand-in" in text}
    assert holds == {"/etc/catalyst/secrets"}
    for other in others:
        text = "".join(other.values())
        assert "canary-hand-in" not in text
        assert "canary-zone-key" not in text


def test_every_server_reports_with_a_token_of_its_own(highly_available: dict[str, str]) -> None:
    for name, user_data in highly_available.items():
        held = [word for word in contents(user_data)["/etc/catalyst/secrets"].split() if word.startswith("canary-node")]
        assert held == [f"canary-node-{name}"]


def test_files_with_secrets_are_for_root_alone(highly_available: dict[str, str]) -> None:
    for user_data in highly_available.values():
        for file in read(user_data).files:
            if b"canary" in file.content or b"Y2FuYXJ5" in file.content:
                assert file.mode == 0o600, file.path


def test_text_of_the_request_cannot_break_out_of_its_file(highly_available: dict[str, str]) -> None:
    first = contents(highly_available["demo-omani-works-cp1"])
    values, secret = yaml.safe_load_all(first["/etc/catalyst/sovereign.yaml"])
    assert secret["kind"] == "Secret"
    given = {**values["data"], **dict.fromkeys(secret["data"], "x")}
    built = Kit(DEPLOY / "kit").manifests("./deploy/kit/components/catalyst-platform", given)
    release = next(each for each in built if each["kind"] == "HelmRelease")
    assert release["spec"]["values"]["global"]["sovereign"]["organisation"] == DEFAULTS["organisation"]
    echoed = subprocess.run(
        ["bash", "-c", 'set -eu; . /dev/stdin; printf %s "$NODE_NAME $JOIN_ADDRESS"'],
        input=first["/etc/catalyst/node.env"],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert echoed.stdout == "demo-omani-works-cp1 10.0.1.250"


def test_the_kit_adopts_what_cloud_init_installs() -> None:
    """The runbook's invariant: another version or name would be a second install, whose rollback deletes the first."""
    pins = yaml.safe_load((DEPLOY / "pins.yaml").read_text())
    for name in ("flux", "cilium"):
        pin = pins[name]
        folder = DEPLOY / "kit" / "components" / name
        release = yaml.safe_load((folder / "release.yaml").read_text())["spec"]
        source = yaml.safe_load((folder / "source.yaml").read_text())["spec"]
        chart = release["chart"]["spec"]
        assert (chart["chart"], chart["version"]) == (pin["chart"], pin["chart_version"]), name
        assert (release["releaseName"], release["targetNamespace"]) == (pin["release"], pin["namespace"]), name
        assert release["storageNamespace"] == pin["namespace"], name
        assert source["url"] == pin["repository"], name


def test_the_root_takes_the_options_that_were_chosen_and_no_other(
    highly_available: dict[str, str], largest: dict[str, str]
) -> None:
    def taken(user_data: str) -> list[str]:
        _, root = yaml.safe_load_all(contents(user_data)["/etc/catalyst/kit.yaml"])
        listed: list[str] = root["spec"]["components"]
        return listed

    assert taken(highly_available["demo-omani-works-cp1"]) == []
    every = taken(largest["demo-omani-works-cp1"])
    assert len(every) == len(list((DEPLOY / "kit" / "options").iterdir()))
    assert all((DEPLOY / "kit" / name / "kustomization.yaml").exists() for name in every)


def test_the_kit_keeps_the_network_that_cloud_init_set_up() -> None:
    given = yaml.safe_load((DEPLOY / "pins.yaml").read_text())["cilium"]["values"]
    release = yaml.safe_load((DEPLOY / "kit" / "components" / "cilium" / "release.yaml").read_text())
    assert lacking(release["spec"]["values"], given) == []


def lacking(values: Any, wanted: Any, path: str = "") -> list[str]:
    """Paths at which the values are not as wanted."""
    if isinstance(wanted, dict) and isinstance(values, dict):
        return [each for name in wanted for each in lacking(values.get(name), wanted[name], f"{path}.{name}")]
    return [] if values == wanted else [path]


def test_every_value_that_the_kit_substitutes_is_given(highly_available: dict[str, str]) -> None:
    first = contents(highly_available["demo-omani-works-cp1"])
    values, secret = yaml.safe_load_all(first["/etc/catalyst/sovereign.yaml"])
    wanted = yaml.safe_load((DEPLOY / "kit" / "catalogue.yaml").read_text())["substitutions"]
    assert set(wanted["configMap"]) <= set(values["data"])
    generated = {name for name in wanted["secret"] if name in first["/opt/catalyst/stages/kit"]}
    assert set(wanted["secret"]) <= set(secret["data"]) | generated
