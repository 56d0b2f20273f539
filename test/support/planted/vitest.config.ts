import { defineConfig } from "vitest/config";
import StuckFiles from "../stuck-files.ts";

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["{spins,passes}.ts"],
    reporters: ["json", new StuckFiles(3_000)],
  },
});
