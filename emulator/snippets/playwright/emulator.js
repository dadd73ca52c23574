import { test as base } from "@playwright/test";

const control = `${process.env.DESCOPE_BASE_URI}/_emulator/v1`;

/** Adds `emulator` to every test: an emulator as it was at its start, and the links that it sent. */
export const test = base.extend({
  emulator: async ({ request }, use) => {
    await request.post(`${control}/reset`);
    await use({
      async link(address) {
        const params = { to: address, wait: 5, limit: 1 };
        const { messages } = await (await request.get(`${control}/messages`, { params })).json();
        if (!messages.length) throw new Error(`no message to ${address}`);
        return messages[0].link;
      },
      advance: (seconds) => request.post(`${control}/clock`, { data: { advanceSeconds: seconds } }),
      fault: (fault) => request.post(`${control}/faults`, { data: fault }),
    });
  },
});
export { expect } from "@playwright/test";
