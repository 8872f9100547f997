"""A gRPC client that also says what it holds: real grpcio, asked over CSDS."""

import json
import sys
from concurrent import futures

import grpc
import grpc_csds
from envoy.admin.v3 import config_dump_shared_pb2
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

METHOD = "/test.Greeter/Greet"


def holdings(status):
    """What the client holds, as JSON: for each resource its status and version."""
    response = status.FetchClientStatus(csds_pb2.ClientStatusRequest(), timeout=10)
    held = [
        {
            "type": config.type_url.rsplit(".", 1)[-1],
            "name": config.name,
            "status": config_dump_shared_pb2.ClientResourceStatus.Name(config.client_status),
            "version": config.version_info,
        }
        for of_client in response.config
        for config in of_client.generic_xds_configs
    ]
    return json.dumps(held)


def main(target):
    """Calls the target with each line of standard input; at `csds`, prints what it holds."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    grpc_csds.add_csds_servicer(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(target) as channel, grpc.insecure_channel(f"127.0.0.1:{port}") as own:
        greet = channel.unary_unary(METHOD)
        status = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(own)
        for line in sys.stdin:
            try:
                said = greet(line.strip().encode(), timeout=10).decode()
                print(holdings(status) if line.strip() == "csds" else said, flush=True)
            except grpc.RpcError as e:
                print(f"{e.code().name}: {e.details()}", flush=True)
    server.stop(None)


main(sys.argv[1])
