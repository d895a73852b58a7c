"""How simulated servers boot. Part of the sandbox's settings; nothing here reads the environment."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class NodeSettings(BaseModel):
    """Where servers live and how fast their clock runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path = Field(description="Each server has a folder here, named by its id: its disk and its console.")
    parallel_boots: int = Field(
        default=8, ge=1, description="Boots that run at once; the others wait their turn, as a busy host lets them."
    )
    calls_from_own_address: bool = Field(
        default=True,
        description="A server's calls come from its own loopback address, which no other host is reached by.",
    )
    clock_factor: float = Field(
        default=20.0, gt=0, description="`sleep` and `timeout` of a boot are this many times shorter than written."
    )
    age: Path | None = Field(default=None, description="The program age; servers are without it when it is not given.")
    shortest_timeout_s: float = Field(
        default=10.0, gt=0, description="No `timeout` gets shorter than this, or a busy machine fails honest boots."
    )
