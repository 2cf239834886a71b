"""Reads what `shipei relay --to redis-streams` writes as a member of a consumer group, each event once.

    python redis_group.py REDIS PREFIX SOURCE GROUP NAME DATABASE [EVENTS [CLAIM_AFTER]]

REDIS is an address (redis://127.0.0.1:6379), PREFIX the relay's, SOURCE the service whose log it is, GROUP what the members share, NAME this
member's, DATABASE a file of SQLite that is made if it is not there. It ends when the table holds EVENTS of them and nothing is left to take
over; without a number it reads for ever. What a member has had for CLAIM_AFTER milliseconds (60000) without a word, another takes over.

Redis gives an entry again until it is acknowledged, which happens behind the commit; so an event may come twice, and the table's key, its
source and id, keeps it once. Members share the entries of a partition: who needs them in their order sorts by partition and number.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from typing import Any

import redis

PARTITIONS = 64
# The most entries of one partition that are read at once, and how long Redis waits for something new.
COUNT = 200
BLOCK_MILLISECONDS = 1000


class Member:
    def __init__(self, address: str, streams: list[str], group: str, name: str) -> None:
        self.redis = redis.Redis.from_url(address, decode_responses=True)
        self.streams, self.group, self.name = streams, group, name

    def join(self) -> None:
        for stream in self.streams:
            try:
                # From the first entry on, and also where the relay has written nothing yet.
                self.redis.xgroup_create(stream, self.group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def left_behind(self, after: int) -> list[tuple[str, list[Any]]]:
        """Entries that somebody was given and never acknowledged: a member that died, or this one in an earlier life."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for stream in self.streams:
                pipeline.xautoclaim(stream, self.group, self.name, min_idle_time=after, count=COUNT)
            answers = pipeline.execute()
        return [(stream, answer[1]) for stream, answer in zip(self.streams, answers) if answer[1]]

    def new(self) -> list[tuple[str, list[Any]]]:
        unread: dict[Any, Any] = dict.fromkeys(self.streams, ">")
        # redis-py gives a list or a mapping, by the protocol that it speaks.
        read: Any = self.redis.xreadgroup(self.group, self.name, unread, count=COUNT, block=BLOCK_MILLISECONDS) or []
        if isinstance(read, dict):
            return [(stream, [entry for page in pages for entry in page]) for stream, pages in read.items()]
        return [(stream, entries) for stream, entries in read]

    def acknowledge(self, read: list[tuple[str, list[Any]]]) -> None:
        with self.redis.pipeline(transaction=False) as pipeline:
            for stream, entries in read:
                pipeline.xack(stream, self.group, *(id for id, _ in entries))
            pipeline.execute()


def keep(database: sqlite3.Connection, read: list[tuple[str, list[Any]]]) -> None:
    database.execute("BEGIN IMMEDIATE")
    for _, entries in read:
        for _, fields in entries:
            event = json.loads(fields["event"])
            place = (int(event["partitionkey"]), int(event["sequence"]))
            kept = (event["source"], event["id"], *place, event["type"], event.get("subject", ""), json.dumps(event["data"]))
            database.execute("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", kept)
    database.execute("COMMIT")


def main(
    address: str, prefix: str, source: str, group: str, name: str, file: str, wanted: str | None = None, claim_after: str = "60000"
) -> None:
    database = sqlite3.connect(file, isolation_level=None, timeout=30)
    database.execute("PRAGMA synchronous = FULL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS event (source TEXT, id TEXT, partition INTEGER, number INTEGER, type TEXT, subject TEXT, data TEXT,"
        " PRIMARY KEY (source, id))"
    )
    member = Member(address, [f"{prefix}:{source}:{partition}" for partition in range(PARTITIONS)], group, name)
    while True:
        try:
            member.join()
            while not read_on(member, database, source, wanted, int(claim_after)):
                pass
            return
        except redis.ConnectionError:
            time.sleep(0.5)
        except redis.ResponseError as error:
            # A Redis that was lost and came back has no groups. The relay writes all of it again, and the table has what it has.
            if not any(word in str(error) for word in ("NOGROUP", "UNBLOCKED")):
                raise


def read_on(member: Member, database: sqlite3.Connection, source: str, wanted: str | None, claim_after: int) -> bool:
    """Takes what there is, and says whether that is all that is wanted."""
    read = member.left_behind(claim_after) or member.new()
    keep(database, read)
    member.acknowledge(read)
    held = database.execute("SELECT count(*) FROM event WHERE source = ?", (source,)).fetchone()[0]
    return wanted is not None and held >= int(wanted) and not read


if __name__ == "__main__":
    main(*sys.argv[1:])
