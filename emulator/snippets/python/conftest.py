"""A pytest fixture for the emulator: what users receive, and the powers of a test."""

import json
import os
import urllib.parse
import urllib.request

import pytest


class Emulator:
    def __init__(self, base):
        self.control = f"{base}/_emulator/v1"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.control}/{path}", data, method=method)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def link(self, address, after=0):
        """The link in the newest message to an address; waits for one."""
        query = urllib.parse.urlencode({"to": address, "wait": 5, "limit": 1, "after": after})
        messages = self.call("GET", f"messages?{query}")["messages"]
        assert messages, f"no message to {address}"
        return messages[0]["link"]

    def token(self, address):
        link = urllib.parse.urlparse(self.link(address))
        return urllib.parse.parse_qs(link.query)["t"][0]


@pytest.fixture
def emulator():
    emulator = Emulator(os.environ["DESCOPE_BASE_URI"])
    emulator.call("POST", "reset", {})
    return emulator
