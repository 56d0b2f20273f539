"""The client of gRPC's interoperability tests on grpcio: client.py --address HOST:PORT [--ca FILE] [--probe] -- case …

Writes what came of each case as a line of JSON.
"""

import json
import queue
import sys

import grpc

import testing

INPUT_SIZES = (27182, 8, 1828, 45904)
OUTPUT_SIZES = (31415, 9, 2653, 58979)
LARGE_REQUEST = 271828
LARGE_RESPONSE = 314159
PLAIN_MESSAGE = "test status message"
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
METADATA = (
    (testing.INITIAL_KEY, testing.INITIAL_VALUE),
    (testing.TRAILING_KEY, testing.TRAILING_VALUE),
)


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError("%s: found %r, wanted %r" % (what, found, wanted))


def fails(call, code, message=None):
    try:
        call()
    except grpc.RpcError as error:
        equal(error.code(), code, "code")
        if message is not None:
            equal(error.details(), message, "message")
    else:
        raise AssertionError("the call did not fail")


class Stub:
    """The methods of a service as callables."""

    def __init__(self, channel, service):
        kinds = {
            "StreamingOutputCall": channel.unary_stream,
            "StreamingInputCall": channel.stream_unary,
            "FullDuplexCall": channel.stream_stream,
            "HalfDuplexCall": channel.stream_stream,
        }
        for name, path, request, response in testing.methods(service):
            make = kinds.get(name, channel.unary_unary)
            setattr(
                self,
                name,
                make(
                    path,
                    request_serializer=request.SerializeToString,
                    response_deserializer=response.FromString,
                ),
            )


