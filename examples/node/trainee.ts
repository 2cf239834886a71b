// A trainee's life: logs in, studies, hands in an assignment, posts to the seminar, and asks for the score and why it is what it is.
//
//     SHIPEI_TOKEN=TOKEN node trainee.ts ADDRESS PROGRAMME PERSON COURSE SEMINAR
//
// ADDRESS is where the suite listens (127.0.0.1:7300), COURSE a public course, SEMINAR one of the trainee's class. It says when each thing happened, as a
// platform does that hands on what its learners did, so the token needs the right to import:
// `shipei token --role trainee --subject PERSON --programme PROGRAMME --import`. Who leaves `occurredAt` out says that it happens now.
//
// The calls go by grpc-js, whose service config tries again by itself; the messages are those of the contracts' package.

import { setTimeout as pause } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { anyUnpack, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Client, Metadata, credentials, status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { ScoreService } from "@shipei/contracts/assessment/v1/score_service_pb";
import { AssignmentService } from "@shipei/contracts/assignment/v1/assignment_service_pb";
import { SeminarService } from "@shipei/contracts/assignment/v1/seminar_service_pb";
import { PersonService } from "@shipei/contracts/enrollment/v1/person_service_pb";
import * as rpc from "@shipei/contracts/google/rpc/error_details_pb";
import { StatusSchema } from "@shipei/contracts/google/rpc/status_pb";
import { StudyService } from "@shipei/contracts/learning/v1/study_service_pb";

// What is UNAVAILABLE, gRPC itself tries again: every write has an id, so sent twice it is carried out once.
const SERVICE_CONFIG = {
  loadBalancingConfig: [],
  methodConfig: [
    {
      name: [{}],
      timeout: { seconds: 30, nanos: 0 },
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};
// How often a call is made again that was told when to come back.
const TRIES = 5;
const CONSISTENCY = "shipei-consistency-token";

// What the suite says of a call that it doesn't carry out.
class Refused extends Error {
  reason = "";
  figures: Record<string, string> = {};
  fields: Record<string, string> = {};
  retryAfterMs: number | undefined;

  constructor(error: ServiceError) {
    super(error.details);
    for (const bytes of error.metadata.get("grpc-status-details-bin")) {
      for (const detail of fromBinary(StatusSchema, Buffer.from(bytes)).details) {
        const info = anyUnpack(detail, rpc.ErrorInfoSchema);
        if (info) [this.reason, this.figures] = [info.reason, info.metadata];
        const text = anyUnpack(detail, rpc.LocalizedMessageSchema);
        if (text) this.message = text.message;
        for (const { field, description } of anyUnpack(detail, rpc.BadRequestSchema)?.fieldViolations ?? []) {
          this.fields[field] = description;
        }
        const delay = anyUnpack(detail, rpc.RetryInfoSchema)?.retryDelay;
        if (delay) this.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1_000_000;
      }
    }
    this.reason ||= status[error.code] ?? "";
  }
}

// A channel, who calls, and what the suite has told of its writes so far: with that each call sees them, whichever service answers.
class Suite {
  private readonly client: Client;
  private readonly token: string;
  private consistency = "";

  constructor(address: string, token: string) {
    this.client = new Client(address, credentials.createInsecure(), {
      "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
    });
    this.token = token;
  }

  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    fields: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const request = create(method.input, fields);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.callOnce(method, request);
      } catch (error) {
        const refused = new Refused(error as ServiceError);
        if (refused.retryAfterMs === undefined || attempt === TRIES) throw refused;
        await pause(refused.retryAfterMs);
      }
    }
  }

  private callOnce<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
  ): Promise<MessageShape<O>> {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${this.token}`);
    metadata.set("accept-language", "zh");
    if (this.consistency) metadata.set(CONSISTENCY, this.consistency);
    return new Promise((resolve, reject) => {
      const call = this.client.makeUnaryRequest(
        `/${method.parent.typeName}/${method.name}`,
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        request,
        metadata,
        (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
      );
      call.on("metadata", (given) => (this.consistency = given.get(CONSISTENCY)[0]?.toString() ?? this.consistency));
    });
  }

  close(): void {
    this.client.close();
  }
}

function at(month: number, day: number, minute = 0) {
  const two = (figure: number) => String(figure).padStart(2, "0");
  return timestampFromDate(new Date(`2019-${two(month)}-${two(day)}T10:${two(minute)}:00+08:00`));
}

async function said(what: string, call: Promise<unknown>): Promise<void> {
  try {
    await call;
    console.log(`${what}: taken`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { reason, message, figures, fields } = error;
    console.log(`${what}: refused ${reason}: ${message} ${JSON.stringify(figures)} ${JSON.stringify(fields)}`);
  }
}

const [address, programmeId, personId, courseId, seminarId] = process.argv.slice(2);
const token = process.env["SHIPEI_TOKEN"];
if (!address || !programmeId || !personId || !courseId || !seminarId || !token) {
  throw new Error("SHIPEI_TOKEN=TOKEN node trainee.ts ADDRESS PROGRAMME PERSON COURSE SEMINAR");
}
const suite = new Suite(address, token);
const who = { programmeId, personId };

await suite.call(PersonService.method.recordLogin, { ...who, requestId: `${personId}:login`, occurredAt: at(9, 12) });

// A player says each minute or two that somebody studies. Session and seq are a beat's id: sent twice, it is a duplicate.
for (let seq = 0; seq < 3; seq++) {
  const beat = { courseId, sessionId: `${personId}:${courseId}`, seq: BigInt(seq), occurredAt: at(9, 20, 2 * seq) };
  await suite.call(StudyService.method.recordHeartbeat, { ...who, ...beat });
}
const { phases } = await suite.call(StudyService.method.getProgress, who);
for (const phase of phases) console.log(`${phase.phase}: studied ${phase.creditedSeconds} of ${phase.requiredSeconds} s`);

for (const kind of ["essay", "lesson_plan"]) {
  const work = { submissionId: `${personId}:plan`, kind, title: "教学设计", text: "一、教学目标", occurredAt: at(11, 5) };
  const request = { ...who, ...work, requestId: `${personId}:plan:${kind}` };
  await said(kind, suite.call(AssignmentService.method.submitAssignment, request));
}

for (const text of ["研".repeat(299), "研".repeat(300)]) {
  const post = { ...who, seminarId, text, requestId: `${personId}:post:${text.length}`, occurredAt: at(11, 22) };
  await said(`post of ${text.length}`, suite.call(SeminarService.method.postToSeminar, post));
}

const { score } = await suite.call(ScoreService.method.getTraineeScore, { ...who, asOf: at(12, 1) });
console.log(`score ${score?.total}, ${score?.passed ? "passed" : "not passed"}`);
for (const item of score?.items ?? []) {
  const why = [item.reason, item.explanationZh, item.missing?.textZh, item.clauseZh].filter(Boolean).join(" ");
  console.log(`  ${item.name} ${item.hundredths / 100} of ${item.maxHundredths / 100}: ${why}`);
}
suite.close();
