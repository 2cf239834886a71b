//! Puts what the services said into words: who, the total, the items. Pure; study and the time line are in `study`.

use chrono::Datelike as _;
use prost_types::Timestamp;
use shipei_contracts::{
    assessment::v1::{CountyScore, ItemAdjustment, ItemState, ScoreItem, TraineeScore, TutorScore},
    learning::v1::PhaseProgress,
};
use shipei_rules::calendar::Zone;

use super::{
    Language,
    facts::{Facts, Score},
    sheet::{Decided, Line, Named, Sheet},
    words,
};
use crate::ask::{instant, local_minute};

/// What an item needs, as codes of the contract.
const STUDY: &str = "STUDY";
/// Its explanation has the same figures.
const TRAINEES: &str = "TRAINEES";

/// What every part of a sheet needs.
pub(super) struct Writer<'a> {
    pub(super) facts: &'a Facts,
    pub(super) language: Language,
    pub(super) zone: Zone,
    /// The programme's year, which a day needs not say.
    pub(super) year: i32,
}

impl Sheet {
    /// Puts facts into words.
    pub(super) fn of(facts: &Facts, language: Language) -> Self {
        let zone = facts.scheme.zone;
        let year = zone.day_of(facts.scheme.trainee.assignment.period.from).year();
        let writer = Writer { facts, language, zone, year };
        let mut sheet = match &facts.score {
            Score::Trainee(score) => writer.trainee(score),
            Score::Withdrawn => Sheet {
                verdict: language.pick("已退出培训，不计成绩", "has withdrawn, and has no score").to_owned(),
                ..Sheet::default()
            },
            Score::Tutor(score) => writer.tutor(score),
            Score::County(score) => writer.county(score),
        };
        sheet.programme.clone_from(&facts.programme.title);
        sheet.who = writer.who();
        sheet.study = facts.study.as_ref().map(|study| writer.study(study));
        sheet
    }
}

