export * from "../abort-watch.ts";
