import assert from "node:assert/strict";
import test from "node:test";
import DescopeClient from "@descope/node-sdk";

// The Node SDK reads no variables, so its constructor is told.
const client = DescopeClient({
  projectId: process.env.DESCOPE_PROJECT_ID,
  baseUrl: process.env.DESCOPE_BASE_URI,
});
const control = `${process.env.DESCOPE_BASE_URI}/_emulator/v1`;

/** The link in the newest message to an address; waits for one. */
async function link(address) {
  const query = new URLSearchParams({ to: address, wait: 5, limit: 1 });
  const { messages } = await (await fetch(`${control}/messages?${query}`)).json();
  assert.ok(messages.length, `no message to ${address}`);
  return messages[0].link;
}

test.beforeEach(() => fetch(`${control}/reset`, { method: "POST" }));

test("a user signs up and in", async () => {
  const address = "joe@example.com";
  const sent = await client.magicLink.signUp.email(address, "http://localhost:3000/verify");
  assert.ok(sent.ok, JSON.stringify(sent.error));
  const token = new URL(await link(address)).searchParams.get("t");
  const login = await client.magicLink.verify(token);
  assert.equal(login.data.user.email, address);
  const session = await client.validateSession(login.data.sessionJwt);
  assert.equal(session.token.sub, login.data.user.userId);
});

test("the service is down for a moment", async () => {
  const fault = { operation: "VerifyMagicLink", times: 1, respond: { status: 503 } };
  await fetch(`${control}/faults`, { method: "POST", body: JSON.stringify(fault) });
  const login = await client.magicLink.verify("any");
  assert.equal(login.ok, false);
});
