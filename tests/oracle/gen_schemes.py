"""Schemes for synthetic seasons: the notice's (qinhuangdao) and others that bend every number."""
from __future__ import annotations

import copy
import re
from datetime import date, timedelta

COUNTIES = {
    "130100": [("130102", "长安区"), ("130104", "桥西区"), ("130105", "新华区"), ("130108", "裕华区"), ("130109", "藁城区")],
    "130200": [("130202", "路南区"), ("130203", "路北区"), ("130204", "古冶区"), ("130205", "开平区"), ("130207", "丰南区"),
               ("130208", "丰润区"), ("130224", "滦南县")],
    "130300": [("130302", "海港区"), ("130303", "山海关区"), ("130304", "北戴河区"), ("130306", "抚宁区"),
               ("130321", "青龙满族自治县"), ("130322", "昌黎县"), ("130324", "卢龙县")],
    "130700": [("130702", "桥东区"), ("130703", "桥西区"), ("130705", "宣化区"), ("130706", "下花园区")],
}
CITIES = {"130100": "石家庄市", "130200": "唐山市", "130300": "秦皇岛市", "130700": "张家口市"}

BASE: dict = {
    "time_zone": "Asia/Shanghai",
    "calendar": {
        "preparation": ("06-20", "07-14"), "reporting": ("07-15", "09-10"), "login": ("09-11", "09-14"),
        "phase_1": ("09-15", "10-30"), "phase_2": ("10-10", "11-30"), "phase_3": ("11-01", "12-10"),
        "phase_4": ("11-20", "12-20"), "offline": ("10-01", "12-10"), "assessment": ("12-21", "12-25"),
        "summary": ("12-26", "12-30"),
    },
    "study": {"heartbeat_max_gap_seconds": 120, "cap_course_at_duration": True, "daily_cap_minutes": 0},
    "trainee": {
        "pass_total": 80, "seminar_required": True,
        "online": [
            {"window": "phase_1", "categories": ["public"], "minutes": 200, "points": 10},
            {"window": "phase_2", "categories": ["professional", "it_integration"], "minutes": 1000, "points": 40,
             "requires_previous": True},
        ],
        "assignment": {"window": "phase_3", "review_until": "phase_4",
                       "kinds": ["lesson_plan", "teaching_case", "micro_lesson", "offline_outcome"],
                       "points": {"excellent": 30, "pass": 20, "fail": 0}},
        "seminar": {"window": "phase_4", "points": 10, "min_characters": 300},
        "offline": {"window": "offline", "min_score": 1, "max_score": 10,
                    "distinct": {"from_participants": 10, "min_distinct_scores": 2}},
    },
    "tutor": {
        "qualify_total": 100,
        "marking": {"points": 60, "late_week": {"from": "11-01", "disqualify_at": 3, "grace_hours": 0}},
        "bulletin": [{"number": 1, "window": "phase_1", "points": 10}, {"number": 2, "window": "phase_2", "points": 10},
                     {"number": 3, "window": "phase_4", "points": 10}],
        "seminar": {"window": "phase_4", "points": 10},
    },
    "counselor": {
        "registration_login": {"points": 70, "tasks": ["login", "phase_1", "phase_2", "assignment", "seminar"]},
        "offline": {"points": 30, "window": "offline", "items": ["plan", "activity", "scoring", "results"],
                    "stages": ["compulsory", "non_compulsory"]},
    },
}


def _merge(into: dict, change: dict) -> dict:
    for key, value in change.items():
        if value is None:
            del into[key]
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
    return into


