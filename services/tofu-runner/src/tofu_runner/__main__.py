"""Starts the service."""

from bus import run
from contracts.catalogue import TOFU
from tofu_runner.app import tofu_runner
from tofu_runner.settings import Settings


def main() -> None:
    """Run until SIGTERM."""
    run(tofu_runner, Settings, name=TOFU)


if __name__ == "__main__":
    main()
