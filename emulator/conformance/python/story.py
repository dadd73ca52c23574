"""The story of a magic-link user, told by Descope's Python SDK against the emulator.

The SDK is unmodified; it finds the emulator by the variables that the emulator prints.
"""

import json
import os
import unittest
import urllib.parse
import urllib.request

from descope import (
    AssociatedTenant,
    AuthException,
    DeliveryMethod,
    DescopeClient,
    LoginOptions,
    RateLimitException,
    SignUpOptions,
)

BASE = os.environ["DESCOPE_BASE_URI"]
PROJECT = os.environ["DESCOPE_PROJECT_ID"]
KEY = os.environ["DESCOPE_MANAGEMENT_KEY"]
REDIRECT = "http://localhost:3000/verify"


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{BASE}/_emulator/v1/{path}", data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def message_for(address):
    found = control("GET", f"messages?limit=1&wait=5&to={urllib.parse.quote(address)}")["messages"]
    assert found, f"no message to {address}"
    return found[0]


def token_of(link):
    return urllib.parse.parse_qs(urllib.parse.urlparse(link).query)["t"][0]


class Story(unittest.TestCase):
    def setUp(self):
        control("POST", "reset", {})
        self.client = DescopeClient(project_id=PROJECT, management_key=KEY)

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(AuthException) as caught:
            call(*args, **kwargs)
        body = json.loads(caught.exception.error_message)
        self.assertEqual(body["errorCode"], code)
        return body

    def verify(self, address):
        message = message_for(address)
        self.assertEqual(token_of(message["link"]), message["token"])
        return self.client.magiclink.verify(message["token"])

    def tokens(self, jwt):
        return jwt["sessionToken"]["jwt"], jwt["refreshSessionToken"]["jwt"]

    def test_sign_up_and_in_by_every_method(self):
        magic = self.client.magiclink
        masked = magic.sign_up(
            DeliveryMethod.EMAIL,
            "joe@example.com",
            REDIRECT,
            {"name": "Joe Person", "phone": "+15555550100"},
            SignUpOptions(custom_claims={"plan": "pro"}, template_options={"greeting": "hi"}),
        )
        self.assertEqual(masked, "j***@example.com")
        self.assertEqual(message_for("joe@example.com")["templateOptions"], {"greeting": "hi"})
        auth = self.verify("joe@example.com")
        self.assertTrue(auth["firstSeen"])
        self.assertEqual(auth["user"]["name"], "Joe Person")
        self.assertEqual(auth["sessionToken"]["amr"], ["email"])
        self.assertEqual(auth["sessionToken"]["nsec"], {"plan": "pro"})
        self.assertEqual(auth["projectId"], PROJECT)

        magic.sign_in(DeliveryMethod.SMS, "joe@example.com", REDIRECT)
        auth = self.verify("+15555550100")
        self.assertFalse(auth["firstSeen"])
        self.assertEqual(auth["sessionToken"]["amr"], ["sms"])
        magic.sign_in(DeliveryMethod.WHATSAPP, "joe@example.com", REDIRECT)
        self.assertEqual(self.verify("+15555550100")["sessionToken"]["amr"], ["whatsapp"])

        for number, method in [("+15555550111", DeliveryMethod.SMS), ("+15555550222", DeliveryMethod.WHATSAPP)]:
            self.assertEqual(magic.sign_up(method, number, REDIRECT, {"phone": number}), f"*****{number[-4:]}")
            self.assertTrue(self.verify(number)["user"]["verifiedPhone"])
        for address, method in [
            ("new@example.com", DeliveryMethod.EMAIL),
            ("+15555550333", DeliveryMethod.SMS),
            ("+15555550444", DeliveryMethod.WHATSAPP),
        ]:
            for first in (True, False):
                magic.sign_up_or_in(method, address, REDIRECT)
                self.assertEqual(self.verify(address)["firstSeen"], first)

    def test_sessions_are_validated_refreshed_and_ended(self):
        magic, client = self.client.magiclink, self.client
        magic.sign_in(DeliveryMethod.EMAIL, "member@example.com", REDIRECT)
        auth = self.verify("member@example.com")
        session, refresh = self.tokens(auth)

        claims = client.validate_session(session)
        self.assertEqual(claims["userId"], auth["userId"])
        self.assertTrue(client.validate_roles(claims, ["reader"]))
        self.assertFalse(client.validate_roles(claims, ["admin"]))
        self.assertTrue(client.validate_permissions(claims, ["invoice:read"]))
        self.assertTrue(client.validate_tenant_roles(claims, "acme", ["admin"]))
        self.assertTrue(client.validate_tenant_permissions(claims, "acme", ["invoice:write"]))
        self.assertFalse(client.validate_tenant_roles(claims, "globex", ["admin"]))

        fresh = client.refresh_session(refresh)
        self.assertEqual(fresh["sessionToken"]["sub"], auth["userId"])
        self.assertEqual(client.validate_and_refresh_session(session, refresh)["userId"], auth["userId"])
        self.assertEqual(client.me(refresh)["email"], "member@example.com")
        self.assertEqual(len(client.history(refresh)), 1)

        selected = client.select_tenant("acme", refresh)
        self.assertEqual(selected["sessionToken"]["dct"], "acme")
        self.assertEqual(client.my_tenants(refresh, ids=["globex"])["tenants"][0]["name"], "Globex")
        self.assertEqual(client.my_tenants(refresh, dct=True)["tenants"][0]["id"], "acme")

        client.logout(refresh)
        body = self.refused("E064001", client.me, refresh)
        self.assertIn("Expired due to logout", body["errorMessage"])
        self.refused("E064001", client.refresh_session, refresh)

        pairs = []
        for _ in range(2):
            magic.sign_in(DeliveryMethod.EMAIL, "member@example.com", REDIRECT)
            pairs.append(self.tokens(self.verify("member@example.com")))
        client.logout_all(pairs[0][1])
        for _, token in pairs:
            self.refused("E064001", client.me, token)

    def test_step_up_mfa_and_revoking(self):
        magic, client = self.client.magiclink, self.client
        magic.sign_in(DeliveryMethod.EMAIL, "member@example.com", REDIRECT)
        _, old = self.tokens(self.verify("member@example.com"))
        options = LoginOptions(stepup=True, custom_claims={"why": "payment"}, locale="de")
        magic.sign_in(DeliveryMethod.EMAIL, "member@example.com", REDIRECT, options, old)
        stepped = self.verify("member@example.com")
        self.assertIs(stepped["sessionToken"]["su"], True)
        magic.sign_in(DeliveryMethod.EMAIL, "member@example.com", REDIRECT, LoginOptions(mfa=True), old)
        self.assertEqual(self.verify("member@example.com")["sessionToken"]["amr"], ["email", "mfa"])
        magic.sign_in(DeliveryMethod.EMAIL, "member@example.com", REDIRECT, LoginOptions(revoke_other_sessions=True))
        self.verify("member@example.com")
        self.refused("E064001", client.me, old)

    def test_addresses_are_updated(self):
        magic = self.client.magiclink
        magic.sign_up(DeliveryMethod.EMAIL, "joe@example.com", REDIRECT, {"name": "Joe"})
        _, refresh = self.tokens(self.verify("joe@example.com"))
        magic.update_user_email("joe@example.com", "new@example.com", refresh, add_to_login_ids=True)
        user = self.verify("new@example.com")["user"]
        self.assertEqual((user["email"], sorted(user["loginIds"])), ("new@example.com", ["joe@example.com", "new@example.com"]))
        magic.update_user_phone(DeliveryMethod.SMS, "joe@example.com", "+12223334455", refresh)
        user = self.verify("+12223334455")["user"]
        self.assertEqual((user["phone"], user["verifiedPhone"]), ("+12223334455", True))

        magic.sign_up(DeliveryMethod.EMAIL, "ann@example.com", REDIRECT)
        _, other = self.tokens(self.verify("ann@example.com"))
        self.refused("E061005", magic.update_user_email, "joe@example.com", "evil@example.com", other)

    def test_test_users_and_embedded_links(self):
        users, magic = self.client.mgmt.user, self.client.magiclink
        created = users.create_test_user(
            "test@example.com",
            email="test@example.com",
            display_name="Test",
            role_names=["admin"],
            user_tenants=[AssociatedTenant("acme", ["reader"])],
            custom_attributes={"level": 3},
            verified_email=True,
        )["user"]
        self.assertTrue(created["test"])
        users.create_test_user("test@example.com")
        options = LoginOptions(custom_claims={"k1": 7})
        made = users.generate_magic_link_for_test_user(DeliveryMethod.EMAIL, "test@example.com", REDIRECT, options)
        magic.sign_in(DeliveryMethod.EMAIL, "test@example.com", REDIRECT)
        auth = magic.verify(token_of(made["link"]))
        self.assertTrue(auth["firstSeen"])
        self.assertEqual(auth["userId"], created["userId"])
        self.assertEqual(auth["sessionToken"]["nsec"], {"k1": 7})
        self.assertEqual(auth["user"]["customAttributes"], {"level": 3})

        token = users.generate_embedded_link("test@example.com", {"k2": "v"})
        self.assertEqual(magic.verify(token)["sessionToken"]["nsec"], {"k2": "v"})
        token = users.generate_embedded_link("test@example.com", timeout=1)
        control("POST", "clock", {"advanceSeconds": 2})
        self.refused("E062504", magic.verify, token)
        control("POST", "clock", {"real": True})
        token = users.generate_sign_up_embedded_link("ann@example.com", email_verified=True)
        self.assertTrue(magic.verify(token)["user"]["verifiedEmail"])

        self.assertEqual(users.load("test@example.com")["user"]["name"], "Test")
        users.logout_user("test@example.com")
        users.delete_all_test_users()
        self.refused("E112102", users.load, "test@example.com")
        users.delete("ann@example.com")
        self.refused("E112102", users.load, "ann@example.com")

    def test_access_keys(self):
        response = self.client.exchange_access_key("conformance-access-key")
        self.assertEqual(response["keyId"], "K2reports")
        self.assertTrue(self.client.validate_roles(response, ["reader"]))
        self.refused("E062803", self.client.exchange_access_key, "wrong")

    def test_failures_as_a_caller_sees_them(self):
        magic = self.client.magiclink
        magic.sign_up(DeliveryMethod.EMAIL, "joe@example.com", REDIRECT)
        token = message_for("joe@example.com")["token"]
        magic.verify(token)
        self.assertIn("token", self.refused("E062504", magic.verify, token)["errorMessage"])
        self.refused("E062107", magic.sign_up, DeliveryMethod.EMAIL, "joe@example.com", REDIRECT)
        self.refused("E062108", magic.sign_in, DeliveryMethod.EMAIL, "nobody@example.com", REDIRECT)

        control("POST", "faults", {"path": "/v1/auth/", "rateLimited": {"retryAfterSeconds": 7}, "times": 1})
        with self.assertRaises(RateLimitException) as caught:
            magic.sign_in(DeliveryMethod.EMAIL, "joe@example.com", REDIRECT)
        self.assertEqual(caught.exception.status_code, "E130429")
        self.assertEqual(caught.exception.rate_limit_parameters, {"Retry-After": 7})

        for flaw in ({"expired": True}, {"forged": True}):
            issued = control("POST", "sessions", {"loginId": "joe@example.com", **flaw})
            with self.assertRaises(Exception):
                self.client.validate_session(issued["sessionJwt"])
        good = control("POST", "sessions", {"loginId": "joe@example.com"})
        self.client.validate_session(good["sessionJwt"])

        # A new key is fetched when the first token that it signed comes.
        control("POST", "keys/rotate", {})
        rotated = control("POST", "sessions", {"loginId": "joe@example.com"})
        self.client.validate_session(rotated["sessionJwt"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
