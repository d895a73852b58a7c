"""``catalyst``: everything the console can do, for a terminal. Exit codes: see ``catalyst.failing``."""

import click

from catalyst.commands import (
    acting,
    asking,
    bundling,
    completing,
    keeping,
    letters,
    looking,
    operating,
    proving,
    running,
    saving,
    streaming,
    watching,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="catalyst-cli", prog_name="catalyst")
def main() -> None:
    """Provision Sovereigns: ask, watch, act.

    CATALYST_URL names the gateway, CATALYST_API_TOKEN or CATALYST_API_TOKEN_FILE who you are.
    Exit codes: 0 done, 1 interrupted, 2 wrong usage, 3 not reachable, 4 refused, 5 the watched run ended badly.
    """


for command in (
    asking.request,
    asking.seal,
    looking.preflight_,
    looking.prices,
    watching.watch,
    watching.list_,
    watching.show_,
    watching.events,
    watching.logs,
    watching.replay,
    acting.cancel,
    acting.retry,
    acting.approve,
    acting.reconcile,
    acting.decommission,
    acting.reprovision,
    acting.ssh,
    keeping.state,
    proving.proof,
    bundling.bundle,
    running.up,
    running.scale,
    operating.user,
    operating.keys,
    operating.doctor,
    completing.completion,
    letters.dlq,
    streaming.streams,
    streaming.topology,
    saving.backup,
    saving.restore,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
