"""Makes calls with call credentials of grpcio: call_credentials.py ADDRESS CA CALLS.

Each call has one empty request. Writes the code of each as a line of JSON.
"""

import json
import sys

import grpc


def code_of(channel, path, kind):
    """The code of a call, once it has ended."""
    make = {
        "unary": channel.unary_unary,
        "server_streaming": channel.unary_stream,
        "client_streaming": channel.stream_unary,
        "bidi_streaming": channel.stream_stream,
    }[kind]
    call = make(path, request_serializer=bytes, response_deserializer=bytes)
    streams = kind in ("client_streaming", "bidi_streaming")
    try:
        response = call(iter((b"",)) if streams else b"", timeout=20)
        if kind in ("server_streaming", "bidi_streaming"):
            list(response)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def main():
    address, ca, calls = sys.argv[1:4]
    with open(ca, "rb") as file:
        tls = grpc.ssl_channel_credentials(file.read())
    with open(calls, encoding="utf-8") as file:
        wanted = json.load(file)
    for call in wanted:
        credentials = tls
        if "token" in call:
            bearer = grpc.access_token_call_credentials(call["token"])
            credentials = grpc.composite_channel_credentials(tls, bearer)
        with grpc.secure_channel(address, credentials) as channel:
            code = code_of(channel, call["path"], call["kind"])
        print(json.dumps({"name": call["name"], "code": code}), flush=True)


main()
