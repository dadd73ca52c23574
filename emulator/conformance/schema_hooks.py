"""Makes generated requests reach the code behind authentication and look-ups, and notes which operations succeeded."""

import atexit
import json
import os
import random
import urllib.error
import urllib.request

import schemathesis

BASE = os.environ["DESCOPE_BASE_URI"]
PROJECT = os.environ["DESCOPE_PROJECT_ID"]
KEY = os.environ["DESCOPE_MANAGEMENT_KEY"]
SUCCEEDED = os.environ["SUCCEEDED_FILE"]
MEMBER = {
    "loginId": "member@example.com",
    "phone": "+15555550177",
    "tenants": {"acme": ["admin"], "globex": []},
}
TEST_USER = {"loginId": "test@example.com", "phone": "+15555550178", "test": True}

chance = random.Random(1)
succeeded = set()


def post(path, body, *parts):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + ":".join((PROJECT, *parts))}
    request = urllib.request.Request(BASE + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def ensure(user):
    """Generated calls delete and rename users."""
    try:
        post("/_emulator/v1/users", user)
    except urllib.error.HTTPError as refused:
        if refused.code != 400:
            raise


def tokens():
    ensure(MEMBER)
    return post("/_emulator/v1/sessions", {"loginId": MEMBER["loginId"]})


def bearer(operation):
    schemes = [name for requirement in operation.definition.raw.get("security", []) for name in requirement]
    parts = [PROJECT]
    if "management" in schemes:
        parts.append(KEY)
    elif "accessKey" in schemes:
        parts.append("conformance-access-key")
    elif "session" in schemes:
        parts.append(tokens()["sessionJwt"])
    elif "refresh" in schemes:
        parts.append(tokens()["refreshJwt"])
    return "Bearer " + ":".join(parts)


def known_user(case):
    """A user who can do what the operation needs, or a new one where one is wanted."""
    path = case.operation.path
    if "/signup" in path and chance.random() < 0.5:
        number = chance.randrange(10**7)
        return f"fresh{number}@example.com" if path.endswith("email") else f"+1555{number:07}"
    user = TEST_USER if path.startswith("/v1/mgmt/") else MEMBER
    ensure(user)
    return user["loginId"]


@schemathesis.hook
def before_call(context, case, kwargs):
    # One in twenty goes without, to see the refusal too.
    if chance.random() < 0.95:
        case.headers = {**(case.headers or {}), "Authorization": bearer(case.operation)}
    if case.path_parameters and chance.random() < 0.5:
        case.path_parameters["projectId"] = PROJECT
    if case.query and "loginId" in case.query and chance.random() < 0.5:
        case.query = {"loginId": known_user(case)}
    body = case.body
    if not isinstance(body, dict) or chance.random() < 0.3:
        return
    if "token" in body:
        ensure(MEMBER)
        body["token"] = post("/v1/mgmt/user/signin/embeddedlink", {"loginId": MEMBER["loginId"]}, KEY)["token"]
    if "loginId" in body:
        body["loginId"] = known_user(case)
        body.pop("userId", None)
    known = {
        "email": "changed@example.com",
        "phone": "+15555550199",
        "redirectUrl": "https://app.example.com/in?x=1",
        "tenant": "acme",
        "deliveryMethod": "sms",
        "useRecovery": False,
        "timeout": 60,
        "status": "enabled",
    }
    for name, value in known.items():
        if name in body and chance.random() < 0.8:
            body[name] = value
    options = body.get("loginOptions")
    if isinstance(options, dict) and chance.random() < 0.8:
        for name in ("tenantId", "selectedTenant", "customClaims"):
            options.pop(name, None)


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code == 200:
        succeeded.add(case.operation.definition.raw["operationId"])


@atexit.register
def report():
    with open(SUCCEEDED, "w") as file:
        json.dump(sorted(succeeded), file)
