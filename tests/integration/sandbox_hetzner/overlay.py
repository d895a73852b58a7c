"""What changed in the real API after the official document was taken down (June 2026), each with its date.

The dates and shapes are those of the changelogs of the provider, hcloud-go and hcloud-python.
"""

import copy
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def present_day(document: Json) -> Json:
    """The official document as it would read today."""
    patched = copy.deepcopy(document)
    patched["servers"] = [{"url": "/v1"}]
    _upper_case_status_ranges(patched)
    _without_datacenter(patched)
    _unassigned_primary_ips(patched)
    _health_details(patched)
    _network_members(patched)
    _load_balancer_delete_has_an_action(patched)
    return patched


def _upper_case_status_ranges(document: Json) -> None:
    """Not a change but a slip: OpenAPI spells ranges 4XX."""
    for operation in _operations(document):
        responses = operation["responses"]
        for slip in ("4xx", "5xx"):
            if slip in responses:
                responses[slip.upper()] = responses.pop(slip)


def _without_datacenter(document: Json) -> None:
    """1 July 2026: `datacenter` left server and primary IP."""
    for schema in _schemas(document):
        if {"datacenter", "location"} <= set(schema["properties"]) and "datacenter" in schema.get("required", ()):
            schema["required"].remove("datacenter")
            del schema["properties"]["datacenter"]


def _unassigned_primary_ips(document: Json) -> None:
    """1 August 2026: a free primary IP has the assignee type `unassigned`."""
    for schema in _schemas(document):
        kind = schema["properties"].get("assignee_type", {})
        if kind.get("enum") == ["server"]:
            kind["enum"] = ["server", "unassigned"]


def _health_details(document: Json) -> None:
    """17 August 2026: why a target is unhealthy."""
    for schema in _schemas(document):
        if set(schema["properties"]) == {"listen_port", "status"}:
            schema["properties"]["detail"] = {"type": "string"}
            schema["properties"]["http_status_code"] = {"type": "integer"}
            schema["additionalProperties"] = False


def _network_members(document: Json) -> None:
    """15 September 2026: `GET /networks/{id}/members`."""
    member = {
        "type": "object",
        "required": ["id", "type", "ip", "alias_ips", "subnet", "status"],
        "properties": {
            "id": {"type": "integer"},
            "type": {"type": "string", "enum": ["server", "load_balancer"]},
            "ip": {"type": "string"},
            "alias_ips": {"type": "array", "items": {"type": "string"}},
            "subnet": {"type": "string"},
            "status": {"type": "string", "enum": ["ok", "attaching", "detaching", "updating", "error"]},
        },
    }
    listing = copy.deepcopy(document["paths"]["/networks"]["get"]["responses"]["200"])
    schema = listing["content"]["application/json"]["schema"]
    schema["properties"]["members"] = {"type": "array", "items": member}
    del schema["properties"]["networks"]
    schema["required"] = ["members", "meta"]
    one = document["paths"]["/networks/{id}"]["get"]
    document["paths"]["/networks/{id}/members"] = {
        "get": {**one, "operationId": "list_network_members", "responses": {**one["responses"], "200": listing}}
    }


def _load_balancer_delete_has_an_action(document: Json) -> None:
    """5 October 2026: deleting a load balancer answers 201 with an action."""
    responses = document["paths"]["/load_balancers/{id}"]["delete"]["responses"]
    with_action = document["paths"]["/load_balancers/{id}/actions/change_algorithm"]["post"]["responses"]["201"]
    responses["201"] = with_action
    responses.pop("204", None)


def _operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in {"get", "post", "put", "delete"}:
                yield operation


def _schemas(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and node.get("type", "object") == "object":
            yield node
        for value in node.values():
            yield from _schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from _schemas(value)
