import os

import pytest
from descope import AuthException, DeliveryMethod, DescopeClient

ADDRESS = "joe@example.com"


@pytest.fixture
def client():
    # The base URL comes from DESCOPE_BASE_URI.
    return DescopeClient(project_id=os.environ["DESCOPE_PROJECT_ID"])


def test_a_user_signs_up_and_in(client, emulator):
    client.magiclink.sign_up(DeliveryMethod.EMAIL, ADDRESS, "http://localhost:3000/verify")
    login = client.magiclink.verify(emulator.token(ADDRESS))
    assert login["user"]["email"] == ADDRESS
    session = login["sessionToken"]["jwt"]
    assert client.validate_session(session)["sub"] == login["user"]["userId"]


def test_a_link_expires(client, emulator):
    client.magiclink.sign_up(DeliveryMethod.EMAIL, ADDRESS, "http://localhost:3000/verify")
    token = emulator.token(ADDRESS)
    emulator.call("POST", "clock", {"advanceSeconds": 600})
    with pytest.raises(AuthException):
        client.magiclink.verify(token)
