// How the conformance suite is run: in a Chromium that is there already.

export default {
  testDir: ".",
  timeout: 20_000,
  forbidOnly: true,
  workers: 1,
  reporter: "list",
  use: {
    baseURL: process.env.BASE_URL,
    launchOptions: {
      executablePath: process.env.CHROMIUM,
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    },
  },
  projects: [{ name: "chromium", use: { browserName: "chromium" } }],
};
