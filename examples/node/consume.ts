// Follows an event log of shipei into a file of its own, each event once.
//
//     node consume.ts ADDRESS SOURCE FILE [EVENTS]
//
// ADDRESS is where the suite listens (127.0.0.1:7300), SOURCE the service whose log it is (assessment), FILE is made if it is not there.
// A line of it holds what came in one response: its events and, in the same write, the cursor. So it may be killed at any moment: a line
// that was cut is taken off, and the last whole one says where to go on. (With a database, events and cursor go into one transaction.) It
// ends when the file holds EVENTS of them; without a number it follows for ever.

import { appendFileSync, fsyncSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { EventFeed } from "@shipei/contracts/event/v1/event_feed_pb";
import type { Event } from "@shipei/contracts/event/v1/event_pb";

interface Line {
  cursor: string;
  events: { id: string; type: string; subject: string; seconds: string; data: string }[];
}

// Worth another try: an instance went, the stream is old, the suite is busy.
const TRY_AGAIN = [Code.Unavailable, Code.DeadlineExceeded, Code.Canceled, Code.Aborted];

// The file opened behind its last whole line, what that says, and how many events there are.
function goOn(file: string): { descriptor: number; cursor: string; held: number } {
  const descriptor = openSync(file, "a+");
  const bytes = readFileSync(file);
  const whole = bytes.lastIndexOf("\n") + 1;
  ftruncateSync(descriptor, whole);
  const lines = bytes.toString("utf8", 0, whole).split("\n").slice(0, -1);
  const read = lines.map((line) => JSON.parse(line) as Line);
  const held = read.reduce((sum, line) => sum + line.events.length, 0);
  return { descriptor, cursor: read.at(-1)?.cursor ?? "", held };
}

function kept(event: Event): Line["events"][number] {
  const { id, type, subject, time, data } = event;
  const base64 = Buffer.from(data?.value ?? []).toString("base64");
  return { id, type, subject, seconds: String(time?.seconds ?? 0n), data: base64 };
}

async function follow(address: string, source: string, file: string, wanted: number): Promise<void> {
  let { descriptor, cursor, held } = goOn(file);
  const feed = createClient(EventFeed, createGrpcTransport({ baseUrl: `http://${address}` }));
  // Behind a load balancer this says whose log it is.
  const headers = new Headers({ "shipei-source": source });
  const token = process.env["SHIPEI_TOKEN"];
  if (token) headers.set("authorization", `Bearer ${token}`);
  while (held < wanted) {
    try {
      for await (const response of feed.subscribe({ source, cursor }, { headers })) {
        if (response.events.length > 0) {
          const line: Line = { cursor: response.cursor, events: response.events.map(kept) };
          appendFileSync(descriptor, JSON.stringify(line) + "\n");
          fsyncSync(descriptor);
          held += line.events.length;
        }
        cursor = response.cursor;
        if (held >= wanted) return;
      }
    } catch (error) {
      if (!TRY_AGAIN.includes(ConnectError.from(error).code)) throw error;
      await pause(200);
    }
  }
}

const [address, source, file, wanted] = process.argv.slice(2);
if (!address || !source || !file) throw new Error("node consume.ts ADDRESS SOURCE FILE [EVENTS]");
await follow(address, source, file, Number(wanted ?? Infinity));
// The connection is kept for calls that don't come any more.
process.exit();
