"""python3 oracle.py SEASON_DIR OUT_DIR [--at TIME] [--reading name=value ...]

Computes trainees.csv, tutors.csv, counselors.csv and rejections.csv of a season, what trainees add up to (statistics.csv) and where every
duty of Annex 1 stands at its end (duties.csv).
A second reading of the law (scoring.md, seasons/README.md) that shares nothing with the product."""
from __future__ import annotations

import argparse
import json
from decimal import Decimal
from pathlib import Path

import law_roster
from law_duties import Duties
from law_facts import Facts
from law_merged import Merged, merge, unite
from law_readings import Readings
from law_scheme import FAR, SECOND, Scheme, instant
from law_scores import Scores
from law_statistics import Statistics
from law_study import Grant, Line, Study
from law_windows import Extension, Windows

# What is read apart from what happened in its order.
APART = ("fact.retracted", "session.voided", "course.corrected", "course.retired", "extension.granted", "time.granted",
         "item.adjusted", "persons.merged")
Table = list[list[object]]


def read_season(path: Path) -> tuple[list[tuple[int, int, int, dict]], dict[str, list[Line]]]:
    """(told, instant, line, event) of every event but study; study lines by person."""
    events: list[tuple[int, int, int, dict]] = []
    study: dict[str, list[Line]] = {}
    fallen, removed = retracted(path), who_were_removed(path)
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            event = json.loads(text)
            if event["type"] in APART or (event.get("fact"), "") in fallen:
                continue  # as if it had never been; the others are read before or behind what happened
            if event.get("person") in removed and not may_be_staff(event):
                continue  # nobody of the programme, though perhaps staff
            if event["type"] == "offline.attended":
                event["persons"] = [who for who in event["persons"] if who not in removed]
                event["persons"] = [who for who in event["persons"] if (event.get("fact"), who) not in fallen]
            told = instant(event.get("told", event["at"]))
            if event["type"] != "study.session":
                events.append((told, instant(event["at"]), number, event))
                continue
            line = Line(number, event["person"], event["course"], event["session"], instant(event["start"]),
                        instant(event["end"]), round(Decimal(str(event["every_s"])) * SECOND), told)
            study.setdefault(line.person, []).append(line)
    events.sort(key=lambda row: (row[1], row[0], row[2]))  # by when it happened: the order of arrival decides nothing
    return events, study


def may_be_staff(event: dict) -> bool:
    """Whether a line is true of who is no trainee, too."""
    evidence = event["type"] == "evidence.submitted" and event["duty"].split("-")[1] != "TRAINEE"
    return evidence or event["type"] in ("prejob.attended", "person.logged_in")


def standing(path: Path, kinds: tuple[str, ...]) -> list[tuple[int, int, dict]]:
    """(told, line, event) of the lines of these types that stand, in the order in which they were told."""
    fallen, out = retracted(path), []
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if not any(kind in text for kind in kinds):
                continue
            event = json.loads(text)
            if event["type"] in kinds and (event.get("fact"), "") not in fallen:
                out.append((instant(event.get("told", event["at"])), number, event))
    return sorted(out, key=lambda row: row[:2])


def change_courses(path: Path, roster: law_roster.Roster) -> None:
    """Courses put right and retired: of two changes since the same moment the later one counts."""
    for number, (_, _, e) in enumerate(standing(path, ("course.corrected", "course.retired"))):
        if e["type"] == "course.retired":
            since, new = instant(e.get("since", e["at"])), {"retired": True}
        else:
            since = instant(e["since"]) if "since" in e else -FAR
            names = {"category": "category", "main_line": "main_line", "seconds": "seconds", "subject": "subject",
                     "education_stage": "stage"}
            new = {names[key]: e[key] for key in names if key in e}
        if new and e["course"] in roster.courses:
            roster.courses[e["course"]].changes.append((since, number, new))


def extensions_of(path: Path) -> list[Extension]:
    lines = standing(path, ("extension.granted",))
    return [Extension(e["window"], e["last_day"], e.get("region", ""), e.get("class", ""), e.get("person", ""))
            for _, _, e in lines]


def merges_of(path: Path) -> list[tuple[str, str]]:
    """Who counts for whom: the id that is kept, and the one that counts for it."""
    return [(e["person"], e["merged"]) for _, _, e in standing(path, ("persons.merged",))]


def grants_of(path: Path) -> dict[str, list[Grant]]:
    out: dict[str, list[Grant]] = {}
    for told, number, e in standing(path, ("time.granted",)):
        grant = Grant(number, e["person"], e["course"], instant(e["at"]), e["seconds"], told)
        out.setdefault(e["person"], []).append(grant)
    return out


def adjustments_of(path: Path, kept_of: dict[str, str]) -> list[tuple[str, str, int, int, int]]:
    """Whose item was decided, from when until when, and as how much; in the order of the decisions."""
    lines = sorted((instant(e["at"]), told, number, e) for told, number, e in standing(path, ("item.adjusted",)))
    return [(kept_of.get(e["person"], e["person"]), e["item"], at, instant(e["expires"]) if "expires" in e else FAR, e["points"])
            for at, _, _, e in lines]


