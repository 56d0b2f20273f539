"""Calls a greeter by gRPC. StringValue stands in for the messages that protoc would generate."""

import grpc
from google.protobuf.wrappers_pb2 import StringValue

with grpc.insecure_channel("127.0.0.1:8080") as channel:
    hello = channel.unary_unary(
        "/greeter.v1.Greeter/Hello",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )
    print(hello(StringValue(value="Ada"), timeout=5).value)
