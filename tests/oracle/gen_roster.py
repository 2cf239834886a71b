"""Regions, schools, classes, courses and people: synthetic, with true check digits."""
from __future__ import annotations

import csv
import random
from pathlib import Path

import gen_schemes
from gen_world import Class_, Course, County, Trainee, World

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂华松红玉梅英慧宁浩"
SUBJECTS = {"compulsory": ["语文", "数学", "英语", "物理"], "non_compulsory": ["学前教育", "语文", "数学"]}
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_digit(first17: str) -> str:
    """GB 11643."""
    return "10X98765432"[sum(int(d) * w for d, w in zip(first17, WEIGHTS)) % 11]


class Roster:
    """Invents the roster and writes roster/*.csv."""

    def __init__(self, world: World, trainees: int) -> None:
        self.w, self.dice = world, world.dice
        self.rows: list[list[object]] = []
        self.serials: dict[str, int] = {}
        self.schools: list[tuple[str, str, str]] = []
        self.letter = self.dice.choice(("T", "R", "P", "TR-"))
        self.make_counties(trainees)
        self.make_courses()
        self.make_staff()
        self.make_classes(trainees)
        self.both: set[str] = set()  # who are tutors and trainees
        self.make_trainees(trainees)
        self.nobodys: list[Class_] = []
        if world.scheme.get("_odd_roster"):
            self.make_odd()

    def name(self) -> str:
        return self.dice.choice(SURNAMES) + "".join(self.dice.choice(GIVEN) for _ in range(self.dice.randint(1, 2)))

    def id_number(self, area: str) -> str:
        birth = f"{self.dice.randint(1962, 1998)}{self.dice.randint(1, 12):02d}{self.dice.randint(1, 28):02d}"
        serial = self.serials[area + birth] = self.serials.get(area + birth, 0) + 1
        first17 = f"{area}{birth}{serial:03d}"
        return first17 + check_digit(first17)

    def person(self, who: str, role: str, area: str, county: str, *rest: str) -> None:
        extra = list(rest) + [""] * (5 - len(rest))
        self.rows.append([who, self.name(), self.id_number(area), role, county, *extra])

    def make_counties(self, trainees: int) -> None:
        found = gen_schemes.counties(self.w.scheme)
        count = min(len(found), 4 if trainees < 600 else len(found)) if len(found) > 3 else len(found)
        fates = ["open"] * count
        fates[-1] = "late"
        if count >= 3:
            fates[1] = "unreported" if self.w.chance(0.5) else "unremitted"
        if count >= 5:
            fates[2] = "unremitted" if fates[1] == "unreported" else "unreported"
        for (code, name), fate in zip(found, fates):
            self.w.counties.append(County(code, name, fate))
            for n in range(self.dice.randint(2, 4)):
                kind = "幼儿园" if n == 2 else "中学" if n == 3 else "小学"
                self.schools.append((f"{code}S{n}", f"{name}第{n + 1}{kind}", code))

    def make_courses(self) -> None:
        need = {"public": 0, "it_integration": 0, "professional": 0}
        for entry in self.w.scheme["trainee"].get("online", ()):
            share = {"public": 0.25, "it_integration": 0.3, "professional": 0.6} if len(entry["categories"]) > 1 else {}
            for category in entry["categories"]:
                need[category] = max(need[category], int(entry["minutes"] * share.get(category, 1)))

        need |= self.w.scheme.get("_need", {})

        def add(title: str, category: str, main: bool, minutes: int, subject: str = "", stage: str = "") -> None:
            self.w.courses.append(Course(f"C{len(self.w.courses) + 1:03d}", title, category, main, max(5, minutes), subject, stage))

        for n, title in enumerate(("师德修养", "法治教育", "信息技术素养", "专业理念")):
            add(title, "public", True, need["public"] * 9 // 40 + n)
        for n in range(3):
            add(f"综合素养选修{n + 1}", "public", False, need["public"] * 3 // 10)
        for title in ("融合课程设计", "微课制作", "智慧课堂"):
            add(title, "it_integration", True, need["it_integration"] // 3)
        add("数据素养", "it_integration", False, need["it_integration"])
        for stage, subjects in SUBJECTS.items():
            for subject in subjects:
                for n in range(4):
                    add(f"{subject}专业课程{n + 1}", "professional", True, need["professional"] // 4, subject, stage)
                for n in range(2):
                    add(f"{subject}专业选修{n + 1}", "professional", False, need["professional"] // 3, subject, stage)
        add("教育研究方法", "professional", False, need["professional"] // 3, "", "compulsory")
        add("数学文化", "professional", False, need["professional"] // 3, "数学", "")

    def make_staff(self) -> None:
        city = self.w.scheme["_city"]
        for n, subject in enumerate(("语文", "数学", "英语"), 1):
            self.w.experts.append(f"X{n:03d}")
            self.person(f"X{n:03d}", "subject_expert", city, "", "", "", subject)
        self.w.leads.append("M001")
        self.person("M001", "municipal_lead", city, city)
        self.person("I001", "training_institution", city, "")
        for county in self.w.counties:
            for n in range(self.dice.randint(1, 2)):
                who = f"K{county.code}{n + 1}"
                county.counselors.append(who)
                self.person(who, "county_counselor", county.code, county.code)

    def make_classes(self, trainees: int) -> None:
        count = max(3, round(trainees / 40))
        number = 0
        tutor = ""
        for n in range(count):
            if not (tutor and self.w.chance(0.12)):  # else: the last tutor takes a second class
                number += 1
                tutor = f"U{number:04d}"
                self.w.tutors.append(tutor)
                area = self.dice.choice(self.w.counties).code
                self.person(tutor, "class_tutor", area, area)
            self.w.classes.append(Class_(f"L{n + 1:04d}", tutor))

    def make_trainees(self, trainees: int) -> None:
        weight = {"open": 1.0, "late": 0.5, "unreported": 0.12, "unremitted": 0.12}
        weights = [weight[c.fate] for c in self.w.counties]
        # With every second seed some tutors are trainees too, of another's class; with dice of their own, so that the others stay.
        roles = random.Random(f"roles {self.w.seed}")
        often = 0.06 if self.w.seed % 2 else 0
        staff = {row[0]: row for row in self.rows}
        numbers = self.dice.sample(range(1, trainees * 3 + 1), trainees)
        for n, number in enumerate(sorted(numbers)):
            plain = n < 2 * len(self.w.counties)  # every county has some
            county = self.w.counties[n % len(self.w.counties)] if plain else self.dice.choices(self.w.counties, weights)[0]
            stage = self.dice.choices(("compulsory", "non_compulsory"), (7, 3))[0]
            class_ = self.dice.choice(self.w.classes)
            t = Trainee(f"{self.letter}{number:06d}", county, stage, self.dice.choice(SUBJECTS[stage]), class_)
            school = self.dice.choice([s for s in self.schools if s[2] == county.code])[0]
            grade = self.dice.choice(("novice", "developing", "proficient", "expert"))
            others = [who for who in self.w.tutors if who != class_.tutor and who not in self.both]
            is_both = others and roles.random() < often
            if is_both:
                t.id = roles.choice(others)
                self.both.add(t.id)
            self.person(t.id, "trainee", county.code, county.code, school, stage, t.subject, grade, class_.id)
            if is_both:
                self.rows[-1][1:3] = staff[t.id][1:3]  # the same person: name and number
            self.w.trainees.append(t)
            county.trainees.append(t)
            class_.members.append(t)

    def make_odd(self) -> None:
        """Rows that look odd and lose nobody: classes without a tutor, staff with a class, names, schools, numbers."""
        self.nobodys = [Class_("L9998", ""), Class_("L9999", "U-none")]
        rows = {(row[0], row[3]): row for row in self.rows}
        for n, t in enumerate(self.w.trainees[1:], 1):
            row = rows[t.id, "trainee"]
            if t.id in self.both:
                continue
            if n % 23 == 0:
                t.class_.members.remove(t)
                t.class_ = self.nobodys[n % 2]
                row[9] = t.class_.id
            elif n % 19 == 0:
                row[2] = rows[self.w.tutors[0], "class_tutor"][2]  # the tutor's number
            elif n % 17 == 0:
                row[1] = ""
            elif n % 13 == 0:
                row[5] = next(s[0] for s in self.schools if s[2] != t.county.code)
        for c in self.w.classes:
            rows[c.tutor, "class_tutor"][9] = c.id
        self.schools[0] = (self.schools[0][0], "", self.schools[0][2])

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        city = self.w.scheme["_city"]
        name = gen_schemes.CITIES.get(city, "某市")
        regions = [["130000", "河北省", "province", ""], [city, name, "city", "130000"]]
        odd = self.nobodys != []
        regions += [[c.code, c.name, "county", city] for c in self.w.counties]
        if odd:
            regions[-1][3] = "130000"  # directly under the province
        self.table(folder / "regions.csv", "code,name,level,parent_code", regions)
        self.table(folder / "schools.csv", "school_code,name,county_code", self.schools)
        self.table(folder / "classes.csv", "class_id,name,region_code,tutor_id",
                   [[c.id, f"{name}{n}班", city, c.tutor] for n, c in enumerate(self.w.classes, 1)]
                   + [[c.id, "", city, c.tutor] for c in self.nobodys])
        self.table(folder / "courses.csv", "course_id,title,category,main_line,minutes,subject,education_stage",
                   [[c.id, c.title, c.category, str(c.main_line).lower(), c.minutes, c.subject, c.stage] for c in self.w.courses]
                   + ([["C900", "", "public", "true", 0, "", ""], ["C901", "", "professional", "false", 0, "", ""]] if odd else []))
        self.table(folder / "people.csv", "person_id,name,id_number,role,county_code,school_code,education_stage,subject,"
                   "development_stage,class_id", self.rows)

    @staticmethod
    def table(path: Path, header: str, rows: list) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(header + "\n")
            csv.writer(file, lineterminator="\n").writerows(rows)
