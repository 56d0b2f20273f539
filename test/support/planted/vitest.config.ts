import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["{spins,passes}.ts"],
    reporters: ["json", ["../stuck-files.ts", { patienceMs: 3_000 }]],
  },
});
