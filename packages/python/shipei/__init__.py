"""The gRPC contracts of shipei, made from its protos: `shipei.SERVICE.v1.FILE_pb2` and `FILE_pb2_grpc`."""
