"""Follows an event log of shipei into a table of its own, each event once.

    python consume.py ADDRESS SOURCE DATABASE [EVENTS]

ADDRESS is where the suite listens (127.0.0.1:7300), SOURCE the service whose log it is (assessment), DATABASE a file of SQLite that is made
if it is not there. Events and the cursor are written in one transaction, so it may be killed at any moment and goes on exactly there. It ends when
the table holds EVENTS of them; without a number it follows for ever.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time

import grpc
from shipei.event.v1 import event_feed_pb2, event_feed_pb2_grpc

# Worth another try: an instance went, the stream is old, the suite is busy.
TRY_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}


def main(address: str, source: str, file: str, wanted: str | None = None) -> None:
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, type TEXT, subject TEXT, seconds INTEGER, data BLOB)")
    database.execute("CREATE TABLE IF NOT EXISTS cursor (source TEXT PRIMARY KEY, cursor TEXT)")
    # Behind a load balancer this says whose log it is.
    metadata: tuple[tuple[str, str | bytes], ...] = (("shipei-source", source),)
    if token := os.environ.get("SHIPEI_TOKEN"):
        metadata += (("authorization", f"Bearer {token}"),)
    while True:
        held = database.execute("SELECT count(*) FROM event").fetchone()[0]
        if wanted is not None and held >= int(wanted):
            return
        row = database.execute("SELECT cursor FROM cursor WHERE source = ?", (source,)).fetchone()
        request = event_feed_pb2.SubscribeRequest(source=source, cursor=row[0] if row else "")
        try:
            with grpc.insecure_channel(address) as channel:
                for response in event_feed_pb2_grpc.EventFeedStub(channel).Subscribe(request, metadata=metadata):
                    database.execute("BEGIN IMMEDIATE")
                    for event in response.events:
                        kept = (event.id, event.type, event.subject, event.time.seconds, event.data.value)
                        # No OR IGNORE: an event that came twice would be a fault, and is to be seen.
                        database.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", kept)
                    database.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (source, response.cursor))
                    database.execute("COMMIT")
                    held += len(response.events)
                    if wanted is not None and held >= int(wanted):
                        return
        except grpc.RpcError as error:
            if error.code() not in TRY_AGAIN:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main(*sys.argv[1:])
