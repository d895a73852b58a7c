"""``python -m contracts [CHECKOUT]``: write the documents that derive from the catalogue."""

import sys
from pathlib import Path

from contracts.documents import documents


def main() -> None:
    """Write every generated file below the checkout (the present folder by default)."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    for name, content in documents().items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main()
