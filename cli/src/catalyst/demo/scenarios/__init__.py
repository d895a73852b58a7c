"""All scenarios by name: one module for each half of the line."""

from typing import Final

from catalyst.demo.scenarios.cloud import CLOUD
from catalyst.demo.scenarios.line import LINE
from catalyst.demo.scenarios.naming import NAMING
from catalyst.demo.scenarios.registrars import REGISTRARS
from catalyst.demo.scenarios.scenario import Scenario

SCENARIOS: Final[dict[str, Scenario]] = {scenario.name: scenario for scenario in (*LINE, *CLOUD, *NAMING, *REGISTRARS)}

__all__ = ["SCENARIOS", "Scenario"]