impl Writer<'_> {
    fn who(&self) -> Vec<Named> {
        let mut who = Vec::new();
        let mut add = |zh, en, value: String| {
            if !value.is_empty() {
                who.push(Named { label: self.language.pick(zh, en), value });
            }
        };
        if let Some(person) = &self.facts.person {
            add("姓名", "name", person.name.clone());
            add("编号", "id", person.person_id.clone());
            add("县（区）", "county", self.region(&person.county_code));
            let class = match self.facts.class_name.is_empty() {
                true => person.class_id.clone(),
                false => format!("{} {}", self.facts.class_name, person.class_id),
            };
            add("班级", "class", class);
        }
        if let Score::County(score) = &self.facts.score {
            if self.facts.person.is_none() {
                add("县（区）", "county", self.region(&score.county_code));
            }
            add("辅导员", "counselors", score.counselor_ids.join("、"));
            add("参训教师", "trainees", score.active_trainees.to_string());
        }
        if let Score::Tutor(score) = &self.facts.score {
            add("任教班级", "classes", score.class_ids.join("、"));
        }
        who
    }

    fn region(&self, code: &str) -> String {
        match self.facts.regions.get(code) {
            Some(name) => format!("{name} {code}"),
            None => code.to_owned(),
        }
    }

    fn trainee(&self, score: &TraineeScore) -> Sheet {
        let pass = self.facts.scheme.trainee.pass_total;
        let seminar = self.facts.scheme.trainee.seminar_required;
        let mut notes = Vec::new();
        if seminar {
            let text = self.language.pick("合格还须参加班级研修活动", "the seminar is needed to pass");
            notes.push(text.to_owned());
        }
        Sheet {
            as_of: self.moment(score.as_of.as_ref()),
            total: score.total.to_string(),
            verdict: match (self.language, score.passed) {
                (Language::Zh, true) => format!("合格（{pass}分及格）"),
                (Language::Zh, false) => format!("未合格（{pass}分及格）"),
                (Language::En, true) => format!("passed ({pass} to pass)"),
                (Language::En, false) => format!("not passed ({pass} to pass)"),
            },
            is_good: score.passed,
            items: self.lines(&score.items),
            time_line: self.time_line(&score.items, score.as_of.as_ref()),
            notes,
            ..Sheet::default()
        }
    }

    fn tutor(&self, score: &TutorScore) -> Sheet {
        let pass = self.facts.scheme.tutor.qualify_total;
        let mut notes = Vec::new();
        let limit = self.facts.scheme.tutor.marking.late_week.disqualify_at;
        notes.push(match self.language {
            Language::Zh => format!("未按时批阅的周数：{}（满{limit}周不得评优）", score.late_weeks),
            Language::En => format!("weeks marked late: {} ({limit} rule out excellence)", score.late_weeks),
        });
        let excellent = match (score.excellent, score.eligible) {
            (true, _) => ("评为优秀辅导教师", "chosen as excellent"),
            (false, true) => ("可评为优秀辅导教师", "may be chosen as excellent"),
            (false, false) => ("不具备评优条件", "may not be chosen as excellent"),
        };
        notes.push(self.language.pick(excellent.0, excellent.1).to_owned());
        let note = self.language.pick(&score.choice_note_zh, &score.choice_note);
        notes.extend((!note.is_empty()).then(|| note.to_owned()));
        notes.extend(score.flags.iter().map(|flag| self.flag(flag)));
        Sheet {
            as_of: self.moment(score.as_of.as_ref()),
            total: score.total.to_string(),
            verdict: match (self.language, score.qualified) {
                (Language::Zh, true) => format!("合格（{pass}分合格）"),
                (Language::Zh, false) => format!("不合格（{pass}分合格）"),
                (Language::En, true) => format!("qualified ({pass} to qualify)"),
                (Language::En, false) => format!("not qualified ({pass} to qualify)"),
            },
            is_good: score.qualified,
            items: self.lines(&score.items),
            time_line: self.time_line(&score.items, score.as_of.as_ref()),
            notes,
            ..Sheet::default()
        }
    }

    fn flag(&self, flag: &str) -> String {
        let (zh, en) = match flag {
            "REPORT_TO_CITY" => ("上报市级负责人", "to be reported to the city"),
            "DO_NOT_REHIRE" => ("不再聘用", "not to be hired again"),
            other => (other, other),
        };
        self.language.pick(zh, en).to_owned()
    }

    fn county(&self, score: &CountyScore) -> Sheet {
        let rules = &self.facts.scheme.counselor;
        let (first, second) = (rules.registration_login.points, rules.offline.points);
        let (login, offline) =
            (hundredths(score.registration_login_hundredths), hundredths(score.offline_hundredths));
        let mut notes = vec![match self.language {
            Language::Zh => format!("报名登录 {login}/{first}，线下研修 {offline}/{second}"),
            Language::En => format!("registration and log-in {login}/{first}, offline {offline}/{second}"),
        }];
        if score.scores_not_distinct {
            let text =
                self.language.pick("线下成绩缺乏区分度", "offline scores tell people apart too little");
            notes.push(text.to_owned());
        }
        Sheet {
            as_of: self.moment(score.as_of.as_ref()),
            total: if score.applicable { hundredths(score.total_hundredths) } else { String::new() },
            verdict: match score.applicable {
                true => match self.language {
                    Language::Zh => format!("满分{}分", first + second),
                    Language::En => format!("of {}", first + second),
                },
                false => self
                    .language
                    .pick("没有参训教师，不计成绩", "no active trainees, and so no score")
                    .to_owned(),
            },
            is_good: score.applicable,
            items: self.lines(&score.items),
            notes,
            ..Sheet::default()
        }
    }

    fn lines(&self, items: &[ScoreItem]) -> Vec<Line> {
        items.iter().map(|item| self.line(item)).collect()
    }

    fn line(&self, item: &ScoreItem) -> Line {
        let (state, zh, en) = state_of(item.state());
        Line {
            key: item.name.clone(),
            title: self.language.pick(&item.name_zh, &item.name_en).to_owned(),
            points: hundredths(item.hundredths),
            points_max: hundredths(item.max_hundredths),
            permille: permille(item.hundredths, item.max_hundredths),
            state,
            state_said: self.language.pick(zh, en),
            clause: self.language.pick(&item.clause_zh, &item.clause).to_owned(),
            evidence: self.evidence(item),
            why: self.why(item),
            decided: item.adjustment.as_ref().map(|adjustment| self.decided(adjustment)),
        }
    }

    fn decided(&self, adjustment: &ItemAdjustment) -> Decided {
        Decided {
            computed: hundredths(adjustment.computed_hundredths),
            kind: adjustment.kind().word(),
            by: adjustment.decided_by.clone(),
            when: self.moment(adjustment.decided_time.as_ref()),
            expires: self.moment(adjustment.expires_time.as_ref()),
            reason: self.facts.decided.get(&adjustment.fact_id).cloned().unwrap_or_default(),
            fact_id: adjustment.fact_id.clone(),
        }
    }

    /// 免考：经市级核准按18分计（原计算值12分）；municipal_lead:M1@130300，2019-12-20 10:00；原因：住院
    fn decision(&self, adjustment: &ItemAdjustment) -> String {
        let decided = self.decided(adjustment);
        let mut parts = vec![self.language.pick(&adjustment.text_zh, &adjustment.text).to_owned()];
        parts.push(format!("{}{}{}", decided.by, self.language.pick("，", ", "), decided.when));
        if !decided.expires.is_empty() {
            parts.push(format!("{} {}", self.language.pick("有效至", "until"), decided.expires));
        }
        if !decided.reason.is_empty() {
            parts.push(format!("{}{}", self.language.pick("原因：", "reason: "), decided.reason));
        }
        parts.join(self.language.pick("；", "; "))
    }

    fn evidence(&self, item: &ScoreItem) -> String {
        let when = self.moment(item.evidence_time.as_ref());
        [item.evidence.as_str(), when.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(self.language.pick("，", ", "))
    }

    /// Why it is not earned, with the figures and the deadline; of a phase as a teacher would ask.
    fn why(&self, item: &ScoreItem) -> String {
        if let Some(adjustment) = &item.adjustment {
            return self.decision(adjustment);
        }
        if item.state() == ItemState::Earned {
            return String::new();
        }
        let mut parts = Vec::new();
        let reason = self.language.pick(&item.explanation_zh, &item.explanation);
        if !reason.is_empty() {
            parts.push(reason.to_owned());
        }
        if let Some(study) = self.study_text(item) {
            parts.push(study);
        } else if let Some(missing) = item.missing.as_ref().filter(|missing| missing.what != TRAINEES) {
            let text = self.language.pick(&missing.text_zh, &missing.text);
            parts.extend((!text.is_empty()).then(|| text.to_owned()));
        }
        let until = instant(item.missing.as_ref().and_then(|missing| missing.until_time.as_ref()));
        if let Some(until) = until {
            parts.push(words::deadline(until, self.zone, self.year, self.language));
        }
        parts.join(self.language.pick("；", "; "))
    }

    /// 已学891分钟，还差109分钟: of a phase that needs study. What learning-progress says is of now, so a sheet as of another
    /// time says only what assessment knows of that time, in the steps in which it is told.
    fn study_text(&self, item: &ScoreItem) -> Option<String> {
        let missing = item.missing.as_ref().filter(|missing| missing.what == STUDY)?;
        let study = self.facts.study.as_ref().filter(|_| self.facts.is_of_now);
        let progress =
            study.and_then(|study| study.progress.phases.iter().find(|phase| phase.phase == item.name));
        let there = progress.map(|phase| phase.credited_seconds).or(missing.have)?;
        Some(words::phase(there, missing.need, progress.and_then(main_line_left), self.language))
    }

    /// A local time to the minute.
    pub(super) fn moment(&self, at: Option<&Timestamp>) -> String {
        local_minute(at, self.zone)
    }
}

/// Main-line courses of a phase that are still to be completed, where any count.
pub(super) fn main_line_left(phase: &PhaseProgress) -> Option<i32> {
    (phase.main_line_courses > 0).then(|| phase.main_line_courses - phase.main_line_complete)
}

pub(super) fn state_of(state: ItemState) -> (&'static str, &'static str, &'static str) {
    match state {
        ItemState::Earned => ("earned", "已得分", "earned"),
        ItemState::Missed => ("missed", "未得分", "missed"),
        ItemState::Pending | ItemState::Unspecified => ("pending", "进行中", "pending"),
    }
}

/// Hundredths as decimals; whole points without.
pub(crate) fn hundredths(value: i32) -> String {
    if value % 100 == 0 { (value / 100).to_string() } else { format!("{}.{:02}", value / 100, value % 100) }
}

pub(super) fn permille(part: i32, whole: i32) -> i32 {
    if whole <= 0 {
        return 0;
    }
    let permille = i64::from(part) * 1_000 / i64::from(whole);
    i32::try_from(permille.clamp(0, 1_000)).unwrap_or(1_000)
}
