/**
 * The functions that generated code calls for topics. They are separate from `codegenv1`, because a
 * topic loads the other event formats on demand: bundlers then keep whole modules of which a bundle
 * with one message needs little.
 */
export { createTopic as topic } from "../broker/topic.ts";
