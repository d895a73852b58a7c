"""One JSON line per record, on standard error: message constant, variables in fields."""

import json
import logging
import sys
from datetime import UTC, datetime

from bus.scan import masked

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def __init__(self, service: str, replica: str) -> None:
        super().__init__()
        self._named = {"service": service, "replica": replica}

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        body: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._named,
            "logger": record.name,
            "message": record.getMessage(),
        }
        body |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            body["traceback"] = self.formatException(record.exc_info)
        # A traceback may quote what a handler worked on.
        return masked(json.dumps(body, default=str))


def configure_logging(service: str, replica: str, level: str) -> None:
    """Send everything to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service, replica))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("nats").setLevel(logging.WARNING)
