"""``python -m catalyst.demo [SCENARIO]``: start everything, play a scenario, show it, say what to try next."""

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
import time

from rich.console import Console

from bus.server import free_port
from catalyst.demo.play import OWNER, OutcomeWrong, Play, new_ssh_key, playing, shown
from catalyst.demo.scenarios import SCENARIOS, Scenario
from catalyst.screen import Screen, summary, views_by_run
from catalyst.stack.admission import CLOUD_TOKEN_FILE, ENVIRONMENT_FILE, admit
from catalyst.stack.processes import DidNotStart
from catalyst.stack.stack import Options, Stack, private_file
from catalyst.stack.tools import CHECKOUT, NoCheckout
from contracts.identity import fqdn_of, sovereign_id

CONSOLE_PORT = 8080


def main() -> None:
    """Play the scenario named on the command line (``single`` without one); exit 1 with the reason when it fails."""
    name = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else "single"
    if name in {"list", "-h", "--help"}:
        print("make demo SCENARIO=<name> plays one of these on the sandbox (nothing costs anything):\n")
        width = max(map(len, SCENARIOS))
        for scenario in SCENARIOS.values():
            print(f"  {scenario.name:{width}} {scenario.shows}")
        return
    if name not in SCENARIOS:
        sys.exit(f"there is no scenario {name!r}; make demo SCENARIO=list shows them")
    try:
        asyncio.run(demonstrate(SCENARIOS[name]))
    except (DidNotStart, NoCheckout, OutcomeWrong, RuntimeError) as error:
        sys.exit(f"\nthe demo failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


async def demonstrate(scenario: Scenario) -> None:
    """Start, play, sum up; on a terminal stay until Ctrl-C."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/dim] {text}" if "\n" not in text else text, markup=True)

    directory = CHECKOUT / ".run" / "demo"
    shutil.rmtree(directory, ignore_errors=True)
    options = Options(directory, console_port=_console_port(), overrides=scenario.overrides)
    console.print(
        "Catalyst Zero demo: cloud, servers and clusters are [bold]simulated[/bold] by the sandbox; the rest is real."
    )
    async with Stack(options, tell=tell) as stack:
        link = admit(stack, OWNER, owner=OWNER)
        console.print(f"\nWatch it in the browser: {link}\n[dim](the link logs in once)[/dim]\n")
        with Screen(console, sovereign_id(f"{scenario.label}.{scenario.domain}"), title=scenario.shows) as screen:
            async with playing(stack, tell, screen) as play:
                private_file(stack.directory / "sandbox" / CLOUD_TOKEN_FILE, play.token)
                # For the next Sovereign: a cloud project takes a key once.
                private_file(stack.directory / "sovereign_admin.pub", new_ssh_key())
                await scenario.play(play)
                await _sum_up(play, console, time.monotonic() - began)
        if sys.stdout.isatty():
            await _stay(console)


def _console_port() -> int:
    """8080, or a free one when somebody else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", CONSOLE_PORT))
        except OSError:
            return free_port()
    return CONSOLE_PORT


async def _sum_up(play: Play, console: Console, seconds: float) -> None:
    """Durations, calls, events, cost, and what to try next."""
    for sovereign in dict.fromkeys(play.requested):
        for view in views_by_run(await play.history(sovereign)):
            console.print(f"\n[bold]run {view.run}[/bold]")
            for line in summary(view):
                console.print(line)
    console.print(f"The whole took {seconds:.0f} s.\n")
    first = play.requested[0]
    fqdn = fqdn_of(first)
    console.print("Try next, in another terminal:")
    console.print(f"  . {shown(play.stack.directory / ENVIRONMENT_FILE)}")
    for command in (
        "nats sub 'hr.ready.>'",
        f"nats sub 'tofu.*.{first}'",
        f"nats sub '*.*.{first}' --nkey $CATALYST_KEYS_DIR/observer.nk",
        f"catalyst watch {fqdn}",
        "catalyst scale tofu-runner=3",
        f"catalyst decommission {fqdn}",
    ):
        console.print(f"  {command}")


async def _stay(console: Console) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    console.print("\nEverything stays up until Ctrl-C.")
    with contextlib.suppress(asyncio.CancelledError):
        await stop.wait()
    console.print("Stopping.")


if __name__ == "__main__":
    main()
