import hashlib
import json
from collections import defaultdict
from typing import Any

import aiohttp
import pytest
from openapi_spec_validator import validate

from bus import Answer, answer
from bus.seal import SealKeys
from contracts.catalogue import (
    CATALOGUE,
    DNS,
    FLUX,
    KEYS,
    NAME,
    NODE_ENROL,
    NODE_STAGE,
    PREFLIGHT,
    PRICES,
    QUESTIONS,
    REGISTRAR,
    SUBMIT,
    TOFU,
    TOKEN,
)
from contracts.errors import FieldError, trouble
from contracts.event import Model
from contracts.questions import (
    Accepted,
    Asker,
    Done,
    KeysReply,
    Name,
    NameReply,
    NodeEnrol,
    NodeStage,
    Nothing,
    Preflight,
    PreflightReply,
    PricesReply,
    Registrar,
    RegistrarReply,
    Submit,
    Token,
    TokenReply,
)
from tests.integration.gateway.conftest import VIEWER, Edge, EdgeOf, StandIn
from tests.requests import CLOUD_TOKEN, request_body
from tests.unit.gateway import story

SOVEREIGNS = "/api/v1/sovereigns"
STAGES = f"/node/v1/sovereigns/{story.ID}/stages"
KUBECONFIG = f"/node/v1/sovereigns/{story.ID}/kubeconfig"
STAGE = {"server": "demo-omani-works-cp1", "stage": "k3s", "state": "done", "number": 3, "sequence": 6, "at": "now"}


