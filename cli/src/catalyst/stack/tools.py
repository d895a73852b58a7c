"""The pinned programs of this checkout, as deploy/tools names them."""

import asyncio
import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[4]
"""The checkout that this installation runs from."""


class NoCheckout(RuntimeError):
    """This installation has no checkout beside it."""


async def tool_environment() -> dict[str, str]:
    """CATALYST_* variables that name the programs; what is missing is simply not there."""
    script = CHECKOUT / "deploy" / "tools" / "tools.py"
    if not script.exists():
        raise NoCheckout(f"{script} is missing: run this from a checkout of Catalyst Zero")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), "env", stdout=asyncio.subprocess.PIPE, env=os.environ.copy()
    )
    output, _ = await process.communicate()
    pairs = (line.split("=", 1) for line in output.decode().splitlines() if "=" in line)
    return {name: value for name, value in pairs if name.startswith("CATALYST_")}
