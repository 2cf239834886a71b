// A trainee's life by connect-es, from the descriptors alone: over Connect with JSON, Connect with protobuf, or gRPC-Web, each
// the way a browser goes (fetch, HTTP/1.1).
//
//     node connect_client.mjs ADDRESS PROGRAMME SCHEME_FILE LIFE_FILE DESCRIPTORS PROTOCOL
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.NODE_PATH + "/");
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { createFileRegistry, fromBinary, fromJson, toJsonString } = await load("@bufbuild/protobuf");
const { FileDescriptorSetSchema } = await load("@bufbuild/protobuf/wkt");
const { Code, ConnectError, createClient } = await load("@connectrpc/connect");
const { createConnectTransport, createGrpcWebTransport } = await load("@connectrpc/connect-web");

const TOKEN = "shipei-consistency-token";
const [address, programme, schemeFile, lifeFile, descriptors, protocol] = process.argv.slice(2);
const words = { PROGRAMME: programme, SCHEME: readFileSync(schemeFile, "utf8"), POST: "研".repeat(300) };
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const baseUrl = `http://${address}`;
const transport = {
  json: () => createConnectTransport({ baseUrl }),
  proto: () => createConnectTransport({ baseUrl, useBinaryFormat: true, useHttpGet: true }),
  "grpc-web": () => createGrpcWebTransport({ baseUrl }),
}[protocol]();

let token = "";
const filled = (value) => {
  if (typeof value === "string") return value.replace(/\$\{(\w+)\}/g, (_, word) => words[word]);
  if (Array.isArray(value)) return value.map(filled);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item)]));
  return value;
};
// Protobuf's JSON has int64 as text and int32 bare; written without blanks both spellings compare.
const squeezed = (text) => text.replace(/\s/g, "");

async function call(rpc, messages) {
  const [name, method] = rpc.split("/");
  const service = registry.getService(name);
  const descriptor = service.methods.find((one) => one.name === method);
  const requests = messages.map((message) => fromJson(descriptor.input, message, { registry }));
  const told = (headers) => {
    token = headers.get(TOKEN) ?? token;
  };
  const options = { headers: token ? { [TOKEN]: token } : {}, onHeader: told, onTrailer: told };
  const client = createClient(service, transport);
  const print = (message) => toJsonString(descriptor.output, message, { registry });
  if (descriptor.methodKind === "unary") return print(await client[descriptor.localName](requests[0], options));
  if (descriptor.methodKind === "server_streaming") {
    const answers = [];
    for await (const answer of client[descriptor.localName](requests[0], options)) answers.push(print(answer));
    return answers.join("\n");
  }
  // connect-web sends no streams, since no browser sends one bit by bit; a whole one is a body like any other.
  return sendWhole(rpc, messages);
}

async function sendWhole(rpc, messages) {
  const frames = messages.flatMap((message) => {
    const bytes = Buffer.from(JSON.stringify(message));
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(bytes.length, 1);
    return [prefix, bytes];
  });
  const headers = { "content-type": "application/connect+json", ...(token ? { [TOKEN]: token } : {}) };
  const answer = await fetch(`${baseUrl}/${rpc}`, { method: "POST", headers, body: Buffer.concat(frames) });
  let rest = Buffer.from(await answer.arrayBuffer());
  const answers = [];
  while (rest.length > 0) {
    const [flags, length] = [rest[0], rest.readUInt32BE(1)];
    const text = rest.subarray(5, 5 + length).toString();
    rest = rest.subarray(5 + length);
    if (flags === 0) answers.push(text);
    else if (JSON.parse(text).error) throw new Error(`${rpc}: ${text}`);
    else return answers.join("\n");
  }
  throw new Error(`${rpc}: the stream has no end`);
}

let done = 0;
for (const step of JSON.parse(readFileSync(lifeFile, "utf8"))) {
  let answer = "";
  try {
    answer = await call(step.rpc, filled(step.send));
    if (step.refused) throw new Error(`${step.what}: not refused ${step.refused}`);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    answer = JSON.stringify(error.details) + error.message;
    const reasons = error.details.map((detail) => detail.debug?.reason ?? Buffer.from(detail.value).toString("latin1"));
    if (!step.refused || !reasons.some((reason) => reason.includes(step.refused))) {
      throw new Error(`${step.what}: ${Code[error.code]} ${error.message} ${reasons}`);
    }
  }
  for (const text of filled(step.expect ?? [])) {
    if (!squeezed(answer).includes(squeezed(text))) throw new Error(`${step.what}: no ${text} in ${answer}`);
  }
  done += 1;
  if (step.rpc.startsWith("shipei.enrollment")) {
    token = JSON.parse(await call("shipei.event.v1.EventFeed/GetHead", [{ source: "enrollment" }])).consistencyToken;
  }
}
console.log(`${done} steps by ${protocol}`);
