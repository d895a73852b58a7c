import json
import os
from pathlib import Path

import jsonschema
import pytest

from contracts.catalogue import ENTRIES, EVENTS, QUESTIONS, SERVICES
from contracts.documents import asyncapi, documents
from contracts.topology import STREAMS, consumers

ROOT = Path(__file__).resolve().parents[2]


DOCUMENTS = documents()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_generated_file_is_as_the_catalogue_says(name: str) -> None:
    file = ROOT / name
    assert file.exists(), f"{name} is missing: run make generate"
    assert file.read_text() == DOCUMENTS[name], f"{name} is stale: run make generate"


def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    schema = json.loads(Path(os.environ["CATALYST_ASYNCAPI_SCHEMA"]).read_text())
    jsonschema.Draft7Validator(schema).validate(asyncapi())


def test_every_event_has_a_listener_or_says_why_not() -> None:
    assert [e.fact.fact for e in EVENTS if not e.heard_by and not e.unheard_because] == []


def test_every_event_is_said_by_a_service_and_named_once() -> None:
    assert {entry.said_by for entry in EVENTS} <= set(SERVICES)
    assert len(ENTRIES) == len(EVENTS)


def test_every_subject_falls_into_exactly_one_stream() -> None:
    for entry in EVENTS:
        domain = entry.fact.fact.split(".")[0]
        holding = [s.name for s in STREAMS if any(subject.split(".")[0] == domain for subject in s.subjects)]
        assert entry.stream in holding


def test_every_question_has_one_subject_and_one_route() -> None:
    assert len({question.subject for question in QUESTIONS}) == len(QUESTIONS)
    routes = [(question.method, question.path) for question in QUESTIONS if question.path]
    assert len(set(routes)) == len(routes)


def test_work_and_commands_have_consumers_of_their_own() -> None:
    names = [consumer.name for consumer in consumers()]
    assert {"tofu-runner-work", "tofu-runner-command", "intake-door"} <= set(names)
    assert len(names) == len(set(names))
