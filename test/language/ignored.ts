/**
 * The files that `npm run check -- words` does not check: they are generated, copied from others,
 * or contain the phrases themselves.
 */
export const ignored: readonly RegExp[] = [
  /(?:^|\/)gen\//,
  /_(?:pb|micro|codec)\.ts$/,
  /^runtime\/schemas\//,
  /^protoc-gen-micro\/schemas\//,
  /^test\/proto\/grpc\//,
  /^test\/docs\/proto\//,
  /^test\/language\/(?:phrases|check\.test)\.ts$/,
];
