"""The command ``flux-watcher``."""

from bus import run
from contracts.catalogue import FLUX
from flux_watcher.app import flux_watcher
from flux_watcher.settings import Settings


def main() -> None:
    """Run the service until it is told to stop."""
    run(flux_watcher, Settings, name=FLUX)


if __name__ == "__main__":
    main()