class Cases:
    def __init__(self, channel):
        self.service = Stub(channel, "TestService")
        self.other = Stub(channel, "UnimplementedService")
        self.empty = testing.message("Empty")
        self.simple = testing.message("SimpleRequest")
        self.input = testing.message("StreamingInputCallRequest")
        self.output = testing.message("StreamingOutputCallRequest")

    def request(self, *sizes, body=0, interval_us=0):
        return self.output(
            response_parameters=[{"size": it, "interval_us": interval_us} for it in sizes],
            payload={"body": bytes(body)},
        )

    def large(self):
        return self.simple(response_size=LARGE_RESPONSE, payload={"body": bytes(LARGE_REQUEST)})

    def empty_unary(self):
        equal(self.service.EmptyCall(self.empty()), self.empty(), "the answer")

    def large_unary(self):
        answer = self.service.UnaryCall(self.large())
        equal(len(answer.payload.body), LARGE_RESPONSE, "length of the answer")

    def client_streaming(self):
        requests = (self.input(payload={"body": bytes(size)}) for size in INPUT_SIZES)
        answer = self.service.StreamingInputCall(requests)
        equal(answer.aggregated_payload_size, 74922, "sum of the payloads")

    def server_streaming(self):
        answers = self.service.StreamingOutputCall(self.request(*OUTPUT_SIZES))
        equal(tuple(len(it.payload.body) for it in answers), OUTPUT_SIZES, "lengths of the answers")

    def ping_pong(self):
        requests = queue.Queue()
        answers = self.service.FullDuplexCall(iter(requests.get, None))
        for sent, wanted in zip(INPUT_SIZES, OUTPUT_SIZES):
            requests.put(self.request(wanted, body=sent))
            equal(len(next(answers).payload.body), wanted, "length of an answer")
        requests.put(None)
        equal(list(answers), [], "answers after the last")

    def empty_stream(self):
        equal(list(self.service.FullDuplexCall(iter(()))), [], "answers")

    def custom_metadata(self):
        _, call = self.service.UnaryCall.with_call(self.large(), metadata=METADATA)
        self.check_metadata(call)
        requests = iter((self.request(LARGE_RESPONSE, body=LARGE_REQUEST),))
        call = self.service.FullDuplexCall(requests, metadata=METADATA)
        equal(len(list(call)), 1, "answers")
        self.check_metadata(call)

    def check_metadata(self, call):
        initial = dict(call.initial_metadata()).get(testing.INITIAL_KEY)
        equal(initial, testing.INITIAL_VALUE, "initial metadata")
        trailing = dict(call.trailing_metadata()).get(testing.TRAILING_KEY)
        equal(trailing, testing.TRAILING_VALUE, "trailing metadata")

    def status_code_and_message(self):
        status = {"code": 2, "message": PLAIN_MESSAGE}
        unary = self.simple(response_status=status)
        fails(lambda: self.service.UnaryCall(unary), grpc.StatusCode.UNKNOWN, PLAIN_MESSAGE)
        requests = iter((self.output(response_status=status),))
        stream = self.service.FullDuplexCall(requests)
        fails(lambda: list(stream), grpc.StatusCode.UNKNOWN, PLAIN_MESSAGE)

    def special_status_message(self):
        request = self.simple(response_status={"code": 2, "message": SPECIAL_MESSAGE})
        fails(lambda: self.service.UnaryCall(request), grpc.StatusCode.UNKNOWN, SPECIAL_MESSAGE)

    def unimplemented_method(self):
        code = grpc.StatusCode.UNIMPLEMENTED
        fails(lambda: self.service.UnimplementedCall(self.empty()), code)

    def unimplemented_service(self):
        code = grpc.StatusCode.UNIMPLEMENTED
        fails(lambda: self.other.UnimplementedCall(self.empty()), code)

    def cancel_after_begin(self):
        requests = queue.Queue()
        call = self.service.StreamingInputCall.future(iter(requests.get, None))
        call.cancel()
        equal(call.cancelled(), True, "cancelled")
        equal(call.code(), grpc.StatusCode.CANCELLED, "code")
        requests.put(None)

    def cancel_after_first_response(self):
        requests = queue.Queue()
        call = self.service.FullDuplexCall(iter(requests.get, None))
        requests.put(self.request(OUTPUT_SIZES[0], body=INPUT_SIZES[0]))
        next(call)
        call.cancel()
        fails(lambda: next(call), grpc.StatusCode.CANCELLED)
        requests.put(None)

    def timeout_on_sleeping_server(self):
        requests = queue.Queue()
        requests.put(self.request(31415, body=INPUT_SIZES[0], interval_us=1_000_000))
        call = self.service.FullDuplexCall(iter(requests.get, None), timeout=0.001)
        fails(lambda: list(call), grpc.StatusCode.DEADLINE_EXCEEDED)
        requests.put(None)


    def client_compressed_unary(self):
        def request(compressed):
            answer = self.large()
            answer.expect_compressed.value = compressed
            return answer

        if "--probe" in sys.argv:
            code = grpc.StatusCode.INVALID_ARGUMENT
            fails(lambda: self.service.UnaryCall(request(True)), code)
        self.service.UnaryCall(request(True), compression=grpc.Compression.Gzip)
        self.service.UnaryCall(request(False), compression=grpc.Compression.NoCompression)

    def server_compressed_unary(self):
        for compressed in (True, False):
            request = self.large()
            request.response_compressed.value = compressed
            answer = self.service.UnaryCall(request)
            equal(len(answer.payload.body), LARGE_RESPONSE, "length of the answer")

    def server_compressed_streaming(self):
        request = self.output(
            response_parameters=[
                {"size": 31415, "compressed": {"value": True}},
                {"size": 92653, "compressed": {"value": False}},
            ]
        )
        answers = self.service.StreamingOutputCall(request)
        equal([len(it.payload.body) for it in answers], [31415, 92653], "lengths of the answers")


def main():
    testing.load(testing.option("--descriptors"))
    address = testing.option("--address")
    authority = testing.option("--ca")
    options = (("grpc.max_receive_message_length", 16 << 20),)
    if authority is None:
        channel = grpc.insecure_channel(address, options)
    else:
        credentials = grpc.ssl_channel_credentials(testing.read(authority))
        channel = grpc.secure_channel(address, credentials, options)
    with channel:
        cases = Cases(channel)
        for name in sys.argv[sys.argv.index("--") + 1 :]:
            line = {"name": name}
            try:
                getattr(cases, name)()
            except Exception as error:  # pylint: disable=broad-except
                line["error"] = "%s: %s" % (type(error).__name__, error)
            print(json.dumps(line), flush=True)


main()
