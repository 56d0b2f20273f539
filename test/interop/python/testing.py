"""Message classes and method paths of grpc.testing, made from the descriptors that `buf build` wrote."""

import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

INITIAL_KEY = "x-grpc-test-echo-initial"
INITIAL_VALUE = "test_initial_metadata_value"
TRAILING_KEY = "x-grpc-test-echo-trailing-bin"
TRAILING_VALUE = b"\xab\xab\xab"

_pool = descriptor_pool.DescriptorPool()


def load(path):
    """Reads a file of descriptors."""
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as image:
        files.ParseFromString(image.read())
    for file in files.file:
        _pool.Add(file)


def message(name):
    """The class of a message of grpc.testing."""
    descriptor = _pool.FindMessageTypeByName("grpc.testing." + name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(_pool).GetPrototype(descriptor)


def methods(service):
    """Name, path, request class and response class of each method of a service."""
    full_name = "grpc.testing." + service
    for method in _pool.FindServiceByName(full_name).methods:
        yield (
            method.name,
            "/%s/%s" % (full_name, method.name),
            message(method.input_type.name),
            message(method.output_type.name),
        )


def option(name, default=None):
    """The value of a command line option, `--name value`."""
    if name not in sys.argv:
        return default
    return sys.argv[sys.argv.index(name) + 1]


def read(path):
    with open(path, "rb") as file:
        return file.read()
