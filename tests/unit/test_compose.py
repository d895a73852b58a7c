"""docker-compose.yml as far as it can be judged without an engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bus.settings import BusSettings
from catalyst.stack.stack import SERVICES

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()


def test_it_passes_the_compose_specification() -> None:
    words = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker-compose.yml")]
    said = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_each_container_is_built_here_runs_as_nobody_and_writes_nothing_of_its_own(name: str) -> None:
    service = COMPOSE["services"][name]
    target = service["build"]["target"]
    stage = re.search(rf"^FROM \S+ AS {target}$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert stage is not None
    assert "USER 65532:65532" in stage[1]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] != "0:0"


def test_every_service_has_a_container_and_no_secret_in_its_environment() -> None:
    assert set(SERVICES) <= set(COMPOSE["services"])
    told = str([service.get("environment", {}) for service in COMPOSE["services"].values()]).lower()
    assert not re.search(r"(token|password|seed|api_key)['\"]?: ['\"](?!/run/secrets)", told)
    for service in SERVICES:
        secrets = COMPOSE["services"][service]["secrets"]
        assert f"{service}.nk" in secrets
        assert all(COMPOSE["secrets"][secret]["file"].startswith(".run/compose/secrets/") for secret in secrets)


def test_health_is_asked_where_a_service_answers_it() -> None:
    assert "CATALYST_HEALTH_PORT=9000" in DOCKERFILE
    assert BusSettings.model_fields["health_port"].validation_alias.choices == ["CATALYST_HEALTH_PORT"]  # type: ignore[union-attr]  # set by _alias
