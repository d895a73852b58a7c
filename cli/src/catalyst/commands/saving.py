"""``backup`` and ``restore``: an installation's streams, buckets and keys, to a folder and back."""

from pathlib import Path

import click

from bus import Bus
from bus.backup import KEYS, NoBackup, NotEmpty, back_up, read_manifest
from bus.backup import restore as restore_streams
from bus.snapshot import SnapshotFailed
from bus.wrapping import CannotUnwrap, KeysDiffer, unwrap
from catalyst.broker import on_the_broker
from catalyst.commands.asking import read_secret
from catalyst.commands.session import settings
from catalyst.failing import Failure
from contracts.topology import ADMIN

passphrase_option = click.option(
    "--passphrase-file",
    help="File with the passphrase of the wrapped keys; - reads standard input; asked for otherwise.",
)
directory_argument = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))


def _passphrase(file: str | None) -> bytes:
    text = read_secret(file, "Passphrase of the wrapped keys")
    if not text:
        raise click.UsageError("the passphrase is empty")
    return text.encode()


@on_the_broker(ADMIN)
async def _back_up(bus: Bus, directory: Path, keys: Path, passphrase: bytes) -> None:
    await back_up(bus.connection, directory, keys, passphrase, tell=click.echo)


@on_the_broker(ADMIN)
async def _restore(bus: Bus, directory: Path, *, replicas: int, scale: float) -> None:
    await restore_streams(bus.connection, directory, replicas=replicas, scale=scale, tell=click.echo)


@click.command()
@directory_argument
@passphrase_option
def backup(directory: Path, passphrase_file: str | None) -> None:
    """Save streams, buckets and keys into a new folder, while the services go on."""
    try:
        _back_up(directory, settings().keys_dir, _passphrase(passphrase_file))
    except NoBackup as error:
        raise Failure(str(error), "give an empty folder") from None
    except SnapshotFailed as error:
        raise Failure(f"not saved: {error}", "this folder is no backup: delete it, and look at the broker") from None
    click.echo(f"saved in {directory}; it is whole. Keep the passphrase elsewhere.")


@click.command()
@directory_argument
@click.option("--part", type=click.Choice(["all", "keys", "streams"]), default="all", show_default=True)
@click.option(
    "--replicas", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Servers that hold a copy."
)
@click.option(
    "--scale", type=click.FloatRange(0, 100, min_open=True), default=1.0, show_default=True, help="Size of the limits."
)
@passphrase_option
def restore(directory: Path, *, part: str, replicas: str, scale: float, passphrase_file: str | None) -> None:
    """Make an installation anew from a backup: the keys first (the broker is started with them), then the streams.

    The broker must be empty, and no service may run yet.
    """
    try:
        read_manifest(directory)
        if part in {"all", "keys"}:
            made = unwrap((directory / KEYS).read_bytes(), _passphrase(passphrase_file), settings().keys_dir)
            click.echo(f"{len(made)} key files restored to {settings().keys_dir}")
        if part in {"all", "streams"}:
            _restore(directory, replicas=int(replicas), scale=scale)
    except NoBackup as error:
        raise Failure(str(error), "give the folder of a whole backup") from None
    except (CannotUnwrap, KeysDiffer) as error:
        raise Failure(f"keys not restored: {error}", "give the backup's passphrase and an empty keys' folder") from None
    except NotEmpty as error:
        raise Failure(f"nothing was restored: {error}", "start a broker with an empty store") from None
    except SnapshotFailed as error:
        raise Failure(f"not restored: {error}", "empty the broker's store and restore again") from None
