"""``dns-pdm`` as a process."""

from bus import run
from dns_pdm.app import dns_pdm
from dns_pdm.settings import Settings


def main() -> None:
    """Run until SIGTERM."""
    run(dns_pdm, Settings, name="dns-pdm")


if __name__ == "__main__":
    main()
