"""Documents derived from the catalogue: who says what to whom, JSON Schemas, AsyncAPI 3 and OpenAPI 3.1.

``python -m contracts`` writes them below a checkout; a test fails when a committed one is stale. Nothing here is known
that the catalogue does not know.
"""

import json
from typing import Any

from contracts import openapi
from contracts.catalogue import EVENTS, QUESTIONS, TIMERS, Entry
from contracts.event import CONTENT_TYPE, envelope_of

GENERATED = "Generated from the catalogue by `make generate`; edit libs/contracts/src/contracts/catalogue.py."


def documents() -> dict[str, str]:
    """Every generated file: path in the checkout and content."""
    found = {
        "docs/flow.md": flow(),
        "docs/asyncapi.json": _json(asyncapi()),
        "docs/openapi.json": _json(openapi.document()),
    }
    for entry in EVENTS:
        name = entry.fact.type_name()
        found[f"libs/contracts/schemas/{name}.json"] = _json(schema(entry))
    return found


def _json(body: Any) -> str:
    return json.dumps(body, indent=2, sort_keys=True) + "\n"


def _sentence(text: str | None) -> str:
    return (text or "").strip().split("\n\n")[0].replace("\n", " ")


def schema(entry: Entry) -> dict[str, Any]:
    """JSON Schema of an event with its envelope, as a writer has to fill it."""
    body = envelope_of(entry.fact).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": entry.fact.type_name()}


def flow() -> str:
    """Who says and who hears each event, who answers each question, which timer fires for whom."""
    lines = ["# Who says what to whom", "", GENERATED, "", *_diagram(), "", "## Events", ""]
    lines += ["| event | said by | heard by | stream, guard | when |", "|---|---|---|---|---|"]
    for entry in EVENTS:
        heard = ", ".join(heard.consumer for heard in entry.heard_by) or f"- ({entry.unheard_because})"
        guard = "" if entry.guard == "none" else f", {entry.guard}"
        cells = (f"`{entry.fact.fact}`", entry.said_by, heard, f"{entry.stream}{guard}", _sentence(entry.fact.__doc__))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Questions", "", "| question | HTTP | who may ask | what |", "|---|---|---|---|"]
    for question in QUESTIONS:
        http = f"`{question.method} {question.path}`" if question.method else "-"
        lines.append(f"| `{question.subject}` | {http} | {question.role} | {question.meaning} |")
    lines += ["", "## Timers", "", "| timer | fires for | when |", "|---|---|---|"]
    lines += [f"| `{timer.name}` | {timer.service} | {timer.meaning} |" for timer in TIMERS]
    return "\n".join(lines) + "\n"


def _diagram() -> list[str]:
    arrows: dict[tuple[str, str], list[str]] = {}
    for entry in EVENTS:
        for heard in entry.heard_by:
            if heard.service != entry.said_by:
                arrows.setdefault((entry.said_by, heard.service), []).append(entry.fact.fact)
    rows = [f"    {said} -->|{len(facts)} events| {heard}" for (said, heard), facts in sorted(arrows.items())]
    return ["```mermaid", "flowchart LR", *rows, "```"]


def asyncapi() -> dict[str, Any]:
    """The events as an AsyncAPI 3 document."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for entry in EVENTS:
        name = entry.fact.type_name()
        key = name.replace(".", "_").replace("-", "_")
        about = "requestId" if entry.stream == "REJECTS" else "sovereign"
        messages[key] = {
            "name": name,
            "title": entry.fact.__name__,
            "summary": _sentence(entry.fact.__doc__),
            "contentType": CONTENT_TYPE,
            "payload": {"$ref": f"../libs/contracts/schemas/{name}.json"},
        }
        channels[key] = {
            "address": f"{entry.fact.fact}.{{{about}}}",
            "messages": {key: {"$ref": f"#/components/messages/{key}"}},
            "parameters": {about: {"description": "The last token of the subject: whom the event is about."}},
        }
        operations[f"say_{key}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{key}"},
            "summary": f"Said by {entry.said_by}.",
        }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Catalyst Zero events", "version": "1.0.0", "description": GENERATED},
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }
