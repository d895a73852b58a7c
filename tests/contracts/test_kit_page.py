"""``docs/kit/components.md`` lists what the catalogue holds, as it says it."""

from pathlib import Path

from catalyst.kit_page import PAGE, page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_as_the_catalogue_says() -> None:
    assert (ROOT / PAGE).read_text() == page(ROOT), "stale: run make generate"
