"""Every question is answered by the service that the catalogue names, and by no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

from contracts import catalogue
from contracts.catalogue import QUESTIONS, Question

ROOT = Path(__file__).resolve().parents[2]


def _answered() -> Iterator[tuple[str, Question]]:
    """(service, question) for each ``answer(QUESTION, ...)`` in the services' sources."""
    for file in (ROOT / "services").glob("*/src/**/*.py"):
        service = file.relative_to(ROOT / "services").parts[0]
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "answer":
                first = node.args[0]
                name = first.attr if isinstance(first, ast.Attribute) else ast.unparse(first)
                if name.removeprefix("catalogue.").startswith("KEYS["):
                    yield service, catalogue.KEYS[service]
                elif isinstance(found := getattr(catalogue, name, None), Question):
                    yield service, found


def test_each_question_is_answered_by_the_service_that_the_catalogue_names() -> None:
    answered = list(_answered())
    assert [f"{question.subject} by {service}" for service, question in answered if question.service != service] == []
    assert len({question for _, question in answered}) == len(answered)
    missing = {question.subject for question in QUESTIONS} - {question.subject for _, question in answered}
    assert missing == set()
