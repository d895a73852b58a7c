"""Hands OpenTofu the key of its own state and plan encryption; OpenTofu starts it (key provider ``external``).

It asks the run's loopback server with the credential that OpenTofu has for its state backend anyway. So the key itself
stands in no file, argument or environment. Plain standard library, no package: it is started as a script, often.
"""

import base64
import http
import http.client
import json
import os
import sys
from urllib.parse import urlsplit

PROTOCOL = {"magic": "OpenTofu-External-Key-Provider", "version": 1}


def main() -> None:
    """One key, in the provider's protocol: a header line, then keys and metadata."""
    # Its one input is the environment that OpenTofu passes on: there is no settings object in this process.
    address = urlsplit(os.environ["TF_HTTP_ADDRESS"])
    credential = f"{os.environ['TF_HTTP_USERNAME']}:{os.environ['TF_HTTP_PASSWORD']}".encode()
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    connection.request("GET", "/key", headers={"Authorization": f"Basic {base64.b64encode(credential).decode()}"})
    answer = connection.getresponse()
    key = answer.read()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"the run's loopback server answered {answer.status}")
    encoded = base64.b64encode(key).decode()
    reply = {"keys": {"encryption_key": encoded, "decryption_key": encoded}, "meta": {"external_data": {}}}
    sys.stdout.write(f"{json.dumps(PROTOCOL)}\n{json.dumps(reply)}\n")


if __name__ == "__main__":
    main()