# what differs from BASE; "_" keys are the generator's
VARIANTS: dict[str, dict] = {
    "qinhuangdao": {"_city": "130300", "_year": 2019, "_counties": 7},
    # three counties, a daily cap, a category in two overlapping entries, no required seminar, grace, 2 weeks
    "variant-a": {
        "_city": "130200", "_year": 2021, "_counties": 3,
        "calendar": {"phase_1": ("09-15", "10-20"), "phase_2": ("10-05", "11-25")},
        "study": {"daily_cap_minutes": 240},
        "trainee": {
            "pass_total": 70, "seminar_required": False,
            "online": [
                {"window": "phase_1", "categories": ["public", "it_integration"], "minutes": 240, "points": 15},
                {"window": "phase_2", "categories": ["it_integration", "professional"], "minutes": 800, "points": 35,
                 "requires_previous": True},
            ],
            "assignment": {"kinds": ["lesson_plan", "micro_lesson"], "points": {"excellent": 30, "pass": 22, "fail": 5}},
            "seminar": {"min_characters": 120},
        },
        "tutor": {"marking": {"late_week": {"from": "11-03", "disqualify_at": 2, "grace_hours": 36}}},
        "counselor": {"registration_login": {"tasks": ["login", "phase_1", "phase_2", "assignment"]}},
    },
    # three entries in a chain, no course cap, another zone and gap, two bulletins, items and points apart
    "variant-b": {
        "_city": "130700", "_year": 2022, "_counties": 4, "time_zone": "Asia/Urumqi",
        "calendar": {"phase_2": ("10-01", "11-15"), "phase_3": ("10-20", "12-05"), "phase_4": ("11-10", "12-15"),
                     "extra": ("11-01", "12-12")},
        "study": {"heartbeat_max_gap_seconds": 90, "cap_course_at_duration": False},
        "trainee": {
            "pass_total": 75,
            "online": [
                {"window": "phase_1", "categories": ["public"], "minutes": 150, "points": 10},
                {"window": "phase_2", "categories": ["professional"], "minutes": 500, "points": 25, "requires_previous": True},
                {"window": "extra", "categories": ["it_integration", "professional"], "minutes": 300, "points": 15,
                 "requires_previous": True},
            ],
            "seminar": {"min_characters": 200},
            "offline": {"distinct": {"from_participants": 5, "min_distinct_scores": 3}},
        },
        "tutor": {"qualify_total": 90, "marking": {"late_week": {"from": "10-24", "disqualify_at": 1, "grace_hours": 12}},
                  "bulletin": [{"number": 1, "window": "phase_2", "points": 15}, {"number": 2, "window": "extra", "points": 15}]},
        "counselor": {"registration_login": {"points": 60, "tasks": ["login", "phase_1", "phase_2", "phase_3", "seminar"]},
                      "offline": {"points": 40, "items": ["activity", "scoring", "results"]}},
    },
    # one entry, one stage, a tight daily cap, other scores and points
    "variant-c": {
        "_city": "130100", "_year": 2023, "_counties": 5,
        "study": {"heartbeat_max_gap_seconds": 180, "daily_cap_minutes": 150},
        "trainee": {
            "pass_total": 60,
            "online": [{"window": "phase_2", "categories": ["public", "professional", "it_integration"], "minutes": 600,
                        "points": 40}],
            "assignment": {"points": {"excellent": 35, "pass": 25, "fail": 0}},
            "seminar": {"points": 5, "min_characters": 60},
            "offline": {"min_score": 0, "max_score": 20, "distinct": {"from_participants": 4, "min_distinct_scores": 4}},
        },
        "tutor": {"qualify_total": 80, "marking": {"points": 50, "late_week": {"from": "11-01", "disqualify_at": 3, "grace_hours": 72}},
                  "bulletin": [{"number": 1, "window": "phase_2", "points": 20}], "seminar": {"points": 30}},
        "counselor": {"registration_login": {"points": 80, "tasks": ["login", "phase_1", "seminar"]},
                      "offline": {"points": 20, "stages": ["compulsory"]}},
    },
    # the notice with everything overlapping: public and professional each in two entries, two overlapping windows
    "variant-d": {
        "_city": "130300", "_year": 2020, "_counties": 4,
        "study": {"daily_cap_minutes": 300, "heartbeat_max_gap_seconds": 60},
        "trainee": {"online": [
            {"window": "phase_1", "categories": ["public", "professional"], "minutes": 260, "points": 10},
            {"window": "phase_2", "categories": ["public", "professional", "it_integration"], "minutes": 900, "points": 40,
             "requires_previous": False},
        ]},
        "tutor": {"marking": {"late_week": {"from": "11-04", "disqualify_at": 2, "grace_hours": 168}}},
        "counselor": {"offline": {"items": ["plan", "scoring"], "stages": ["non_compulsory", "compulsory"]}},
    },
    # legal values that look odd: phases in the order of nothing, one of 0 minutes, one out of reach of the daily cap but
    # for its main line, reviews that end before submissions do, pass worth more than excellent, 0 points, an empty post
    "odd-a": {
        "_city": "130300", "_year": 2021, "_counties": 4, "_odd_roster": True,
        "_need": {"public": 40, "it_integration": 40, "professional": 60},
        "calendar": {"login": ("07-10", "09-14"), "marking": ("11-05", "11-24")},
        "study": {"daily_cap_minutes": 30},
        "trainee": {
            "pass_total": 0,
            "online": [
                {"window": "phase_2", "categories": ["professional", "professional"], "minutes": 5000, "points": 0,
                 "requires_previous": True},
                {"window": "phase_1", "categories": ["public"], "minutes": 30, "points": 10, "requires_previous": True},
                {"window": "phase_3", "categories": ["it_integration"], "minutes": 0, "points": 7, "requires_previous": True},
                {"window": "phase_1", "categories": ["it_integration"], "minutes": 0, "points": 3},
            ],
            "assignment": {"review_until": "marking", "kinds": ["教学设计", "Micro lesson", "教学设计"],
                           "points": {"excellent": 5, "pass": 20, "fail": 12}},
            "seminar": {"points": 0, "min_characters": 0},
            "offline": {"distinct": {"from_participants": 2, "min_distinct_scores": 50}},
        },
        "tutor": {"qualify_total": 0, "marking": {"late_week": {"from": "11-01", "disqualify_at": 60, "grace_hours": 500}},
                  "bulletin": []},
        "counselor": {"registration_login": {"tasks": ["phase_3", "login", "phase_2", "assignment"]}},
    },
    # nothing at all where a list may be empty, totals out of reach, offline over before rosters are reported
    "odd-b": {
        "_city": "130200", "_year": 2020, "_counties": 3, "_unquoted": True,
        "trainee": {
            "pass_total": 101, "seminar_required": False, "online": None,
            "assignment": {"points": {"excellent": 0, "pass": 0, "fail": 0}},
            "seminar": {"min_characters": 1},
            "offline": {"window": "preparation", "min_score": 0, "max_score": 0,
                        "distinct": {"from_participants": 0, "min_distinct_scores": 1}},
        },
        "tutor": {"qualify_total": 999, "marking": {"points": 0, "late_week": {"from": "11-01", "disqualify_at": 0, "grace_hours": 0}},
                  "bulletin": None, "seminar": {"points": 0}},
        "counselor": {"registration_login": {"tasks": []}, "offline": {"window": "preparation", "points": 0}},
    },
}


