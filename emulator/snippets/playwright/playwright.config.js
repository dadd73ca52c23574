import { defineConfig } from "@playwright/test";

// An installed browser, where CHROMIUM names one; otherwise the one that Playwright has downloaded.
const executablePath = process.env.CHROMIUM;

export default defineConfig({
  workers: 1,
  reporter: "line",
  use: {
    launchOptions: executablePath
      ? { executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] }
      : {},
  },
});
