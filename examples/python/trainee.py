"""A trainee's life: logs in, studies, hands in an assignment, posts to the seminar, and asks for the score and why it is what it is.

    SHIPEI_TOKEN=TOKEN python trainee.py ADDRESS PROGRAMME PERSON COURSE SEMINAR

ADDRESS is where the suite listens (127.0.0.1:7300), COURSE a public course, SEMINAR one of the trainee's class. It says when each thing happened, as a
platform does that hands on what its learners did, so the token needs the right to import:
`shipei token --role trainee --subject PERSON --programme PROGRAMME --import`. Who leaves `occurred_at` out says that it happens now.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from shipei.assessment.v1 import score_service_pb2_grpc
from shipei.assessment.v1.score_service_pb2 import GetTraineeScoreRequest
from shipei.assignment.v1 import assignment_service_pb2_grpc, seminar_service_pb2_grpc
from shipei.assignment.v1.assignment_service_pb2 import SubmitAssignmentRequest
from shipei.assignment.v1.seminar_service_pb2 import PostToSeminarRequest
from shipei.enrollment.v1 import person_service_pb2_grpc
from shipei.enrollment.v1.person_service_pb2 import RecordLoginRequest
from shipei.learning.v1 import study_service_pb2_grpc
from shipei.learning.v1.study_service_pb2 import GetProgressRequest, RecordHeartbeatRequest

# What is UNAVAILABLE, gRPC itself tries again: every write has an id, so sent twice it is carried out once.
RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
SERVICE_CONFIG = json.dumps({"methodConfig": [{"name": [{}], "timeout": "30s", "retryPolicy": RETRY}]})
# How often a call is made again that was told when to come back.
TRIES = 5
CONSISTENCY = "shipei-consistency-token"
CHINA = timezone(timedelta(hours=8))


class Refused(Exception):
    """What the suite says of a call that it doesn't carry out."""

    def __init__(self, error: Any) -> None:
        self.code, self.reason, self.text = error.code(), "", error.details()
        self.figures: dict[str, str] = {}
        self.fields: dict[str, str] = {}
        self.retry_after: float | None = None
        trailers: dict[str, Any] = dict(error.trailing_metadata() or ())
        for detail in status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b"")).details:
            self._read(detail)
        super().__init__(f"{self.reason or self.code.name}: {self.text}")

    def _read(self, detail: Any) -> None:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        text, retry = error_details_pb2.LocalizedMessage(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason, self.figures = info.reason, dict(info.metadata)
        elif detail.Unpack(request):
            self.fields = {violation.field: violation.description for violation in request.field_violations}
        elif detail.Unpack(text):
            self.text = text.message
        elif detail.Unpack(retry):
            self.retry_after = retry.retry_delay.ToTimedelta().total_seconds()


class Suite:
    """A channel, who calls, and what the suite has told of its writes so far: with that each call sees them, whichever service answers."""

    def __init__(self, address: str, token: str) -> None:
        self.channel = grpc.insecure_channel(address, options=[("grpc.service_config", SERVICE_CONFIG)])
        self.token = token
        self.consistency = ""

    def call(self, method: Any, request: Message) -> Any:
        metadata = [("authorization", f"Bearer {self.token}"), ("accept-language", "zh")]
        if self.consistency:
            metadata.append((CONSISTENCY, self.consistency))
        for attempt in range(1, TRIES + 1):
            try:
                answer, made = method.with_call(request, metadata=tuple(metadata))
            except grpc.RpcError as error:
                refused = Refused(error)
                if refused.retry_after is None or attempt == TRIES:
                    raise refused from error
                time.sleep(refused.retry_after)
                continue
            self.consistency = dict(made.initial_metadata()).get(CONSISTENCY, self.consistency)
            return answer


def at(month: int, day: int, minute: int = 0) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime(2019, month, day, 10, minute, tzinfo=CHINA))
    return stamp


def said(what: str, call: Callable[[], object]) -> None:
    try:
        call()
        print(f"{what}: taken")
    except Refused as refused:
        print(f"{what}: refused {refused.reason}: {refused.text} {refused.figures} {refused.fields}")


def main(address: str, programme: str, person: str, course: str, seminar: str) -> None:
    suite = Suite(address, os.environ["SHIPEI_TOKEN"])
    people = person_service_pb2_grpc.PersonServiceStub(suite.channel)
    study = study_service_pb2_grpc.StudyServiceStub(suite.channel)
    assignments = assignment_service_pb2_grpc.AssignmentServiceStub(suite.channel)
    seminars = seminar_service_pb2_grpc.SeminarServiceStub(suite.channel)
    scores = score_service_pb2_grpc.ScoreServiceStub(suite.channel)

    login = RecordLoginRequest(programme_id=programme, person_id=person, request_id=f"{person}:login", occurred_at=at(9, 12))
    suite.call(people.RecordLogin, login)

    # A player says each minute or two that somebody studies. Session and seq are a beat's id: sent twice, it is a duplicate.
    for seq in range(3):
        beat = RecordHeartbeatRequest(programme_id=programme, person_id=person, course_id=course, session_id=f"{person}:{course}", seq=seq)
        beat.occurred_at.CopyFrom(at(9, 20, 2 * seq))
        suite.call(study.RecordHeartbeat, beat)
    progress = suite.call(study.GetProgress, GetProgressRequest(programme_id=programme, person_id=person))
    for phase in progress.phases:
        print(f"{phase.phase}: studied {phase.credited_seconds} of {phase.required_seconds} s")

    for kind in ("essay", "lesson_plan"):
        work = SubmitAssignmentRequest(programme_id=programme, person_id=person, submission_id=f"{person}:plan", kind=kind, title="教学设计")
        work.request_id, work.text = f"{person}:plan:{kind}", "一、教学目标"
        work.occurred_at.CopyFrom(at(11, 5))
        said(kind, lambda: suite.call(assignments.SubmitAssignment, work))

    for text in ("研" * 299, "研" * 300):
        post = PostToSeminarRequest(programme_id=programme, person_id=person, seminar_id=seminar, text=text)
        post.request_id = f"{person}:post:{len(text)}"
        post.occurred_at.CopyFrom(at(11, 22))
        said(f"post of {len(text)}", lambda: suite.call(seminars.PostToSeminar, post))

    question = GetTraineeScoreRequest(programme_id=programme, person_id=person, as_of=at(12, 1))
    score = suite.call(scores.GetTraineeScore, question).score
    print(f"score {score.total}, {'passed' if score.passed else 'not passed'}")
    for item in score.items:
        why = [item.reason, item.explanation_zh, item.missing.text_zh, item.clause_zh]
        print(f"  {item.name} {item.hundredths / 100:g} of {item.max_hundredths / 100:g}: {' '.join(filter(None, why))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
