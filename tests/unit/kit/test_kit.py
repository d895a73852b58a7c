"""The kit holds together: catalogue, Kustomizations, releases, pins, schemas, values, routes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.unit.kit.manifests import (
    KIT,
    REPOSITORY,
    catalogue,
    component,
    everything,
    kustomizations,
    release,
    root,
    strings,
    values,
    wrong,
)

RUNBOOK = [
    "bp-cilium",
    "bp-cert-manager",
    "bp-flux",
    "bp-crossplane",
    "bp-sealed-secrets",
    "bp-spire",
    "bp-nats-jetstream",
    "bp-openbao",
    "bp-keycloak",
    "bp-gitea",
    "bp-powerdns",
    "bp-catalyst-platform",
]
COMPONENTS = {entry["name"]: entry for entry in catalogue()["components"]}
PINS = yaml.safe_load((REPOSITORY / "deploy" / "pins.yaml").read_text())
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)")
CLASSLESS = ("PersistentVolumeClaim", "StatefulSet")


def depends_on(item: dict[str, Any]) -> list[str]:
    """Components among what an object waits for."""
    return [each["name"] for each in item["spec"].get("dependsOn", []) if each["name"].startswith("bp-")]


def test_the_twelve_of_the_runbook_stand_in_its_order() -> None:
    assert [name for name, entry in COMPONENTS.items() if entry["tier"] == "mandatory"] == RUNBOOK
    assert [each["metadata"]["name"] for each in root()] == RUNBOOK


def test_what_is_optional_is_taken_by_name_and_never_comes_by_itself() -> None:
    options = {path.name for path in (KIT / "options").iterdir()}
    assert options == {name.removeprefix("bp-") for name in COMPONENTS} - {name.removeprefix("bp-") for name in RUNBOOK}
    assert {path.name for path in (KIT / "components").iterdir()} == {name.removeprefix("bp-") for name in COMPONENTS}
    for name in options:
        listed = yaml.safe_load((KIT / "options" / name / "kustomization.yaml").read_text())
        assert (listed["kind"], listed["resources"]) == ("Component", [f"bp-{name}.yaml"])


@pytest.mark.parametrize("name", COMPONENTS)
def test_catalogue_kustomization_and_release_tell_one_dependency_graph(name: str) -> None:
    above = next(each for each in kustomizations() if each["metadata"]["name"] == name)
    wanted = COMPONENTS[name]["dependsOn"]
    assert depends_on(above) == wanted
    assert depends_on(release(name)) == wanted
    names = list(COMPONENTS)
    earlier = names[: names.index(name)]
    assert set(wanted) <= set(earlier), "a component waits only for one before it: no cycle, nothing missing"


def test_the_platform_comes_after_everything_else() -> None:
    needed: set[str] = set()
    ahead = ["bp-catalyst-platform"]
    while ahead:
        for name in COMPONENTS[ahead.pop()]["dependsOn"]:
            if name not in needed:
                needed.add(name)
                ahead.append(name)
    assert needed == set(RUNBOOK) - {"bp-catalyst-platform"}


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_catalogue_names_the_chart_that_is_installed(name: str) -> None:
    entry, item = COMPONENTS[name], release(name)
    sources = [each for each in component(name) if each["kind"] in {"HelmRepository", "OCIRepository"}]
    assert [(each["kind"], each["spec"]["url"]) for each in sources] == [
        (entry["chart"]["kind"], entry["chart"]["url"])
    ]
    if entry["chart"]["kind"] == "OCIRepository":
        assert item["spec"]["chartRef"] == {"kind": "OCIRepository", "name": name}
        assert sources[0]["spec"]["ref"] == {"tag": entry["chart"]["version"]}
    else:
        chart = item["spec"]["chart"]["spec"]
        assert (chart["chart"], chart["version"]) == (entry["chart"]["name"], entry["chart"]["version"])
        assert chart["sourceRef"] == {"kind": "HelmRepository", "name": name}
    assert item["spec"]["targetNamespace"] == item["spec"]["storageNamespace"] == entry["namespace"]


def test_versions_are_exact_everywhere() -> None:
    for document in everything():
        if document["kind"] == "HelmRelease" and "chart" in document["spec"]:
            assert re.fullmatch(r"v?\d+\.\d+\.\d+", document["spec"]["chart"]["spec"]["version"])
        if document["kind"] == "StatefulSet":
            for container in document["spec"]["template"]["spec"]["containers"]:
                assert re.search(r":\d+\.\d+", container["image"])


@pytest.mark.parametrize("what", ["flux", "cilium"])
def test_what_cloud_init_installs_is_what_the_kit_takes_over(what: str) -> None:
    pin, item, entry = PINS[what], release(f"bp-{what}"), COMPONENTS[f"bp-{what}"]
    spec = item["spec"]
    assert spec["chart"]["spec"]["version"] == pin["chart_version"]
    assert entry["chart"]["appVersion"] == pin["version"]
    assert (spec["releaseName"], spec["targetNamespace"]) == (pin["release"], pin["namespace"])
    assert entry["chart"]["url"] == pin["repository"]
    assert spec["install"]["disableTakeOwnership"] is False
    assert spec["upgrade"]["disableTakeOwnership"] is False
    assert spec["upgrade"]["preserveValues"] is True
    assert spec["upgrade"]["strategy"]["name"] == spec["install"]["strategy"]["name"] == "RetryOnFailure"
    assert "remediation" not in spec["install"], "an uninstall or a roll-back would delete what everything stands on"
    assert item["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/prune"] == "disabled"


def test_a_new_k3s_comes_by_plans_at_the_pinned_version_control_planes_first() -> None:
    found = {each["metadata"]["name"]: each["spec"] for each in component("bp-flux") if each["kind"] == "Plan"}
    planes, workers = found["k3s-control-planes"], found["k3s-workers"]
    assert len(found) == 2
    for plan in (planes, workers):
        assert plan["version"] == PINS["k3s"]["version"]
        assert plan["concurrency"] == 1
        assert plan["upgrade"]["image"] == "docker.io/rancher/k3s-upgrade"
    operators = [plan["nodeSelector"]["matchExpressions"] for plan in (planes, workers)]
    assert [[each["operator"] for each in every] for every in operators] == [["Exists"], ["DoesNotExist"]]
    assert {each["key"] for every in operators for each in every} == {"node-role.kubernetes.io/control-plane"}
    assert "prepare" not in planes
    assert workers["prepare"]["args"] == ["prepare", "k3s-control-planes"]
    (controller,) = (each for each in component("bp-flux") if each["kind"] == "Deployment")
    (container,) = controller["spec"]["template"]["spec"]["containers"]
    assert container["image"].rpartition(":")[2] == PINS["system_upgrade"]["version"]


@pytest.mark.parametrize("unit", ["k3s", "k3s-agent"])
def test_a_binary_that_was_exchanged_under_k3s_runs_again_by_itself(unit: str) -> None:
    # The job finds the running process, exchanges the file that it was started from and ends it: the rest is systemd's.
    service = (REPOSITORY / "deploy" / "tofu" / "hetzner" / "units" / f"{unit}.service").read_text()
    assert re.search(r"^ExecStart=/usr/local/bin/k3s (server|agent)$", service, re.MULTILINE)
    assert "Restart=always" in service
    assert "KillMode=process" in service, "pods outlive the restart"


def test_what_cloud_init_gives_cilium_is_kept_by_the_kit() -> None:
    values = release("bp-cilium")["spec"]["values"]

    def kept(wanted: Any, found: Any, path: str) -> None:
        if isinstance(wanted, dict):
            for name, inner in wanted.items():
                kept(inner, found.get(name), f"{path}.{name}")
        else:
            assert found == wanted, path

    kept(PINS["cilium"]["values"], values, "values")


def test_every_object_satisfies_the_schema_of_its_kind() -> None:
    checked = set()
    for document in everything():
        found = wrong(document)
        if found is None:
            known = {"v1", "apps/v1", "apiextensions.k8s.io/v1", "rbac.authorization.k8s.io/v1"}
            assert document["apiVersion"] in known, document["kind"]
            continue
        assert found == [], document["metadata"]
        checked.add(document["kind"])
    assert checked == {
        "Kustomization",
        "HelmRelease",
        "HelmRepository",
        "OCIRepository",
        "ClusterIssuer",
        "Certificate",
        "Gateway",
        "HTTPRoute",
        "ReferenceGrant",
        "Plan",
    }


def test_a_field_that_flux_does_not_know_is_found() -> None:
    item = release("bp-gitea")
    typo = {**item, "spec": {**item["spec"], "releasename": "typo"}}
    assert any("releasename" in message for message in wrong(typo) or [])


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_kustomization_waits_for_its_release_alone_and_tries_again(name: str) -> None:
    above = next(each for each in kustomizations() if each["metadata"]["name"] == name)
    spec = above["spec"]
    assert [(check["kind"], check["name"]) for check in spec["healthChecks"]] == [("HelmRelease", name)]
    assert "wait" not in spec, "certificates may wait for a delegation for days; the kit does not"
    assert spec["retryInterval"] == "1m"
    assert minutes(spec["timeout"]) > minutes(release(name)["spec"]["timeout"])
    sources = {(each["kind"], each["name"]) for each in spec["postBuild"]["substituteFrom"]}
    assert sources == {("ConfigMap", "catalyst-sovereign"), ("Secret", "catalyst-sovereign")}


def minutes(value: str) -> int:
    assert value.endswith("m")
    return int(value.removesuffix("m"))


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_holds_data_is_never_uninstalled_by_a_failed_attempt(name: str) -> None:
    spec = release(name)["spec"]
    if COMPONENTS[name]["storageClass"]:
        assert spec["install"]["strategy"]["name"] == "RetryOnFailure"
        assert spec["upgrade"]["strategy"]["name"] == "RetryOnFailure"
    else:
        assert "remediation" in spec["install"] or spec["install"]["strategy"]["name"] == "RetryOnFailure"


def test_volumes_use_the_default_class_that_cloud_init_makes_before_flux() -> None:
    for entry in COMPONENTS.values():
        volumes = [workload for workload in entry["workloads"] if workload.get("volume")]
        assert bool(volumes) == entry["storageClass"], entry["name"]
        assert (entry["asks"]["disk"] != "0Gi") == entry["storageClass"], entry["name"]
    for document in everything():
        assert (
            not any("storageclassname" in str(key).lower() for key in keys(document))
            or document["kind"] not in CLASSLESS
        )


def keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in keys(inner))]
    return [key for inner in value for key in keys(inner)] if isinstance(value, list) else []


def test_every_substitution_is_defined_and_every_definition_used() -> None:
    used = {
        name
        for path in KIT.rglob("*.yaml")
        if path.name != "catalogue.yaml"
        for name in VARIABLE.findall(path.read_text())
    }
    defined = catalogue()["substitutions"]
    assert used == {*defined["configMap"], *defined["secret"]}
    assert not any("${" in text for document in everything() for text in strings(document))


def test_no_secret_is_in_the_kit_in_clear() -> None:
    for path in KIT.rglob("*.yaml"):
        for document in yaml.load_all(path.read_text(), Loader=LOADER):
            if document and document.get("kind") == "Secret":
                assert "data" not in document
                for text in document["stringData"].values():
                    assert "${" in text or text == "sovereign-admin", path


def test_secrets_of_the_sovereign_go_into_secrets_only() -> None:
    secret = set(catalogue()["substitutions"]["secret"])
    for path in KIT.rglob("*.yaml"):
        for text in path.read_text().split("\n---\n"):
            if secret & set(VARIABLE.findall(text)):
                assert yaml.safe_load(text)["kind"] == "Secret", path


def test_nothing_is_asked_of_a_kind_that_only_a_later_component_brings() -> None:
    brings = {"gateway.networking.k8s.io": "bp-cilium", "cert-manager.io": "bp-cert-manager"}
    for name in COMPONENTS:
        for document in component(name):
            owner = brings.get(document["apiVersion"].partition("/")[0])
            if owner and document["kind"] != "CustomResourceDefinition":
                assert owner in before(name), f"{document['kind']} in {name} needs {owner} first"


def before(name: str) -> set[str]:
    direct = set(COMPONENTS[name]["dependsOn"])
    return direct.union(*(before(each) for each in direct))


def test_the_gateway_listens_where_the_load_balancer_sends() -> None:
    front = component("bp-catalyst-platform")
    gateway = next(document for document in front if document["kind"] == "Gateway")
    ports = {listener["name"]: listener["port"] for listener in gateway["spec"]["listeners"]}
    balancer = (REPOSITORY / "deploy" / "tofu" / "hetzner" / "load_balancer.tf").read_text()
    assert ports == {"http": 31080, "https": 31443}
    assert all(str(port) in balancer for port in ports.values())
    assert release("bp-cilium")["spec"]["values"]["gatewayAPI"] == {"enabled": True, "hostNetwork": {"enabled": True}}


def test_the_three_addresses_have_a_route_and_http_goes_to_https() -> None:
    front = component("bp-catalyst-platform")
    routes = [document for document in front if document["kind"] == "HTTPRoute"]
    hosts = {host for route in routes for host in route["spec"].get("hostnames", [])}
    assert hosts == {f"{name}.acme.omani.works" for name in ("console", "gitea", "admin")}
    redirect = next(route for route in routes if not route["spec"].get("hostnames"))
    assert redirect["spec"]["rules"][0]["filters"][0]["requestRedirect"] == {
        "scheme": "https",
        "port": 443,
        "statusCode": 301,
    }
    granted = {document["metadata"]["namespace"] for document in front if document["kind"] == "ReferenceGrant"}
    foreign = {
        backend["namespace"]
        for route in routes
        for rule in route["spec"]["rules"]
        for backend in rule.get("backendRefs", [])
        if "namespace" in backend
    }
    assert foreign == granted


def test_one_certificate_covers_every_route() -> None:
    front = component("bp-catalyst-platform")
    certificates = [document for document in front if document["kind"] == "Certificate"]
    assert [certificate["spec"]["dnsNames"] for certificate in certificates] == [
        ["acme.omani.works", "*.acme.omani.works"]
    ]
    issuers = {document["metadata"]["name"] for document in front if document["kind"] == "ClusterIssuer"}
    assert issuers == {"letsencrypt-staging", "letsencrypt-production"}
    assert certificates[0]["spec"]["issuerRef"]["name"] in issuers


def test_the_realm_has_the_sovereign_admin_who_must_set_a_password_of_24() -> None:
    secret = next(document for document in component("bp-keycloak") if document["metadata"]["name"] == "keycloak-realm")
    realm = yaml.safe_load(secret["stringData"]["catalyst-admin.json"])
    assert realm["realm"] == "catalyst-admin"
    assert "length(24)" in realm["passwordPolicy"]
    assert [(user["email"], user["requiredActions"]) for user in realm["users"]] == [
        ("admin@acme.example", ["UPDATE_PASSWORD"])
    ]
    (credential,) = realm["users"][0]["credentials"]
    assert (credential["type"], credential["temporary"]) == ("password", True)
    assert credential["value"] == values()["KEYCLOAK_FIRST_PASSWORD"], "made on the node, nowhere else"


def test_every_namespace_is_made_before_it_is_used() -> None:
    for name in COMPONENTS:
        made = {document["metadata"]["name"] for document in component(name) if document["kind"] == "Namespace"}
        known = {COMPONENTS[each]["namespace"] for each in before(name)} | {"flux-system", "kube-system"} | made
        for document in component(name):
            assert document["metadata"].get("namespace", "flux-system") in known, (name, document["metadata"])