def build(name: str, city: str | None) -> dict:
    """The scheme as a dictionary with real dates; `_year`, `_city`, `_counties` stay for the generator."""
    variant = copy.deepcopy(VARIANTS[name])
    scheme = _merge(copy.deepcopy(BASE), variant)
    scheme["_city"] = city or scheme["_city"]
    year = scheme["_year"]
    scheme["calendar"] = {k: tuple(f"{year}-{d}" for d in pair) for k, pair in scheme["calendar"].items()}
    late = scheme["tutor"]["marking"]["late_week"]
    late["from"] = f"{year}-{late['from']}"
    scheme["region"] = scheme["_city"]
    scheme["id"] = f"{name}-{scheme['_city']}-{year}"
    scheme["title"] = f"{CITIES.get(scheme['_city'], '某市')}{year}年中小学校及幼儿园教师全员远程培训"
    return scheme


def counties(scheme: dict) -> list[tuple[str, str]]:
    city = scheme["_city"]
    known = COUNTIES.get(city) or [(f"{city[:4]}{n:02d}", f"第{n}区") for n in range(2, 9)]
    return known[:scheme["_counties"]]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    return '"' + str(value) + '"'


def toml(scheme: dict) -> str:
    """The scheme in the layout of design/qinhuangdao-2019.toml, or with TOML's own dates."""
    inline = {"points", "distinct", "late_week"}
    lines: list[str] = []

    def table(path: str, node: dict) -> None:
        later = []
        for key, value in node.items():
            if key.startswith("_"):
                continue
            nested = isinstance(value, dict) and key not in inline
            if nested or (isinstance(value, list) and value and isinstance(value[0], dict)):
                later.append((f"{path}.{key}" if path else key, value))
            else:
                lines.append(f"{key} = {_value(value)}")
        for name, value in later:
            for item in value if isinstance(value, list) else [value]:
                lines.append(("" if not lines else "\n") + (f"[[{name}]]" if isinstance(value, list) else f"[{name}]"))
                table(name, item)

    top = {k: scheme[k] for k in ("id", "title", "region", "time_zone", "calendar", "study", "trainee", "tutor", "counselor")}
    table("", top)
    text = "\n".join(lines) + "\n"
    return re.sub(r'"(\d{4}-\d\d-\d\d)"', r"\1", text) if scheme.get("_unquoted") else text


def span(scheme: dict, window: str) -> tuple[date, date]:
    """First day, and the day after the last."""
    first, last = scheme["calendar"][window]
    return date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
