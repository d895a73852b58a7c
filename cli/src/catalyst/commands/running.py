"""``up`` and ``scale``: a small installation on one machine, every part of it under one supervising process."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from bus.server import NatsServer, ServerMissing
from catalyst.commands.session import json_option, settings, show
from catalyst.failing import UNREACHABLE, Failure
from catalyst.stack.admission import CLOUD_TOKEN_FILE, ENVIRONMENT_FILE, admit
from catalyst.stack.powerdns import PowerDnsFailed
from catalyst.stack.processes import DidNotStart
from catalyst.stack.stack import SCALABLE, SERVICES, Options, Stack, private_file
from catalyst.stack.steering import NotRunning, steer
from catalyst.stack.tools import NoCheckout

NATS_PORT: Final = 4222
CONSOLE_PORT: Final = 8080
_PAUSE_S: Final = 1.0


class Replicas(click.ParamType[tuple[str, int]]):
    """A service and how many of it: ``tofu-runner=3``."""

    name = "service=replicas"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Both parts."""
        service, _, number = str(value).partition("=")
        if service not in SCALABLE or not number.isdigit():
            can = ", ".join(SCALABLE)
            self.fail(f"{value}: give <service>=<number>; on one machine these can be scaled: {can}", param, ctx)
        return service, int(number)


state_option = click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path), help="Folder of the installation (CATALYST_STATE)."
)


@click.command()
@state_option
@click.option("--replicas", type=Replicas(), multiple=True, help="More than one of a service: tofu-runner=3.")
@click.option("--sandbox", is_flag=True, help="With a simulated cloud; nothing costs anything.")
@click.option("--owner", default="operator", show_default=True, help="The organisation of the first account.")
@click.option("--nats-port", default=NATS_PORT, show_default=True, help="Port of the broker on 127.0.0.1.")
@click.option("--console-port", default=CONSOLE_PORT, show_default=True, help="Port of the console on 127.0.0.1.")
def up(
    *,
    state: Path | None,
    replicas: Sequence[tuple[str, int]],
    sandbox: bool,
    owner: str,
    nats_port: int,
    console_port: int,
) -> None:
    """Run everything on this machine until Ctrl-C: broker, DNS server, the five services.

    All state lies in one folder; starting again goes on where it was. Settings of a service are taken from the
    environment (TOFU_RUNNER_KIT_URL, DNS_PDM_NAMESERVERS ...) and win over the built-in ones.
    """
    overrides = {name: _settings_of(name) for name in (*SERVICES, "sandbox")}
    folder = state or settings().state
    options = Options(
        folder, console_port, dict(replicas), overrides, nats_port=nats_port, sandbox=sandbox, owner=owner
    )
    try:
        asyncio.run(_run(options, owner))
    except* (DidNotStart, NoCheckout, PowerDnsFailed, ServerMissing, RuntimeError) as group:
        raise Failure(str(group.exceptions[0]), f"see {folder}/logs; catalyst doctor names missing programs") from None


def _settings_of(service: str) -> dict[str, str]:
    """What our own environment says for one service."""
    prefix = service.upper().replace("-", "_") + "_"
    return {name: value for name, value in os.environ.items() if name.startswith(prefix)}


async def _run(options: Options, owner: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Stack(options, tell=click.echo) as stack:
        link = admit(stack, "admin", owner=owner)
        if options.sandbox:
            click.echo("cloud, servers and clusters are simulated by the sandbox")
            private_file(stack.directory / "sandbox" / CLOUD_TOKEN_FILE, stack.token)
        click.echo(f"console: {link}\n(the link logs in once, within an hour)")
        click.echo(f"in another terminal: . {stack.directory / ENVIRONMENT_FILE}")
        click.echo("up until Ctrl-C")
        async with asyncio.TaskGroup() as group:
            minding = [
                group.create_task(_mind("nats-server", _ended(stack.nats), stack.nats.start)),
                group.create_task(_mind("PowerDNS", stack.dns.wait, stack.dns.start)),
            ]
            await stop.wait()
            for task in minding:
                task.cancel()
        click.echo("stopping: services finish what they have in hand")


def _ended(server: NatsServer) -> Callable[[], Awaitable[Any]]:
    async def ended() -> None:
        if server.process is not None:
            await server.process.wait()

    return ended


async def _mind(name: str, ended: Callable[[], Awaitable[Any]], start: Callable[[], Awaitable[None]]) -> None:
    """Start it again, on the same port and folder, whenever it ends by itself."""
    while True:
        await ended()
        click.echo(f"{name} ended; started again")
        await asyncio.sleep(_PAUSE_S)
        await start()


@click.command()
@click.argument("replicas", type=Replicas(), nargs=-1)
@state_option
@json_option
def scale(*, replicas: Sequence[tuple[str, int]], state: Path | None, as_json: bool) -> None:
    """Set how many of a service run (tofu-runner=3); without one, show what runs.

    Works on what ``catalyst up`` or ``make demo`` started. A replica that goes finishes what it has in hand first.
    """
    try:
        answer = asyncio.run(steer(state or settings().state, {"scale": dict(replicas)}))
    except NotRunning as error:
        raise Failure(str(error), "start it: catalyst up; or name its folder: --state", code=UNREACHABLE) from None
    if "error" in answer:
        raise Failure(answer["error"], "see catalyst scale --help")
    lines = [f"{row['name']:<16} process {row['pid']:<8} started {row['starts']} time(s)" for row in answer["runs"]]
    show(answer["runs"], as_json=as_json, text="\n".join(lines))
