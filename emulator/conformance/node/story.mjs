// The story of a magic-link user, told by Descope's Node SDK against the emulator.
// The SDK is unmodified; only its base URL is set.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import DescopeClient from "@descope/node-sdk";

const base = process.env.DESCOPE_BASE_URI;
const projectId = process.env.DESCOPE_PROJECT_ID;
const managementKey = process.env.DESCOPE_MANAGEMENT_KEY;
const redirect = "http://localhost:3000/verify";

const client = DescopeClient({ projectId, baseUrl: base, managementKey });
const magic = client.magicLink;
const users = client.management.user;

async function control(method, path, body) {
  const response = await fetch(`${base}/_emulator/v1/${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

async function messageFor(address) {
  const { messages } = await control("GET", `messages?limit=1&wait=5&to=${encodeURIComponent(address)}`);
  assert.equal(messages.length, 1, `no message to ${address}`);
  return messages[0];
}

const tokenOf = (link) => new URL(link).searchParams.get("t");

async function ok(promise) {
  const response = await promise;
  assert.ok(response.ok, JSON.stringify(response.error));
  return response.data;
}

async function refused(promise, status, code) {
  const response = await promise;
  assert.equal(response.ok, false);
  assert.deepEqual([response.code, response.error.errorCode], [status, code]);
  return response.error;
}

async function verify(address) {
  const message = await messageFor(address);
  assert.equal(tokenOf(message.link), message.token);
  return ok(magic.verify(message.token));
}

async function signIn(loginId, options) {
  await ok(magic.signIn.email(loginId, redirect, options));
  return verify(loginId);
}

beforeEach(() => control("POST", "reset", {}));

test("sign-up, sign-in and sign-up-or-in by every method", async () => {
  const user = { name: "Joe Person", phone: "+15555550100" };
  const options = { customClaims: { plan: "pro" }, templateOptions: { greeting: "hi" } };
  const sent = await ok(magic.signUp.email("joe@example.com", redirect, { email: "joe@example.com", ...user }, options));
  assert.equal(sent.maskedEmail, "j***@example.com");
  const auth = await verify("joe@example.com");
  assert.equal(auth.firstSeen, true);
  assert.equal(auth.user.name, "Joe Person");
  const { token } = await client.validateJwt(auth.sessionJwt);
  assert.deepEqual([token.iss, token.amr, token.nsec], [projectId, ["email"], { plan: "pro" }]);

  for (const method of ["sms", "whatsapp"]) {
    const response = await ok(magic.signIn[method]("joe@example.com", redirect));
    assert.equal(response.maskedPhone, "*****0100");
    const { sessionJwt } = await verify("+15555550100");
    assert.deepEqual((await client.validateJwt(sessionJwt)).token.amr, [method]);
  }
  for (const [method, number] of [["sms", "+15555550111"], ["whatsapp", "+15555550222"]]) {
    await ok(magic.signUp[method](number, redirect, { phone: number }));
    assert.equal((await verify(number)).user.verifiedPhone, true);
  }
  for (const [method, address] of [["email", "new@example.com"], ["sms", "+15555550333"], ["whatsapp", "+15555550444"]]) {
    for (const first of [true, false]) {
      await ok(magic.signUpOrIn[method](address, redirect));
      assert.equal((await verify(address)).firstSeen, first);
    }
  }
});

test("sessions are validated, refreshed and ended", async () => {
  const auth = await signIn("member@example.com");
  const info = await client.validateSession(auth.sessionJwt);
  assert.equal(info.token.sub, auth.user.userId);
  assert.ok(client.validateRoles(info, ["reader"]) && !client.validateRoles(info, ["admin"]));
  assert.ok(client.validatePermissions(info, ["invoice:read"]));
  assert.ok(client.validateTenantRoles(info, "acme", ["admin"]) && !client.validateTenantRoles(info, "globex", ["admin"]));
  assert.deepEqual(client.getMatchedTenantPermissions(info, "acme", ["invoice:write", "x"]), ["invoice:write"]);

  const fresh = await client.refreshSession(auth.refreshJwt);
  assert.equal(fresh.token.sub, auth.user.userId);
  assert.equal((await client.validateAndRefreshSession(auth.sessionJwt, auth.refreshJwt)).token.sub, auth.user.userId);
  assert.equal((await ok(client.me(auth.refreshJwt))).email, "member@example.com");
  assert.equal((await ok(client.history(auth.refreshJwt))).length, 1);

  const selected = await ok(client.selectTenant("acme", auth.refreshJwt));
  assert.equal((await client.validateJwt(selected.sessionJwt)).token.dct, "acme");
  assert.equal((await ok(client.myTenants(["globex"], auth.refreshJwt))).tenants[0].name, "Globex");
  assert.equal((await ok(client.myTenants(true, auth.refreshJwt))).tenants[0].id, "acme");

  await ok(client.logout(auth.refreshJwt));
  const error = await refused(client.me(auth.refreshJwt), 401, "E064001");
  assert.match(error.errorMessage, /Expired due to logout/);
  await assert.rejects(client.refreshSession(auth.refreshJwt));

  const [one, two] = [await signIn("member@example.com"), await signIn("member@example.com")];
  await ok(client.logoutAll(one.refreshJwt));
  await refused(client.me(two.refreshJwt), 401, "E064001");
});

test("step-up, a second factor and revoking", async () => {
  const old = await signIn("member@example.com");
  await ok(magic.signIn.email("member@example.com", redirect, { stepup: true, customClaims: { why: "payment" } }, old.refreshJwt));
  const stepped = await verify("member@example.com");
  assert.equal((await client.validateJwt(stepped.sessionJwt)).token.su, true);
  await ok(magic.signIn.email("member@example.com", redirect, { mfa: true }, old.refreshJwt));
  const both = await verify("member@example.com");
  assert.deepEqual((await client.validateJwt(both.sessionJwt)).token.amr, ["email", "mfa"]);
  await signIn("member@example.com", { revokeOtherSessions: true });
  await refused(client.me(old.refreshJwt), 401, "E064001");
});

test("addresses are updated", async () => {
  await ok(magic.signUp.email("joe@example.com", redirect));
  const { refreshJwt } = await verify("joe@example.com");
  await ok(magic.update.email("joe@example.com", "new@example.com", redirect, refreshJwt, { addToLoginIDs: true, onMergeUseExisting: false }));
  const renamed = await verify("new@example.com");
  assert.deepEqual(renamed.user.loginIds, ["joe@example.com", "new@example.com"]);
  for (const [method, number] of [["sms", "+12223334455"], ["whatsapp", "+12223334466"]]) {
    await ok(magic.update.phone[method]("joe@example.com", number, redirect, refreshJwt));
    assert.equal((await verify(number)).user.phone, number);
  }
  await ok(magic.signUp.email("ann@example.com", redirect));
  const ann = await verify("ann@example.com");
  await refused(magic.update.email("joe@example.com", "evil@example.com", redirect, ann.refreshJwt), 401, "E061005");
});

test("test users and embedded links", async () => {
  const created = await ok(users.createTestUser("test@example.com", {
    email: "test@example.com", displayName: "Test", roles: ["admin"], userTenants: [{ tenantId: "acme", roleNames: ["reader"] }],
    customAttributes: { level: 3 }, verifiedEmail: true,
  }));
  assert.equal(created.test, true);
  const made = await ok(users.generateMagicLinkForTestUser("email", "test@example.com", redirect, { customClaims: { k1: 7 } }));
  await ok(magic.signIn.email("test@example.com", redirect));
  const auth = await ok(magic.verify(tokenOf(made.link)));
  assert.deepEqual([auth.firstSeen, auth.user.userId], [true, created.userId]);
  assert.deepEqual((await client.validateJwt(auth.sessionJwt)).token.nsec, { k1: 7 });

  const embedded = await ok(users.generateEmbeddedLink("test@example.com", { k2: "v" }));
  await ok(magic.verify(embedded.token));
  const short = await ok(users.generateEmbeddedLink("test@example.com", {}, 1));
  await control("POST", "clock", { advanceSeconds: 2 });
  await refused(magic.verify(short.token), 401, "E062504");
  await control("POST", "clock", { real: true });
  const signUp = await ok(users.generateSignUpEmbeddedLink("ann@example.com", { name: "Ann" }, true));
  assert.equal((await ok(magic.verify(signUp.token))).user.verifiedEmail, true);

  assert.equal((await ok(users.load("test@example.com"))).name, "Test");
  await ok(users.logoutUser("test@example.com"));
  await ok(users.deleteAllTestUsers());
  await refused(users.load("test@example.com"), 404, "E112102");
  await ok(users.delete("ann@example.com"));
});

test("access keys", async () => {
  const info = await client.exchangeAccessKey("conformance-access-key");
  assert.equal(info.token.sub, "K2reports");
  assert.ok(client.validateRoles(info, ["reader"]));
  await assert.rejects(client.exchangeAccessKey("wrong"));
});

test("failures as a caller sees them", async () => {
  await ok(magic.signUp.email("joe@example.com", redirect));
  const { token } = await messageFor("joe@example.com");
  await ok(magic.verify(token));
  assert.match((await refused(magic.verify(token), 401, "E062504")).errorMessage, /token/);
  await refused(magic.signUp.email("joe@example.com", redirect), 400, "E062107");
  await refused(magic.signIn.email("nobody@example.com", redirect), 400, "E062108");

  await control("POST", "faults", { path: "/v1/auth/", rateLimited: { retryAfterSeconds: 7 }, times: 1 });
  const limited = await refused(magic.signIn.email("joe@example.com", redirect), 429, "E130429");
  assert.equal(limited.retryAfter, 7);

  for (const flaw of [{ expired: true }, { forged: true }, { issuer: "P2Other" }]) {
    const issued = await control("POST", "sessions", { loginId: "joe@example.com", ...flaw });
    await assert.rejects(client.validateSession(issued.sessionJwt));
  }
  await control("POST", "keys/rotate", {});
  const rotated = await control("POST", "sessions", { loginId: "joe@example.com" });
  await client.validateSession(rotated.sessionJwt);
});