def adjusted_of(path: Path, as_of: int, kept_of: dict[str, str]) -> dict[tuple[str, str], int]:
    """What was decided that items count as, at the end: the last decision about an item, unless it has expired by then."""
    last = {(who, item): (until, points) for who, item, _, until, points in adjustments_of(path, kept_of)}
    return {key: points for key, (until, points) in last.items() if until > as_of}


def retracted(path: Path) -> set[tuple[str | None, str]]:
    """The facts that fall: the name of a line, and whose it was if only one of several people's falls."""
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(text) for text in file if '"fact.retracted"' in text]
    return {(line["retracts"], line.get("person", "")) for line in lines}


def voided_sessions(path: Path) -> set[tuple[str, str]]:
    """Whose sessions are voided by facts that stand. A season voids what it has studied, when all of it was told."""
    fallen = retracted(path)
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(text) for text in file if '"session.voided"' in text]
    return {(line["person"], line["session"]) for line in lines if (line.get("fact"), "") not in fallen}


def who_were_removed(path: Path) -> set[str]:
    """Trainees who had been enrolled by mistake, by removals that stand; nobody is removed from another role."""
    fallen = retracted(path)
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(text) for text in file if '"person.removed"' in text]
    return {line["person"] for line in lines if (line.get("fact"), "") not in fallen}


def compute(season: Path, readings: Readings, ambiguous: dict[int, list[str]] | None = None, at: int | None = None) -> dict[str, Table]:
    """File name -> header and rows. `ambiguous` is given the lines with more than one cause to be refused. Duties are as of the end, and
    as of `at` where that is given."""
    scheme = Scheme(season / "scheme.toml")
    path = season / "season.ndjson"

    def people() -> law_roster.Roster:
        roster = law_roster.load(season / "roster")
        for who in who_were_removed(path):
            roster.remove(who, law_roster.TRAINEE)
        change_courses(path, roster)
        return roster

    events, lines = read_season(path)
    windows, extensions = None, extensions_of(path)
    if extensions:  # whose they are follows from where everybody stands, which no window decides
        first = Facts(scheme, people(), readings)
        for row in events:
            first.take(*row)
        windows = Windows(scheme, extensions, first.roster)
    roster = people()
    facts = Facts(scheme, roster, readings, windows)
    rejected = {row[2]: why for row in events if (why := facts.take(*row))}
    grants = grants_of(path)
    study = Study(scheme, facts, readings, voided_sessions(path), grants)
    credits = {who: study.learner(who, lines.get(who, [])) for who in {*lines, *grants}}
    rejected.update(study.rejections)
    if ambiguous is not None:
        ambiguous.update(facts.ambiguous)
        ambiguous.update((n, sorted(causes)) for n, causes in study.causes.items() if len(causes) > 1)
    merged = Merged(merges_of(path), facts)
    merge(facts, merged)
    credits.update({kept: unite(study, kept, credits) for kept in facts.ids})
    none = study.learner("", [])
    achieved = {p.id: study.achieved(p, credits.get(p.id, none)) for p in roster.role(law_roster.TRAINEE)}
    scores = Scores(scheme, facts, achieved, readings, adjusted_of(path, scheme.as_of, merged.kept_of(law_roster.TRAINEE)), merged)
    duties = Duties(scores, adjustments_of(path, merged.kept_of(law_roster.TRAINEE)))
    moments = {"duties.csv": scheme.as_of} | ({} if at is None else {"duties_at.csv": at})
    phases = [f"phase_{n}" for n in range(1, len(scheme.online) + 1)]
    return {
        "trainees.csv": [["person_id", *phases, "assignment", "seminar", "offline", "total", "passed", "reasons"],
                         *scores.trainee_rows()],
        "tutors.csv": [["person_id", "marking", "bulletins", "seminar", "total", "qualified", "late_weeks",
                        "disqualified", "eligible", "excellent"], *scores.tutor_rows()],
        "counselors.csv": [["person_id", "county_code", "active_trainees", "registration_login", "offline", "total",
                            "scores_not_distinct"], *scores.counselor_rows()],
        "rejections.csv": [["line", "reason"], *([n, rejected[n]] for n in sorted(rejected))],
        "statistics.csv": [["by", "key", "figure", "value"], *Statistics(scores).table()],
        **{name: [["role", "bearer", "duty", "state", "done_micros", "by", "sent_back"], *duties.table(moment)]
           for name, moment in moments.items()},
    }


def cell(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\r') else text


def render(table: Table) -> bytes:
    return "".join(",".join(map(cell, row)) + "\n" for row in table).encode("utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("season", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--reading", action="append", default=[], metavar="NAME=VALUE", help="see law_readings.py")
    parser.add_argument("--at", metavar="TIME", help="also duties_at.csv: where duties stood then")
    parser.add_argument("--causes", action="store_true", help="print the lines that have several causes to be refused")
    args = parser.parse_args()
    ambiguous: dict[int, list[str]] = {}
    readings = Readings(dict(item.split("=", 1) for item in args.reading))
    args.out.mkdir(parents=True, exist_ok=True)
    for name, table in compute(args.season, readings, ambiguous, instant(args.at) if args.at else None).items():
        (args.out / name).write_bytes(render(table))
    for line in sorted(ambiguous) if args.causes else ():
        print(line, *ambiguous[line])


if __name__ == "__main__":
    main()