class Services:
    """Stand-ins that remember what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Model, Asker | None]] = []
        self.keys = {service: SealKeys.generate(service) for service in (TOFU, FLUX, DNS)}
        self.verdict = TokenReply(valid=True, can_write=True)
        self.refusal: Answer | None = None

    async def tofu_keys(self, _request: Nothing, _asker: Asker | None) -> KeysReply:
        return KeysReply(service=TOFU, keys=self.keys[TOFU].public())

    async def flux_keys(self, _request: Nothing, _asker: Asker | None) -> KeysReply:
        return KeysReply(service=FLUX, keys=self.keys[FLUX].public())

    async def dns_keys(self, _request: Nothing, _asker: Asker | None) -> KeysReply:
        return KeysReply(service=DNS, keys=self.keys[DNS].public())

    async def preflight(self, request: Preflight, asker: Asker | None) -> PreflightReply:
        self.asked.append((request, asker))
        return PreflightReply(findings=())

    async def prices(self, request: Token, asker: Asker | None) -> PricesReply:
        self.asked.append((request, asker))
        return PricesReply(prices=())

    async def registrar(self, request: Registrar, asker: Asker | None) -> RegistrarReply:
        self.asked.append((request, asker))
        return RegistrarReply(registrar=request.registrar, domain=request.domain, valid=True)

    async def judge(self, request: Token, asker: Asker | None) -> TokenReply:
        self.asked.append((request, asker))
        return self.verdict

    async def submit(self, request: Submit, asker: Asker | None) -> Accepted:
        self.asked.append((request, asker))
        if self.refusal:
            raise self.refusal
        return Accepted(sovereign=story.ID, life=1, run=1, event_id=story.CAUSE)

    async def stage(self, request: NodeStage, asker: Asker | None) -> Done:
        self.asked.append((request, asker))
        return Done()

    async def enrol(self, request: NodeEnrol, asker: Asker | None) -> Done:
        self.asked.append((request, asker))
        return Done(again=len(self.asked) > 1)

    async def name(self, request: Name, _asker: Asker | None) -> NameReply:
        return NameReply(fqdn=request.fqdn, verdict="free")

    def last(self, kind: type[Model]) -> Any:
        return next(request for request, _ in reversed(self.asked) if isinstance(request, kind))


@pytest.fixture
async def services(stand_in: StandIn) -> Services:
    found = Services()
    await stand_in(
        answer(KEYS[TOFU], found.tofu_keys),
        answer(KEYS[FLUX], found.flux_keys),
        answer(KEYS[DNS], found.dns_keys),
        answer(TOKEN, found.judge),
        answer(PREFLIGHT, found.preflight),
        answer(PRICES, found.prices),
        answer(REGISTRAR, found.registrar),
        answer(SUBMIT, found.submit),
        answer(NODE_STAGE, found.stage),
        answer(NODE_ENROL, found.enrol),
        answer(NAME, found.name),
    )
    return found


async def problem(response: aiohttp.ClientResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    body = await response.json()
    assert body["status"] == response.status
    assert body["next_step"]
    return response.status, body["code"]


async def test_a_token_in_clear_is_sealed_at_the_edge_for_this_sovereign_and_goes_no_further(
    edge_of: EdgeOf, services: Services
) -> None:
    edge = await edge_of()
    body = request_body(token=None) | {"credentials": {"cloud_token": CLOUD_TOKEN}}
    response = await edge.post(SOVEREIGNS, body, headers={"Idempotency-Key": "k1"})
    assert (response.status, response.headers["Location"]) == (202, f"{SOVEREIGNS}/{story.ID}")
    submitted, asker = services.asked[-1]
    assert isinstance(submitted, Submit)
    assert asker == Asker(actor="ada", owner="demo", roles=("operator", "approver"))
    assert submitted.idempotency_key == "k1"
    assert CLOUD_TOKEN not in submitted.model_dump_json()
    sealed = services.last(Token).secret
    assert services.keys[TOFU].open(sealed, bound_to=story.ID, purpose="cloud-token").decode() == CLOUD_TOKEN
    assert submitted.body["secrets"] == [sealed.model_dump(mode="json")]


async def test_secrets_that_are_only_tried_are_sealed_to_whoever_tries_them(
    edge_of: EdgeOf, services: Services
) -> None:
    edge = await edge_of()
    cloud = {"credentials": {"cloud_token": CLOUD_TOKEN}}
    assert (await edge.post("/api/v1/preflight", request_body(token=None) | cloud)).status == 200
    (sealed,) = services.last(Preflight).secrets
    assert services.keys[TOFU].open(sealed, bound_to=story.ID) == CLOUD_TOKEN.encode()
    assert sealed.bound_to == story.ID

    assert (await edge.post("/api/v1/prices", cloud)).status == 200
    assert services.last(Token).secret.bound_to == "draft"
    assert (await edge.post("/api/v1/prices", cloud | {"fqdn": story.FQDN})).status == 200
    assert services.last(Token).secret.bound_to == story.ID

    tried = {"domain": "example.org", "credentials": {"registrar_token": "id:key"}}
    assert (await edge.post("/api/v1/registrars/ovh/validate", tried)).status == 200
    asked = services.last(Registrar)
    assert (asked.registrar, asked.domain) == ("ovh", "example.org")
    assert services.keys[DNS].open(asked.secret, bound_to="draft") == b"id:key"
    assert (await edge.post("/api/v1/registrars/gandi/validate", tried)).status == 422


async def test_a_read_only_token_is_refused_at_the_door_and_nothing_is_asked_for(
    edge_of: EdgeOf, services: Services
) -> None:
    edge = await edge_of()
    services.verdict = TokenReply(valid=True, can_write=False)
    body = request_body(token=None) | {"credentials": {"cloud_token": CLOUD_TOKEN}}
    assert await problem(await edge.post(SOVEREIGNS, body)) == (422, "token_readonly")
    assert not [request for request, _ in services.asked if isinstance(request, Submit)]


async def test_every_wrong_field_comes_back_at_once_as_the_service_named_it(
    edge_of: EdgeOf, services: Services
) -> None:
    edge = await edge_of()
    wrong = [FieldError(field=f"topology.{name}", code="x", message="no") for name in ("region", "worker_count")]
    services.refusal = Answer(trouble("invalid-request", attempted="read the request", on="body"), wrong)
    response = await edge.post(SOVEREIGNS, {"domain": {"fqdn": "demo.omani.works"}})
    assert await problem(response) == (422, "invalid-request")
    assert [row["field"] for row in (await response.json())["errors"]] == ["topology.region", "topology.worker_count"]


@pytest.mark.parametrize(
    ("code", "status"),
    [("fqdn-taken", 409), ("run-active", 409), ("idempotency-conflict", 409), ("stream-almost-full", 503)],
)
async def test_a_refusal_keeps_its_code_and_gets_the_status_of_its_kind(
    edge_of: EdgeOf, services: Services, code: str, status: int
) -> None:
    edge = await edge_of()
    services.refusal = Answer(trouble(code, attempted="open a run", on="demo.omani.works"))
    assert await problem(await edge.post(SOVEREIGNS, request_body(token=None))) == (status, code)


async def test_when_nobody_answers_on_the_bus_the_edge_says_who_is_missing(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    response = await edge.get(CATALOGUE.path or "")
    assert await problem(response) == (503, "nobody-answers")
    assert (await response.json())["on"] == "intake"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/nothing", None, (404, "no-such-page")),
        ("DELETE", SOVEREIGNS, None, (405, "method-not-allowed")),
        ("POST", SOVEREIGNS, b"{", (400, "unreadable-body")),
        ("POST", SOVEREIGNS, b"[1]", (400, "unreadable-body")),
        ("POST", SOVEREIGNS, b"[" * 100_000, (400, "unreadable-body")),
        ("POST", SOVEREIGNS, b" " * (256 * 1024 + 1), (413, "message-too-large")),
        ("GET", f"{SOVEREIGNS}/nothing_omani_works", None, (404, "unknown-sovereign")),
        ("GET", f"{SOVEREIGNS}/..%2f..%2fetc", None, (404, "unknown-sovereign")),
    ],
)
async def test_whatever_is_wrong_with_a_call_is_a_problem_document(
    edge_of: EdgeOf, method: str, path: str, body: bytes | None, expected: tuple[int, str]
) -> None:
    edge = await edge_of()
    response = await edge.http.request(method, f"{edge.url}{path}", data=body, headers=edge.bearer())
    assert await problem(response) == expected


async def test_without_a_login_nothing_is_told_and_a_viewer_commands_nothing(
    edge_of: EdgeOf, services: Services
) -> None:
    edge = await edge_of()
    await edge.say(story.requested())
    for question in QUESTIONS:
        if question.method and question.path and question.role not in ("anyone", "node"):
            named = {"sovereign": story.ID, "fqdn": story.FQDN, "draft": "0123abcd", "registrar": "ovh"}
            path = question.path.format_map(defaultdict(lambda: "1", named))
            response = await edge.http.request(question.method, f"{edge.url}{path}")
            assert (await problem(response))[0] == 401, question.subject
            if question.role != "viewer":
                refused = await edge.http.request(question.method, f"{edge.url}{path}", headers=edge.bearer(VIEWER))
                assert await problem(refused) == (403, "not-allowed"), question.subject
    assert services.asked == []


async def test_the_open_api_document_is_valid_and_names_every_question(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    document = await (await edge.get("/api/v1/openapi.json")).json()
    validate(document)
    for question in QUESTIONS:
        if question.path and question.method:
            assert document["paths"][question.path][question.method.lower()]["x-question"] == question.subject


async def test_a_name_is_asked_with_its_mode(edge_of: EdgeOf, services: Services) -> None:
    edge = await edge_of()
    reply = await (await edge.get("/api/v1/names/new.omani.works", params={"mode": "pool"})).json()
    assert reply == {"fqdn": "new.omani.works", "verdict": "free", "reason": "", "trouble": None}
    assert (await edge.get("/api/v1/names/x.y", params={"mode": "guess"})).status == 422
    assert services.asked == []


async def node(edge: Edge, method: str, path: str, body: bytes, token: str | None = "node") -> aiohttp.ClientResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await edge.http.request(method, f"{edge.url}{path}", data=body, headers=headers)


async def test_a_boot_stage_is_passed_on_with_the_tokens_hash_only(edge_of: EdgeOf, services: Services) -> None:
    edge = await edge_of()
    response = await node(edge, "POST", STAGES, json.dumps(STAGE | {"log": ["x" * 2100] * 60}).encode())
    assert response.status == 200
    report = services.last(NodeStage)
    assert report.token_sha256 == hashlib.sha256(b"node").hexdigest()
    assert (len(report.log), len(report.log[0])) == (50, 2000)
    assert services.asked[-1][1] is None


async def test_a_kubeconfig_is_sealed_to_flux_watcher_and_the_same_body_is_recognised(
    edge_of: EdgeOf, services: Services
) -> None:
    edge = await edge_of()
    body = b"apiVersion: v1\nkind: Config\n"
    first = await (await node(edge, "PUT", KUBECONFIG, body, "hand-in")).json()
    again = await (await node(edge, "PUT", KUBECONFIG, body, "hand-in")).json()
    assert (first["again"], again["again"]) == (False, True)
    one, two = (request for request, _ in services.asked)
    assert isinstance(one, NodeEnrol)
    assert isinstance(two, NodeEnrol)
    assert one.body_sha256 == two.body_sha256 == hashlib.sha256(body).hexdigest()
    assert services.keys[FLUX].open(one.kubeconfig, bound_to=story.ID, purpose="kubeconfig") == body
    assert one.caller_ip == "127.0.0.1"


async def test_the_node_door_refuses_what_is_no_node(edge_of: EdgeOf, services: Services) -> None:
    edge = await edge_of()
    stage = json.dumps(STAGE).encode()
    assert await problem(await node(edge, "POST", STAGES, stage, None)) == (401, "node-unauthorized")
    assert await problem(await node(edge, "POST", STAGES, b"{}")) == (422, "invalid-request")
    assert await problem(await node(edge, "POST", STAGES, b"x" * 200_000)) == (413, "message-too-large")
    assert await problem(await node(edge, "PUT", KUBECONFIG, b"")) == (400, "unreadable-body")
    assert await problem(await node(edge, "PUT", KUBECONFIG, b"x" * 20_000)) == (413, "message-too-large")
    wrong = "/node/v1/sovereigns/NotAnId/stages"
    assert await problem(await node(edge, "POST", wrong, stage)) == (404, "no-such-page")
    assert services.asked == []


async def test_a_node_that_reports_without_end_is_told_to_wait(edge_of: EdgeOf, services: Services) -> None:
    edge = await edge_of()
    stage = json.dumps(STAGE).encode()
    for _ in range(400):
        response = await node(edge, "POST", STAGES, stage)
        if response.status == 429:
            break
    assert await problem(response) == (429, "too-many-requests")
    assert int(response.headers["Retry-After"]) >= 1
    assert len(services.asked) >= 240
