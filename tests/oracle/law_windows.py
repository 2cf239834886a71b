"""Whose windows end when: extensions (scoring.md, Facts that were wrong). The longest that applies counts. One of a class, a county or a
city is that of who stands there: who joins has it from then on, who leaves has it until then; a window has one end.

Only trainees are read: a season whose extensions would move a window of tutors or counties for others than single persons is refused."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from law_roster import Person, Roster
from law_scheme import FAR, Scheme, Window


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
        self.scheme, self.extensions, self.roster = scheme, extensions, roster
        self.places = {who: person.places() for who, person in roster.people.items()}
        self.within = {code: above(roster, code) for code in roster.above}
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

    def of_class(self, class_id: str, name: str, tutors: tuple[str, ...]) -> Window:
        """A window as a class and who guides it have it."""
        places, since = [], -FAR
        for until, region in [*self.roster.regions_before.get(class_id, ()), (FAR, self.roster.region_of[class_id])]:
            places.append((since, until, region, class_id))
            since = until
        return self._later(name, places, tutors)

    def of_region(self, region: str, name: str) -> Window:
        """A window as a county, or a city, has it; what is nobody's is the programme's."""
        return self._later(name, [(-FAR, FAR, region, "")], ())

    def _later(self, name: str, places: list[tuple[int, int, str, str]], ids: tuple[str, ...]) -> Window:
        window = self.scheme.calendar[name]
        ends = (end for one in self.extensions if one.window == name for end in self.reached(one, places, ids))
        return Window(window.first, max([window.end, *ends]))

    def ends(self, extension: Extension, person: Person, ids: tuple[str, ...]) -> list[int]:
        """When an extension lets a window end for somebody."""
        return self.reached(extension, self.places[person.id], (person.id, *ids))

    def reached(self, extension: Extension, places: list[tuple[int, int, str, str]], ids: tuple[str, ...]) -> list[int]:
        last = self.scheme.midnight(date.fromisoformat(extension.last_day) + timedelta(days=1))
        if not (extension.region or extension.klass):
            return [last] if extension.person in ("", *ids) else []
        return [min(last, until) for since, until, county, klass in places
                if since < min(last, until) and (klass == extension.klass if extension.klass
                                                 else extension.region in self.within.get(county, ()))]


def above(roster: Roster, code: str) -> set[str]:
    """A region and all in which it lies."""
    out = set()
    while code and code not in out:
        out.add(code)
        code = roster.above.get(code, "")
    return out
