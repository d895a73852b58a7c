"""What the integration layer stands on, for tests that kill its parts."""

from tests.integration.tofu_runner.conftest import here

__all__ = ["here"]
