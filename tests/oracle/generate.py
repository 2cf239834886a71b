"""python3 generate.py OUT_DIR --seed N --trainees N [--scheme NAME] [--city CODE] [--doubtful] [--punctual] [--expect]

A synthetic season: scheme.toml, roster/*.csv, season.ndjson; the same arguments give
the same bytes. Every refused line has one cause (marked where it is made)."""
from __future__ import annotations

import argparse
from pathlib import Path

import gen_class
import gen_offline
import gen_schemes
import gen_study
from gen_roster import Roster
from gen_world import World


def generate(out: Path, seed: int, trainees: int, scheme: str, city: str | None, doubtful: bool, punctual: bool) -> int:
    """Writes the season; returns the number of its lines."""
    out.mkdir(parents=True, exist_ok=True)
    world = World(gen_schemes.build(scheme, city), seed, doubtful, punctual)
    (out / "scheme.toml").write_text(gen_schemes.toml(world.scheme), encoding="utf-8")
    Roster(world, trainees).write(out / "roster")
    gen_study.enrollment(world)
    gen_study.Study(world).run()
    gen_class.Assignments(world).run()
    gen_class.ClassLife(world).run()
    gen_offline.Offline(world).run()
    gen_class.experts(world)
    return world.sink.write(out / "season.ndjson")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trainees", type=int, required=True)
    parser.add_argument("--scheme", choices=sorted(gen_schemes.VARIANTS), default="qinhuangdao")
    parser.add_argument("--city", help="GB/T 2260, e.g. 130300, 130200")
    parser.add_argument("--doubtful", action="store_true", help="also what the law leaves open (README.md)")
    parser.add_argument("--punctual", action="store_true", help="nothing is told late, no session overlaps another, no heartbeat ties with what it needs")
    parser.add_argument("--expect", action="store_true", help="also expected/, by oracle.py")
    args = parser.parse_args()
    lines = generate(args.out, args.seed, args.trainees, args.scheme, args.city, args.doubtful, args.punctual)
    print(f"{args.out}: {lines} lines")
    if args.expect:
        from law_readings import Readings
        from oracle import compute, render
        (args.out / "expected").mkdir(exist_ok=True)
        for name, table in compute(args.out, Readings()).items():
            (args.out / "expected" / name).write_bytes(render(table))


if __name__ == "__main__":
    main()
