"""``docs/settings.md`` lists every setting with a sentence, as the sources say it."""

from pathlib import Path

from bus import BusSettings
from catalyst.settings_page import PAGE, page, settings_in
from intake.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_as_the_sources_say() -> None:
    assert (ROOT / PAGE).read_text() == page(ROOT), "stale: run make generate"


def test_every_setting_has_a_sentence() -> None:
    for file in (ROOT / "libs/bus/src/bus/settings.py", *(ROOT / "services").glob("*/src/*/settings.py")):
        assert [s.variable for s in settings_in(file.read_text()) if not s.meaning] == [], file


def test_what_is_read_from_the_source_are_the_variables_that_the_service_reads() -> None:
    source = (ROOT / "services/intake/src/intake/settings.py").read_text()
    read = {setting.variable for setting in settings_in(source)}
    own = set(Settings.model_fields) - set(BusSettings.model_fields)
    assert read == {f"INTAKE_{name.upper()}" for name in own}
