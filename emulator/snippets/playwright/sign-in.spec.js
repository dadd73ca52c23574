import { createServer } from "node:http";
import { expect, test } from "./emulator.js";

const { DESCOPE_BASE_URI: base, DESCOPE_PROJECT_ID: project } = process.env;

async function call(path, body) {
  const response = await fetch(`${base}/v1/auth/magiclink/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${project}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}

/** Stands for your app: a form that sends a link, and the page that the link opens. */
const app = createServer(async (request, response) => {
  const url = new URL(request.url, `http://${request.headers.host}`);
  response.setHeader("content-type", "text/html");
  if (url.pathname === "/send") {
    await call("signup/email", { loginId: url.searchParams.get("email"), redirectUrl: `${url.origin}/verify` });
    response.end("<h1>Look into your inbox</h1>");
  } else if (url.pathname === "/verify") {
    const login = await call("verify", { token: url.searchParams.get("t") });
    response.end(`<h1>${login.user ? `Hello ${login.user.email}` : login.errorDescription}</h1>`);
  } else {
    response.end('<form action="/send"><label>Email <input name="email"></label><button>Sign in</button></form>');
  }
});
test.beforeAll(() => new Promise((done) => app.listen(0, "127.0.0.1", done)));
test.afterAll(() => app.close());

async function signUp(page) {
  await page.goto(`http://127.0.0.1:${app.address().port}/`);
  await page.getByLabel("Email").fill("joe@example.com");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading")).toHaveText("Look into your inbox");
}

test("a user opens the link of the message", async ({ page, emulator }) => {
  await signUp(page);
  await page.goto(await emulator.link("joe@example.com"));
  await expect(page.getByRole("heading")).toHaveText("Hello joe@example.com");
});

test("an old link does not sign in", async ({ page, emulator }) => {
  await signUp(page);
  await emulator.advance(600);
  await page.goto(await emulator.link("joe@example.com"));
  await expect(page.getByRole("heading")).toHaveText("Token expired");
});
