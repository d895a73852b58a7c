"""Start of the PowerDNS container: makes the database where there is none, then becomes the server.

`POWERDNS_CONFIG` names the folder with pdns.conf (a secret: the API key is in it); the database lies in /data.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

SERVER = "/usr/sbin/pdns_server"
SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
DATABASE = Path("/data/pdns.sqlite3")


def main() -> None:
    """Never returns."""
    if not DATABASE.exists():
        draft = DATABASE.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA.read_text())
            connection.commit()
        draft.replace(DATABASE)
    os.execv(SERVER, [SERVER, f"--config-dir={os.environ['POWERDNS_CONFIG']}"])  # noqa: S606 - becomes the server


main()
