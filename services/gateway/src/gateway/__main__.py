"""The gateway's process."""

from bus import run
from gateway.app import gateway
from gateway.settings import Settings


def main() -> None:
    """Serve until SIGTERM."""
    run(gateway, Settings, name="gateway")


if __name__ == "__main__":
    main()
