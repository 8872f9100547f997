"""A gRPC server that says its name, and a client of it: real grpcio, both."""

import sys
from concurrent import futures

import grpc

METHOD = "/test.Greeter/Greet"


def serve(name):
    """Serves on a free port, prints it, and goes on until standard input ends."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            if details.method != METHOD:
                return None
            return grpc.unary_unary_rpc_method_handler(lambda request, _: name.encode() + request)

    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handler()])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


def call(target):
    """For each line of standard input: calls the target, prints the answer."""
    with grpc.insecure_channel(target) as channel:
        greet = channel.unary_unary(METHOD)
        for line in sys.stdin:
            try:
                print(greet(line.strip().encode(), timeout=10).decode(), flush=True)
            except grpc.RpcError as e:
                print(f"{e.code().name}: {e.details()}", flush=True)


{"serve": serve, "call": call}[sys.argv[1]](sys.argv[2])
