"""Start intake."""

from bus import run
from intake.app import intake
from intake.settings import Settings


def main() -> None:
    """Run until SIGTERM."""
    run(intake, Settings, name="intake")


if __name__ == "__main__":
    main()
