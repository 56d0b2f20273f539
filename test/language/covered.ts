/** What `npm run check -- words` checks; add folders and files when they are rewritten. */
export const covered: readonly string[] = [
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "README.md",
  "SECURITY.md",
  "cli/README.md",
  "cli/src",
  "cli/templates",
  "docs",
  "drivers/etcd/README.md",
  "drivers/etcd/src",
  "drivers/nats/README.md",
  "drivers/nats/src",
  "examples",
  "proto",
  "protoc-gen-micro/README.md",
  "protoc-gen-micro/src",
  "runtime/README.md",
  "runtime/src",
  "test/contract/README.md",
  "test/commands",
  "test/language",
  "test/nodes",
  "test/support",
];

/** Files that are not ours to word: generated, copied from others, or the words of the checker. */
export const ignored: readonly RegExp[] = [
  /(?:^|\/)gen\//,
  /_(?:pb|micro|codec)\.ts$/,
  /^runtime\/schemas\//,
  /^protoc-gen-micro\/schemas\//,
  /^test\/proto\/grpc\//,
  /^test\/docs\/proto\//,
  /^test\/language\/(?:phrases|check\.test)\.ts$/,
  // Titles of tests read as sentences about the program; they are not reworded yet.
  /^(?:runtime|protoc-gen-micro)\/.*\.test\.ts$/,
];
