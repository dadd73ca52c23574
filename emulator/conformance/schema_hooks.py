"""Makes generated requests reach the code behind authentication and look-ups."""

import json
import os
import random
import urllib.request

import schemathesis

BASE = os.environ["DESCOPE_BASE_URI"]
PROJECT = os.environ["DESCOPE_PROJECT_ID"]
KEY = os.environ["DESCOPE_MANAGEMENT_KEY"]
MEMBER = "member@example.com"
# Ends the session of the token that it gets, or of every token of the user.
ENDING = ("/logout", "/logoutall", "/user/delete", "/delete/all", "/magiclink/verify")

chance = random.Random(1)
minted = {}


def post(path, body, *parts):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + ":".join((PROJECT, *parts))}
    request = urllib.request.Request(BASE + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def tokens(path):
    """Tokens of a session that lives; made anew after a call that may have ended it."""
    if not minted:
        try:
            minted.update(post("/_emulator/v1/sessions", {"loginId": MEMBER}))
        except urllib.error.HTTPError:
            post("/_emulator/v1/users", {"loginId": MEMBER, "tenants": {"acme": ["admin"], "globex": []}})
            minted.update(post("/_emulator/v1/sessions", {"loginId": MEMBER}))
    found = dict(minted)
    if path.endswith(ENDING):
        minted.clear()
    return found


def bearer(operation):
    schemes = [name for requirement in operation.definition.raw.get("security", []) for name in requirement]
    parts = [PROJECT]
    if "management" in schemes:
        parts.append(KEY)
    elif "accessKey" in schemes:
        parts.append("conformance-access-key")
    elif "session" in schemes:
        parts.append(tokens(operation.path)["sessionJwt"])
    elif "refresh" in schemes:
        parts.append(tokens(operation.path)["refreshJwt"])
    return "Bearer " + ":".join(parts)


@schemathesis.hook
def before_call(context, case, kwargs):
    # One in twenty goes without, to see the refusal too.
    if chance.random() < 0.95:
        case.headers = {**(case.headers or {}), "Authorization": bearer(case.operation)}
    if case.path_parameters and chance.random() < 0.5:
        case.path_parameters["projectId"] = PROJECT
    body = case.body
    if not isinstance(body, dict) or chance.random() < 0.3:
        return
    if "token" in body and chance.random() < 0.7:
        body["token"] = post("/v1/mgmt/user/signup/embeddedlink", {"loginId": MEMBER}, KEY)["token"]
    if "loginId" in body and chance.random() < 0.7:
        body["loginId"] = chance.choice([MEMBER, "test@example.com", "fresh%d@example.com" % chance.randrange(10**6), "+15555550123"])
    for name, value in (("email", "changed@example.com"), ("phone", "+15555550199"), ("redirectUrl", "https://app.example.com/in?x=1")):
        if name in body and chance.random() < 0.7:
            body[name] = value
    if "tenant" in body and chance.random() < 0.7:
        body["tenant"] = "acme"
