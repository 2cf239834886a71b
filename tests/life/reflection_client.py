"""Does what life.json says to a running suite, as a client that has only Python's grpcio and reflection.

    python reflection_client.py ADDRESS PROGRAMME SCHEME_FILE LIFE_JSON

Where the suite asks for tokens, SHIPEI_TOKEN is one. It carries the consistency token of every answer to the next call, as every good client does.
"""

import json
import os
import re
import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

TOKEN = "shipei-consistency-token"


def filled(value, words):
    """The value with every ${WORD} replaced."""
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace("${" + word + "}", text)
        return value
    if isinstance(value, list):
        return [filled(item, words) for item in value]
    if isinstance(value, dict):
        return {key: filled(item, words) for key, item in value.items()}
    return value


class Suite:
    """A channel, the descriptors that it reflects, and the token of what was written over it."""

    def __init__(self, address):
        # Its requests are compressed, and so may the answers be.
        self.channel = grpc.insecure_channel(address, compression=grpc.Compression.Gzip)
        reflected = ProtoReflectionDescriptorDatabase(self.channel)
        self.services = set(reflected.get_services())
        self.pool = DescriptorPool(reflected)
        self.token = None

    def call(self, rpc, messages):
        """Calls an RPC of any kind; gives the answers as JSON text."""
        service, method = rpc.split("/")
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(method)
        request_class = message_factory.GetMessageClass(descriptor.input_type)
        response_class = message_factory.GetMessageClass(descriptor.output_type)
        requests = [json_format.ParseDict(message, request_class(), descriptor_pool=self.pool) for message in messages]
        kind = ("stream" if descriptor.client_streaming else "unary") + "_" + ("stream" if descriptor.server_streaming else "unary")
        stub = getattr(self.channel, kind)(
            "/" + rpc, request_serializer=request_class.SerializeToString, response_deserializer=response_class.FromString
        )
        metadata = [(TOKEN, self.token)] if self.token else []
        if bearer := os.environ.get("SHIPEI_TOKEN"):
            metadata.append(("authorization", f"Bearer {bearer}"))
        argument = iter(requests) if descriptor.client_streaming else requests[0]
        if descriptor.server_streaming:
            answers, initial = list(stub(argument, metadata=metadata, timeout=30)), ()
        else:
            answer, made = stub.with_call(argument, metadata=metadata, timeout=30)
            answers, initial = [answer], list(made.initial_metadata()) + list(made.trailing_metadata())
        for key, value in initial:
            if key == TOKEN:
                self.token = value
        for answer in answers:
            self.token = getattr(answer, "consistency_token", "") or self.token
        return "\n".join(json_format.MessageToJson(answer, descriptor_pool=self.pool, ensure_ascii=False) for answer in answers)


def numbers_bare(text):
    """JSON text with its whole numbers bare: int64 come in quotes and int32 without, and an expectation means either."""
    return re.sub(r'": "(-?\d+)"', r'": \1', text)


def reason_of(error):
    """The reason in google.rpc.ErrorInfo."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
                    return info.reason
    return None


def main(address, programme, scheme_file, life_file):
    with open(scheme_file, encoding="utf-8") as file:
        scheme = file.read()
    with open(life_file, encoding="utf-8") as file:
        life = json.load(file)
    words = {"PROGRAMME": programme, "SCHEME": scheme, "POST": "研" * 300}
    suite = Suite(address)
    wanted = {"shipei.enrollment.v1.PersonService", "shipei.assessment.v1.ScoreService", "shipei.event.v1.EventFeed"}
    if not wanted <= suite.services:
        sys.exit(f"reflection names {suite.services}")
    for message in ("google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.LocalizedMessage"):
        suite.pool.FindMessageTypeByName(message)
    for step in life:
        try:
            answer, reason = suite.call(step["rpc"], filled(step["send"], words)), None
        except grpc.RpcError as error:
            answer, reason = error.details(), reason_of(error) or error.code()
        if reason != step.get("refused"):
            sys.exit(f"{step['what']}: {reason} instead of {step.get('refused')}: {answer}")
        for text in filled(step.get("expect", []), words):
            if numbers_bare(text) not in numbers_bare(answer):
                sys.exit(f"{step['what']}: no {text} in {answer}")
        for text in step.get("never", []):
            if text in answer:
                sys.exit(f"{step['what']}: {text} in {answer}")
    print(f"{len(life)} steps")


if __name__ == "__main__":
    main(*sys.argv[1:])
