/**
 * A file before a change and after it; what breaks others has a mark. Without `now` the file is
 * deleted.
 */
export interface SchemaChange {
  readonly file: string;
  readonly was: string;
  readonly now: string | undefined;
}

const file = (name: string, text: string) => `syntax = "proto3";
package ${name}.v1;
import "google/protobuf/empty.proto";
import "micro/v1/options.proto";
message Request { string id = 1; }
message Response { string id = 1; }
${text}`;

function change(name: string, was: string, now: string | undefined): SchemaChange {
  return {
    file: `${name}.proto`,
    was: file(name, was),
    now: now === undefined ? undefined : file(name, now),
  };
}

export const changes: readonly SchemaChange[] = [
  change(
    "service_name",
    `service Same {}
service Given {}
service Renamed {
  option (micro.v1.service).name = "old";
}
service Deleted {}`,
    `service Same {
  option (micro.v1.service).name = "service_name";
}
service Given {
  option (micro.v1.service).name = "given"; // <- MICRO_SERVICE_SAME_NAME
}
service Renamed {
  option (micro.v1.service).name = "new"; // <- MICRO_SERVICE_SAME_NAME
}
service Added {}`,
  ),
  change(
    "repetition",
    `service S {
  rpc Stays(Request) returns (Response) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Lost(Request) returns (Response) { option idempotency_level = IDEMPOTENT; }
  rpc Gained(Request) returns (Response);
  rpc Upload(stream Request) returns (Response) { option idempotency_level = IDEMPOTENT; }
}`,
    `service S {
  rpc Stays(Request) returns (Response) { option idempotency_level = IDEMPOTENT; }
  rpc Lost(Request) returns (Response) {} // <- MICRO_METHOD_STAYS_IDEMPOTENT
  rpc Gained(Request) returns (Response) {
    option idempotency_level = IDEMPOTENT; // <- MICRO_METHOD_NOT_NEWLY_REPEATED
  }
  rpc Upload(stream Request) returns (Response);
  rpc Added(Request) returns (Response) { option idempotency_level = IDEMPOTENT; }
}`,
  ),
  change(
    "timeout",
    `service S {
  option (micro.v1.service).defaults.timeout.seconds = 5;
  rpc More(Request) returns (Response);
  rpc Less(Request) returns (Response);
}
service Unsaid {
  rpc More(Request) returns (Response);
  rpc Less(Request) returns (Response);
}`,
    `service S {
  option (micro.v1.service).defaults.timeout.seconds = 5;
  rpc More(Request) returns (Response) {
    option (micro.v1.method).timeout.seconds = 6;
  }
  rpc Less(Request) returns (Response) {
    option (micro.v1.method).timeout.seconds = 4; // <- MICRO_TIMEOUT_NO_DECREASE
  }
}
service Unsaid {
  rpc More(Request) returns (Response) {
    option (micro.v1.method).timeout.seconds = 30;
  }
  rpc Less(Request) returns (Response) {
    option (micro.v1.method).timeout.seconds = 29; // <- MICRO_TIMEOUT_NO_DECREASE
  }
}`,
  ),
  change(
    "access",
    `service S {
  option (micro.v1.service).defaults.auth = { scopes: ["read", "write"] };
  rpc Same(Request) returns (Response);
  rpc Dropped(Request) returns (Response);
  rpc Added(Request) returns (Response);
  rpc Opened(Request) returns (Response);
  rpc Closed(Request) returns (Response) {
    option (micro.v1.method).auth.public = true;
  }
}
service Removed {
  option (micro.v1.service).defaults.auth = {};
  rpc Get(Request) returns (Response);
}`,
    `service S {
  option (micro.v1.service).defaults.auth = { scopes: ["write", "read"] };
  rpc Same(Request) returns (Response);
  rpc Dropped(Request) returns (Response) {
    option (micro.v1.method).auth.scopes = "read"; // <- MICRO_SCOPE_NO_DELETE
  }
  rpc Added(Request) returns (Response) {
    option (micro.v1.method).auth = { scopes: ["read", "write", "admin"] }; // <- MICRO_SCOPE_NO_ADD
  }
  rpc Opened(Request) returns (Response) {
    option (micro.v1.method).auth.public = true; // <- MICRO_AUTH_NO_DELETE
  }
  rpc Closed(Request) returns (Response) {} // <- MICRO_AUTH_NO_ADD
}
service Removed {
  rpc Get(Request) returns (Response); // <- MICRO_AUTH_NO_DELETE
}`,
  ),
  change(
    "topics",
    `message Same { option (micro.v1.topic) = { name: "same" key: "id" }; string id = 1; }
message Rekeyed { option (micro.v1.topic) = { name: "rekeyed" key: "id" }; string id = 1; string shop = 2; }
message Keyed { option (micro.v1.topic) = { name: "keyed" }; string id = 1; }
message Renamed { option (micro.v1.topic) = { name: "renamed" }; }
message Silent { option (micro.v1.topic) = { name: "silent" }; }
message Old { option (micro.v1.topic) = { name: "taken" }; }`,
    `message Same { option (micro.v1.topic) = { name: "same" key: "id" }; string id = 1; }
message Rekeyed {
  option (micro.v1.topic) = {
    name: "rekeyed"
    key: "shop" // <- MICRO_TOPIC_SAME_KEY
  };
  string id = 1;
  string shop = 2;
}
message Keyed {
  option (micro.v1.topic) = {
    name: "keyed"
    key: "id" // <- MICRO_TOPIC_SAME_KEY
  };
  string id = 1;
}
message Renamed {
  option (micro.v1.topic).name = "now.renamed"; // <- MICRO_TOPIC_SAME_NAME
}
message Silent {} // <- MICRO_TOPIC_NO_DELETE
message Old {}
message New {
  option (micro.v1.topic).name = "taken"; // <- MICRO_TOPIC_SAME_EVENT
}`,
  ),
  // A deleted element no longer has a line; the first line of its file is reported.
  {
    file: "kept.proto",
    was: `syntax = "proto3"; package kept.v1; import "micro/v1/options.proto";
message Gone { option (micro.v1.topic).name = "gone"; }`,
    now: `syntax = "proto3"; package kept.v1; // <- MICRO_TOPIC_NO_DELETE MICRO_TOPIC_NO_DELETE`,
  },
  {
    file: "deleted.proto",
    was: `syntax = "proto3"; package kept.v1; import "micro/v1/options.proto";
message Deleted { option (micro.v1.topic).name = "deleted"; }`,
    now: undefined,
  },
  change(
    "subscribers",
    `message Done { option (micro.v1.topic) = { name: "done" }; }
service S {
  rpc OnDone(Done) returns (google.protobuf.Empty) { option (micro.v1.subscribe).queue = "a"; }
  rpc OnMoved(Done) returns (google.protobuf.Empty) { option (micro.v1.subscribe).queue = "a"; }
  rpc OnCalled(Done) returns (google.protobuf.Empty) { option (micro.v1.subscribe).queue = "a"; }
  rpc Call(Done) returns (google.protobuf.Empty);
}`,
    `message Done { option (micro.v1.topic) = { name: "done" }; }
service S {
  rpc OnDone(Done) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe) = { queue: "a" max_deliveries: 3 };
  }
  rpc OnMoved(Done) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe).queue = "b"; // <- MICRO_SUBSCRIBER_SAME_QUEUE
  }
  rpc OnCalled(Done) returns (google.protobuf.Empty); // <- MICRO_METHOD_SAME_ROLE
  rpc Call(Done) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe).queue = "b"; // <- MICRO_METHOD_SAME_ROLE
  }
}`,
  ),
];
