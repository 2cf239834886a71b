"""python3 retract.py SEASON OUT --seed N

A season of whose facts some were wrong: their lines get a name (`fact`), and at the end of the season each is retracted. What
had been refused because of them is sent again (`again`), as the law says: lines of the authors and classes that they concern.
Facts on which study rests are left alone: a retraction leaves study that was taken."""
from __future__ import annotations

import argparse
import json
import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from law_scheme import instant

Event = dict
WRONG = 0.12  # how many of these lines were wrong
SOURCES = {
    "prejob.attended": "enrollment", "tutor.chosen": "enrollment",
    "assignment.submitted": "assignment-grading", "assignment.reviewed": "assignment-grading",
    "assignment.returned": "assignment-grading", "seminar.opened": "assignment-grading",
    "seminar.posted": "assignment-grading", "seminar.summarised": "assignment-grading",
    "bulletin.published": "assignment-grading", "offline.plan_submitted": "offline-activity",
    "offline.activity_held": "offline-activity", "offline.attended": "offline-activity",
    "offline.scored": "offline-activity", "offline.results_submitted": "offline-activity",
}


def retract(season: Path, out: Path, seed: int) -> None:
    dice = random.Random(seed)
    out.mkdir(parents=True)
    shutil.copy(season / "scheme.toml", out)
    shutil.copytree(season / "roster", out / "roster")
    lines = (season / "season.ndjson").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines if line.strip()]
    author = {e["submission"]: e["person"] for e in events if e["type"] == "assignment.submitted"}
    retractions, authors, classes = [], set(), set()
    for number, event in enumerate(events):
        source = SOURCES.get(event["type"])
        if source is None or dice.random() >= WRONG:
            continue
        event["fact"] = name = f"f{number}"
        retraction = {"type": "fact.retracted", "source": source, "retracts": name, "reason": "登记错误"}
        if event["type"] == "offline.attended":
            retraction["person"] = dice.choice(event["persons"])
        retractions.append(retraction)
        if event["type"].startswith("assignment."):
            authors.add(author.get(event["submission"]))
        if event["type"] == "bulletin.published":
            classes.add(event["class"])
    again = [event for event in events if "fact" not in event and (
        event["type"].startswith("assignment.") and author.get(event["submission"]) in authors
        or event["type"] == "bulletin.published" and event["class"] in classes)]
    told = datetime.fromisoformat(max((e.get("end", e["at"]) for e in events), key=instant)) + timedelta(days=1)
    with (out / "season.ndjson").open("w", encoding="utf-8", newline="\n") as file:
        for event in [*events, *retractions, *({**event, "again": True} for event in again)]:
            if event["type"] == "fact.retracted":
                event = {"at": told.isoformat(), **event}
            if event.get("again"):
                event["told"] = told.isoformat()
            if event["type"] == "fact.retracted" or event.get("again"):
                told += timedelta(seconds=1)
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("season", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    retract(args.season, args.out, args.seed)
