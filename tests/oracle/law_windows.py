"""Whose windows end when: extensions (scoring.md, Facts that were wrong). The longest that applies counts. One of a class, a county or a
city is that of who stands there: who joins has it from then on, who leaves has it until then; a window has one end.

Only trainees are read: a season whose extensions would move a window of tutors or counties for others than single persons is refused."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from law_roster import Person, Roster
from law_scheme import Scheme, Window


@dataclass(frozen=True)
class Extension:
    window: str
    last_day: str
    region: str = ""
    klass: str = ""
    person: str = ""


class Windows:
    """The windows of each trainee. `places` are those of the whole season: what comes later says until when somebody has one."""

    def __init__(self, scheme: Scheme, extensions: list[Extension], roster: Roster) -> None:
        self.scheme, self.extensions = scheme, extensions
        self.places = {who: person.places() for who, person in roster.people.items()}
        self.within = {county: above(roster, county) for county in roster.counties}
        others = {rule["window"] for rule in scheme.tutor.get("bulletin", ())}
        others |= {scheme.tutor["seminar"]["window"], scheme.trainee["assignment"]["review_until"], "login", "reporting",
                   scheme.counselor["offline"]["window"], scheme.trainee["offline"]["window"]}
        for extension in extensions:
            if not extension.person and extension.window in others:
                raise ValueError(f"an extension of {extension.window} for more than one trainee")

    def of(self, person: Person, name: str, ids: tuple[str, ...] = ()) -> Window:
        """`ids` are others of the same person: what was granted to one of them is theirs."""
        window = self.scheme.calendar[name]
        end = max([window.end, *(e for one in self.extensions if one.window == name for e in self.ends(one, person, ids))])
        return Window(window.first, end)

    def ends(self, extension: Extension, person: Person, ids: tuple[str, ...]) -> list[int]:
        """When an extension lets a window end for somebody."""
        last = self.scheme.midnight(date.fromisoformat(extension.last_day) + timedelta(days=1))
        if not (extension.region or extension.klass):
            return [last] if extension.person in ("", person.id, *ids) else []
        return [min(last, until) for since, until, county, klass in self.places[person.id]
                if since < min(last, until) and (klass == extension.klass if extension.klass
                                                 else extension.region in self.within.get(county, ()))]


def above(roster: Roster, code: str) -> set[str]:
    """A region and all in which it lies."""
    out = set()
    while code and code not in out:
        out.add(code)
        code = roster.above.get(code, "")
    return out
