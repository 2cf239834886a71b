"""python3 try_readings.py SEASON_DIR...   (each with expected/)

Tries every alternative reading of law_readings.py, one at a time, and says which
files of which season refute it. What no season refutes is not decided by them."""
from __future__ import annotations

import sys
from pathlib import Path

from law_readings import READINGS, Readings
from oracle import compute, render


def differences(season: Path, readings: Readings) -> list[str]:
    """file(+line of the first difference) for every file that differs from expected/."""
    out = []
    for name, table in compute(season, readings).items():
        want = (season / "expected" / name).read_bytes().splitlines()
        got = render(table).splitlines()
        changed = [i for i in range(max(len(want), len(got))) if want[i:i + 1] != got[i:i + 1]]
        if changed:
            first = (want[changed[0]:changed[0] + 1] or [b"(nothing)"])[0].decode()
            out.append(f"{name} ({len(changed)} rows; first wanted: {first})")
    return out


def main(seasons: list[Path]) -> None:
    for season in seasons:
        print(f"as taken: {season.name}: {differences(season, Readings()) or 'byte for byte'}")
    for name, (taken, others, question) in READINGS.items():
        for other in others:
            try:
                found = {s.name: differences(s, Readings({name: other})) for s in seasons}
            except Exception as error:  # an alternative may be impossible
                found = {"": [f"cannot run: {error!r}"]}
            refuted = "; ".join(f"{s}: {', '.join(d)}" for s, d in found.items() if d)
            print(f"{'REFUTED ' if refuted else 'UNDECIDED'} {name}={other} (taken: {taken}) - {question}"
                  + (f"\n          {refuted}" if refuted else ""))


if __name__ == "__main__":
    main([Path(arg) for arg in sys.argv[1:]])
