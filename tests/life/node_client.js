// Does what life.json says to a running suite as Node programs do: @grpc/grpc-js, and the protos read by @grpc/proto-loader.
//
//     NODE_PATH=.../node_modules node node_client.js ADDRESS PROGRAMME SCHEME_FILE LIFE_JSON PROTO_FOLDER
//
// It carries the consistency token of every answer to the next call, as every good client does.
"use strict";

const fs = require("fs");
const path = require("path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const TOKEN = "shipei-consistency-token";
const [address, programme, schemeFile, lifeFile, protoFolder] = process.argv.slice(2);

function protosUnder(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const inner = path.join(folder, entry.name);
    if (entry.isDirectory()) return protosUnder(inner);
    return entry.name.endsWith(".proto") ? [path.relative(protoFolder, inner)] : [];
  });
}

// As protobuf's JSON has it: names in camel case, enums by name, 64-bit numbers as texts.
const definition = loader.loadSync(protosUnder(protoFolder), {
  includeDirs: [protoFolder],
  longs: String,
  enums: String,
  defaults: false,
});

const words = {
  PROGRAMME: programme,
  SCHEME: fs.readFileSync(schemeFile, "utf8"),
  POST: "研".repeat(300),
};

function filled(value) {
  if (typeof value === "string") {
    return Object.entries(words).reduce((text, [word, by]) => text.split("${" + word + "}").join(by), value);
  }
  if (Array.isArray(value)) return value.map(filled);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item)]));
  }
  return value;
}

// A timestamp is a text in JSON and a message here.
function withTimes(value) {
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(value)) {
    return { seconds: String(Math.floor(Date.parse(value) / 1000)), nanos: 0 };
  }
  if (Array.isArray(value)) return value.map(withTimes);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withTimes(item)]));
  }
  return value;
}

// And the other way round.
function withTexts(value) {
  if (Array.isArray(value)) return value.map(withTexts);
  if (!value || typeof value !== "object") return value;
  if (typeof value.seconds === "string" && Object.keys(value).every((key) => key === "seconds" || key === "nanos")) {
    return new Date(Number(value.seconds) * 1000).toISOString().replace(".000Z", "Z");
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withTexts(item)]));
}

// Reads the reason in google.rpc.ErrorInfo out of the status details: any text of the form of one.
function reasonOf(error, expected) {
  const details = error.metadata.get("grpc-status-details-bin").map((bytes) => bytes.toString("latin1")).join("");
  return details.includes("google.rpc.ErrorInfo") && details.includes(expected) ? expected : error.details;
}

let token;

function call(rpc, messages) {
  const [service, method] = rpc.split("/");
  const { path: full, requestStream, responseStream, requestSerialize, responseDeserialize } = definition[service][method];
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  if (token) metadata.set(TOKEN, token);
  const options = { deadline: Date.now() + 30000 };
  const requests = messages.map(withTimes);
  const keep = (given) => given.get(TOKEN).forEach((value) => (token = value));
  return new Promise((resolve, reject) => {
    const answers = [];
    const done = (error, answer) => {
      client.close();
      if (error) return reject(error);
      if (answer) answers.push(answer);
      for (const one of answers) token = one.consistencyToken || token;
      resolve(JSON.stringify(answers.map(withTexts)));
    };
    let under;
    if (requestStream && responseStream) {
      under = client.makeBidiStreamRequest(full, requestSerialize, responseDeserialize, metadata, options);
    } else if (requestStream) {
      under = client.makeClientStreamRequest(full, requestSerialize, responseDeserialize, metadata, options, done);
    } else if (responseStream) {
      under = client.makeServerStreamRequest(full, requestSerialize, responseDeserialize, requests[0], metadata, options);
    } else {
      under = client.makeUnaryRequest(full, requestSerialize, responseDeserialize, requests[0], metadata, options, done);
    }
    under.on("metadata", keep);
    if (responseStream) {
      under.on("data", (answer) => answers.push(answer));
      under.on("error", done);
      under.on("end", () => done());
    }
    if (requestStream) {
      requests.forEach((request) => under.write(request));
      under.end();
    }
  });
}

async function main() {
  const life = JSON.parse(fs.readFileSync(lifeFile, "utf8"));
  for (const step of life) {
    let answer = "";
    let refused;
    try {
      answer = await call(step.rpc, filled(step.send));
    } catch (error) {
      if (!error.metadata) throw error;
      refused = reasonOf(error, step.refused || "");
      answer = error.details;
    }
    if (refused !== step.refused) throw new Error(`${step.what}: ${refused} instead of ${step.refused}: ${answer}`);
    const squeezed = (text) => text.replace(/\s/g, "");
    for (const text of filled(step.expect || [])) {
      if (!squeezed(answer).includes(squeezed(text))) throw new Error(`${step.what}: no ${text} in ${answer}`);
    }
    for (const text of step.never || []) {
      if (answer.includes(text)) throw new Error(`${step.what}: ${text} in ${answer}`);
    }
  }
  console.log(`${life.length} steps`);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
