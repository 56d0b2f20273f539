/**
 * What generated code calls for topics. It stands beside `codegenv1` because a topic loads the other formats of events
 * when one comes: for that, bundlers keep modules whole which a bundle of one message needs little of.
 */
export { createTopic as topic } from "./broker/topic.ts";
