// The work of `work.rs` with Descope's Node SDK: `worker.mjs validate TOKEN`, `call`, or `cold TOKEN`.

import { createInterface } from "node:readline";
import DescopeClient from "@descope/node-sdk";

const client = DescopeClient({
  projectId: process.env.DESCOPE_PROJECT_ID,
  baseUrl: process.env.DESCOPE_BASE_URI,
});
const [what, token] = process.argv.slice(2);

const validate = () => client.validateSession(token);

async function call() {
  const sent = await client.magicLink.signIn.email("joe@example.com", "https://app.example.com/verify");
  if (!sent.ok) throw new Error(JSON.stringify(sent.error));
}

if (what === "cold") {
  await validate();
  process.exit();
}
const work = { validate, call }[what];
for await (const line of createInterface({ input: process.stdin })) {
  for (let left = Number(line); left > 0; left -= 1) await work();
  process.stdout.write("\n");
}
