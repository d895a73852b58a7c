import os
import pathlib
from collections.abc import Callable

import pytest

from tests.integration.module.rendering import DEPLOY, render

TOOLS = ("CATALYST_TOFU", "CATALYST_TOFU_CLI_CONFIG", "CATALYST_SHELLCHECK", "CATALYST_CLOUD_INIT")

Rendered = Callable[..., dict[str, str]]


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    if missing := [name for name in TOOLS if name not in os.environ]:
        pytest.fail(f"run this by `make test-integration`, which says where the tools are: no {', '.join(missing)}")


@pytest.fixture(scope="session")
def highly_available(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """User data of three control planes and two workers."""
    directory = tmp_path_factory.mktemp("ha")
    return render(directory, control_plane_count=3, worker_count=2, worker_type="cpx32")


@pytest.fixture(scope="session")
def largest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """User data of one ARM node with every option of the kit, behind a door whose certificates do not compress."""
    directory: pathlib.Path = tmp_path_factory.mktemp("largest")
    chain = "".join(f"-----BEGIN CERTIFICATE-----\n{os.urandom(900).hex()}\n-----END CERTIFICATE-----\n" for _ in "abc")
    options = sorted(path.name for path in (DEPLOY / "kit" / "options").iterdir())
    return render(
        directory, control_plane_type="cax31", node_door_ca=chain, organisation="o" * 200, kit_options=options
    )
