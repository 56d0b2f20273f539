import { defineConfig } from "vitest/config";

const conditions = ["@micro-es/source", "module", "node", "import", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["{protoc-gen-micro,runtime,examples,test}/**/*.test.ts"],
    exclude: [
      "**/node_modules/**",
      "**/dist/**",
      "test/end-to-end/**",
      "test/nats/**",
      "test/hostile/**",
    ],
    testTimeout: 20_000,
    // A condition that is awaited may take its time on a busy machine; the default is one second.
    expect: { poll: { timeout: 10_000, interval: 10 } },
    hookTimeout: 30_000,
    pool: "forks",
  },
});
