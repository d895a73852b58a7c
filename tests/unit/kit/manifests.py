"""The kit as Flux would build it, for tests: manifests by component, with a given set of values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from sandbox.cluster.kit import Kit

REPOSITORY = Path(__file__).resolve().parents[3]
KIT = REPOSITORY / "deploy" / "kit"
SCHEMAS = Path(__file__).parent / "schemas"
Json = dict[str, Any]


@cache
def catalogue() -> Json:
    loaded: Json = yaml.safe_load((KIT / "catalogue.yaml").read_text())
    return loaded


def values() -> dict[str, str]:
    """A value for every substitution that the catalogue defines."""
    defined = catalogue()["substitutions"]
    names = [*defined["configMap"], *defined["secret"]]
    special = {
        "SOVEREIGN_FQDN": "acme.omani.works",
        "SOVEREIGN_ADMIN_EMAIL": "admin@acme.example",
        "ACME_ISSUER": "letsencrypt-production",
        "LOAD_BALANCER_IPV4": "203.0.113.7",
        "DNS_NAMESERVER": "192.0.2.1:53",
    }
    return {name: special.get(name, f"value-of-{name.lower().replace('_', '-')}") for name in names}


_KIT = Kit(KIT)


def kustomizations() -> list[Json]:
    """Of every component: those that the root brings, then each optional one."""
    options = [entry["name"].removeprefix("bp-") for entry in catalogue()["components"] if entry["tier"] != "mandatory"]
    return [
        *root(),
        *(document for name in options for document in _KIT.manifests(f"./deploy/kit/options/{name}", None)),
    ]


def root() -> list[Json]:
    return _KIT.manifests("./deploy/kit", None)


@cache
def component(name: str) -> list[Json]:
    found = next(each for each in kustomizations() if each["metadata"]["name"] == name)
    return _KIT.manifests(found["spec"]["path"], values())


def everything() -> list[Json]:
    listed = kustomizations()
    return [*listed, *(document for each in listed for document in component(each["metadata"]["name"]))]


def release(name: str) -> Json:
    return next(
        document
        for document in component(name)
        if document["kind"] == "HelmRelease" and document["metadata"]["name"] == name
    )


@cache
def schemas() -> dict[tuple[str, str], Json]:
    """Strict schemas by apiVersion and kind: a field that the CRD does not know is an error, not pruned in silence."""
    found: dict[tuple[str, str], Json] = {}
    for path in SCHEMAS.glob("*.json"):
        document = json.loads(path.read_text())
        for version, schema in document["versions"].items():
            found[f"{document['group']}/{version}", document["kind"]] = strict(schema)
    brought = (KIT / "components" / "cilium" / "gateway-api").glob("*.yaml")
    for path in (*brought, KIT / "components" / "flux" / "k3s-upgrade" / "definition.yaml"):
        document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        if document["kind"] != "CustomResourceDefinition":
            continue
        spec = document["spec"]
        for served in spec["versions"]:
            where = f"{spec['group']}/{served['name']}", spec["names"]["kind"]
            found[where] = strict(served["schema"]["openAPIV3Schema"])
    return found


def wrong(document: Json) -> list[str] | None:
    """What the schema of its kind finds wrong; none when there is no schema for the kind."""
    schema = schemas().get((document["apiVersion"], document["kind"]))
    if schema is None:
        return None
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


def strict(schema: Json) -> Json:
    """An OpenAPI schema of Kubernetes as JSON Schema that refuses unknown fields."""
    converted = _convert(deepcopy(schema))
    converted["properties"]["metadata"] = {"type": "object"}
    return converted


def _convert(schema: Json) -> Json:
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in schema:
        schema["properties"] = {key: _convert(inner) for key, inner in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        schema["items"] = _convert(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = _convert(schema["additionalProperties"])
    elif "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
    return schema


def strings(value: Any) -> Iterator[str]:
    """Every string in a document."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value
