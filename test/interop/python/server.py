"""The server of gRPC's interoperability tests on grpcio. Says where it listens, and stops at SIGTERM."""

import signal
import threading
import time
from concurrent import futures

import grpc

import testing


def echo_metadata(context):
    metadata = dict(context.invocation_metadata())
    if testing.INITIAL_KEY in metadata:
        context.send_initial_metadata(((testing.INITIAL_KEY, metadata[testing.INITIAL_KEY]),))
    if testing.TRAILING_KEY in metadata:
        context.set_trailing_metadata(((testing.TRAILING_KEY, metadata[testing.TRAILING_KEY]),))


def abort_if_asked(status, context):
    if status.code != 0:
        code = next(it for it in grpc.StatusCode if it.value[0] == status.code)
        context.abort(code, status.message)


def outputs(request, context):
    response = testing.message("StreamingOutputCallResponse")
    for parameters in request.response_parameters:
        if parameters.interval_us > 0:
            time.sleep(parameters.interval_us / 1e6)
        if not parameters.compressed.value:
            context.disable_next_message_compression()
        yield response(payload={"body": bytes(parameters.size)})


def empty_call(request, context):
    echo_metadata(context)
    return testing.message("Empty")()


def unary_call(request, context):
    echo_metadata(context)
    abort_if_asked(request.response_status, context)
    if request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    return testing.message("SimpleResponse")(payload={"body": bytes(request.response_size)})


def streaming_output_call(request, context):
    if any(it.compressed.value for it in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    yield from outputs(request, context)
    abort_if_asked(request.response_status, context)


def streaming_input_call(requests, context):
    size = sum(len(request.payload.body) for request in requests)
    return testing.message("StreamingInputCallResponse")(aggregated_payload_size=size)


def full_duplex_call(requests, context):
    echo_metadata(context)
    for request in requests:
        abort_if_asked(request.response_status, context)
        yield from outputs(request, context)


HANDLERS = {
    "EmptyCall": (grpc.unary_unary_rpc_method_handler, empty_call),
    "UnaryCall": (grpc.unary_unary_rpc_method_handler, unary_call),
    "StreamingOutputCall": (grpc.unary_stream_rpc_method_handler, streaming_output_call),
    "StreamingInputCall": (grpc.stream_unary_rpc_method_handler, streaming_input_call),
    "FullDuplexCall": (grpc.stream_stream_rpc_method_handler, full_duplex_call),
}


def main():
    testing.load(testing.option("--descriptors"))
    handlers = {}
    for name, _path, request, response in testing.methods("TestService"):
        if name in HANDLERS:
            make, behaviour = HANDLERS[name]
            handlers[name] = make(
                behaviour,
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.testing.TestService", handlers),)
    )
    certificate = testing.option("--cert")
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (testing.read(testing.option("--key")), testing.read(certificate))
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials((pair,)))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server.start()
    print("listening 127.0.0.1:%d" % port, flush=True)
    stop.wait()
    server.stop(0).wait()


main()
