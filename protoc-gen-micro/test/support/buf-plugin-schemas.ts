import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./compile.ts";

const head = (name: string) => `syntax = "proto3";
package ${name}.v1;
import "google/protobuf/empty.proto";
import "micro/v1/options.proto";
message Request { string id = 1; }
message Response { string id = 1; }
`;

/**
 * Schemas with marks where the rules of `buf lint` find something; everything without a mark is
 * valid.
 */
export const schemas: Readonly<Record<string, string>> = {
  "service_name.proto": `${head("service_name")}
service Fine {
  option (micro.v1.service).name = "service-name";
}
service Wrong {
  option (micro.v1.service).name = "service name"; // <- MICRO_SERVICE_NAME
}
`,
  "methods.proto": `${head("methods")}
service Fine {
  option (micro.v1.service).defaults = {
    timeout: { seconds: 1 }
    auth: { public: true }
  };
  rpc Get(Request) returns (Response) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (micro.v1.method).retry = { attempts: 2 on: "unavailable" };
  }
  rpc Put(Request) returns (Response) {
    option (micro.v1.method).auth = { scopes: "a" };
  }
}
service Wrong {
  option (micro.v1.service).defaults = {
    timeout: { seconds: 1 }
    auth: { public: true }
  };
  rpc Timeout(Request) returns (Response) {
    option (micro.v1.method).timeout.seconds = 0; // <- MICRO_TIMEOUT
  }
  rpc Retry(Request) returns (Response) {
    option idempotency_level = IDEMPOTENT;
    option (micro.v1.method).retry.attempts = 9; // <- MICRO_RETRY
  }
  rpc Repeated(Request) returns (Response) {
    option (micro.v1.method).retry.attempts = 2; // <- MICRO_RETRY_IDEMPOTENT
  }
  rpc Auth(Request) returns (Response) {
    option (micro.v1.method).auth = { public: true scopes: "a" }; // <- MICRO_AUTH
  }
  // buf:lint:ignore MICRO_RETRY_IDEMPOTENT
  rpc Ignored(Request) returns (Response) {
    option (micro.v1.method).retry.attempts = 2;
  }
}
service Unsaid {
  rpc Get(Request) returns (Response); // <- MICRO_METHOD_HAS_TIMEOUT MICRO_METHOD_HAS_AUTH
}
`,
  "topics.proto": `${head("topics")}
message Fine {
  option (micro.v1.topic) = { name: "topics.fine" key: "id" };
  string id = 1;
}
message Named {
  option (micro.v1.topic) = {
    name: "topics named" // <- MICRO_TOPIC_NAME MICRO_TOPIC_NAME_DOTTED
    key: "id"
  };
  string id = 1;
}
message Keyed {
  option (micro.v1.topic) = {
    name: "topics.keyed"
    key: "ids" // <- MICRO_TOPIC_KEY
  };
  repeated string ids = 1;
}
message Twice {
  option (micro.v1.topic) = {
    name: "topics.fine" // <- MICRO_TOPIC_UNIQUE
    key: "id"
  };
  string id = 1;
}
message Unkeyed {
  option (micro.v1.topic).name = "topics.unkeyed"; // <- MICRO_TOPIC_HAS_KEY
}
service Subscribers {
  rpc OnFine(Fine) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe).queue = "fine";
  }
  rpc OnRequest(Request) returns (google.protobuf.Empty) {
    option (micro.v1.subscribe).queue = "requests"; // <- MICRO_SUBSCRIBER
  }
}
`,
  // An options.proto of a later version says more than this one knows.
  "micro/v1/options.proto": readFileSync(
    join(repository, "proto/micro/v1/options.proto"),
    "utf8",
  ).replace("message RetryRule {", "message RetryRule {\n  bool hedge = 99;"),
  "newer.proto": `${head("newer")}
service Newer {
  option (micro.v1.service).defaults = {
    timeout: { seconds: 1 }
    auth: { public: true }
  };
  rpc Get(Request) returns (Response) {
    option idempotency_level = IDEMPOTENT;
    option (micro.v1.method) = { retry: { attempts: 2 hedge: true } }; // <- MICRO_OPTION_KNOWN
  }
}
`,
};
