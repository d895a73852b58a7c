"""``completion``: what makes a shell complete commands, options and the names of Sovereigns."""

import click
from click.shell_completion import get_completion_class

from catalyst.failing import Failure

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_CATALYST_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion script: eval "$(catalyst completion bash)"."""
    kind = get_completion_class(shell)
    if kind is None:
        raise Failure(f"there is no completion for {shell}", f"take one of {', '.join(SHELLS)}", code=2)
    click.echo(kind(context.find_root().command, {}, "catalyst", _VARIABLE).source())
