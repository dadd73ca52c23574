"""The work of `work.rs` with Descope's Python SDK: `worker.py validate TOKEN`, `call`, or `cold TOKEN`."""

import os
import sys

from descope import DeliveryMethod, DescopeClient

client = DescopeClient(project_id=os.environ["DESCOPE_PROJECT_ID"])


def validate():
    assert client.validate_session(sys.argv[2])


def call():
    assert client.magiclink.sign_in(
        DeliveryMethod.EMAIL, "joe@example.com", "https://app.example.com/verify"
    )


if sys.argv[1] == "cold":
    validate()
    sys.exit()
work = {"validate": validate, "call": call}[sys.argv[1]]
for line in sys.stdin:
    for _ in range(int(line)):
        work()
    print(flush=True)
