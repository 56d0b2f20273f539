"""grpcio over a fixed list of servers: round robin, and calls wait for a connection.

grpcio.py CALLS_PER_SECOND HOST:PORT,HOST:PORT DESCRIPTORS. Writes `ready` when a hundred calls in a row have succeeded,
and after a line on standard input what it saw.
"""

import json
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def message(pool, name):
    descriptor = pool.FindMessageTypeByName("micro.test.v1." + name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def main():
    per_second, addresses, descriptors = sys.argv[1:]
    files = descriptor_pb2.FileDescriptorSet()
    with open(descriptors, "rb") as image:
        files.ParseFromString(image.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    channel = grpc.insecure_channel(
        "ipv4:" + addresses, (("grpc.lb_policy_name", "round_robin"),)
    )
    call = channel.unary_unary(
        "/micro.test.v1.EchoService/Once",
        request_serializer=lambda it: it.SerializeToString(),
        response_deserializer=message(pool, "EchoResponse").FromString,
    )
    request = message(pool, "EchoRequest")(text="load", delay_ms=50)
    in_a_row = 0
    while in_a_row < 100:
        try:
            call(request, timeout=60, wait_for_ready=True)
            in_a_row += 1
        except grpc.RpcError:
            in_a_row = 0
    print("ready", flush=True)

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    lock = threading.Lock()
    seen = {"calls": 0, "failed": 0, "errors": []}
    latencies = []

    def ended(future, began):
        error = future.exception()
        with lock:
            if error is None:
                latencies.append(time.monotonic() - began)
                return
            seen["failed"] += 1
            text = "%s: %s" % (future.code(), future.details())
            if len(seen["errors"]) < 5 and text not in seen["errors"]:
                seen["errors"].append(text)

    futures = []
    start = time.monotonic()
    while not stop.is_set():
        due = int((time.monotonic() - start) * float(per_second))
        while seen["calls"] < due:
            seen["calls"] += 1
            began = time.monotonic()
            future = call.future(request, timeout=60, wait_for_ready=True)
            future.add_done_callback(lambda it, began=began: ended(it, began))
            futures.append(future)
        futures = [it for it in futures if not it.done()]
        time.sleep(0.005)
    for future in futures:
        future.exception()
    with lock:
        latencies.sort()
        p99 = latencies[int(len(latencies) * 0.99)] if latencies else 0
        print(json.dumps(dict(seen, p99Ms=round(p99 * 1000))), flush=True)


main()
