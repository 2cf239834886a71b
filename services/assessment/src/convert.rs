//! From requests to typed values by field name, and from the rules' scores to messages. No SQL.

use shipei_contracts::assessment::v1::{CountyScore, ItemState, ScoreItem, TraineeScore, TutorScore};
use shipei_rules::{
    counselor::{CountyItem, Hundredths, TaskShare},
    explanation::{self, Item, ReasonCode},
    ids::{ClassId, PersonId, ProgrammeId},
    region::RegionCode,
    scheme::{Scheme, Task},
    vocabulary::{EducationStage, OfflineItem},
};
use shipei_service_kit::{Fields, Result, to_int32, to_timestamp};

use crate::{
    assemble::{counties::CountyRecord, tutors::TutorRecord},
    domain::{points::HUNDREDTHS, trainee::TraineeRecord},
    facts::Instant,
};

/// An optional timestamp of a request.
type Stated = Option<prost_types::Timestamp>;

/// Programme, person, as of when if stated.
pub(crate) fn person(
    programme_id: &str,
    person_id: &str,
    as_of: Stated,
) -> Result<(ProgrammeId, PersonId, Option<Instant>)> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let person_id = fields.id("person_id", person_id, PersonId::parse);
    let as_of = fields.optional_timestamp("as_of", as_of);
    fields.all((programme_id, person_id, as_of))
}

/// Which scores a list is about.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// The programme.
    pub(crate) programme_id: ProgrammeId,
    /// As of when, if stated.
    pub(crate) as_of: Option<Instant>,
}

/// The filter of a list, region and class looked at and left as they are; what a list does not filter by is given empty.
pub(crate) fn filter(programme_id: &str, region_code: &str, class_id: &str, as_of: Stated) -> Result<Filter> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let region_code = fields.optional_id("region_code", region_code, RegionCode::parse);
    let class_id = fields.optional_id("class_id", class_id, ClassId::parse);
    let as_of = fields.optional_timestamp("as_of", as_of);
    let (programme_id, _, _, as_of) = fields.all((programme_id, region_code, class_id, as_of))?;
    Ok(Filter { programme_id, as_of })
}

/// Programme, county, as of when if stated.
pub(crate) fn county(
    programme_id: &str,
    county_code: &str,
    as_of: Stated,
) -> Result<(ProgrammeId, RegionCode, Option<Instant>)> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let county_code = fields.id("county_code", county_code, RegionCode::parse);
    let as_of = fields.optional_timestamp("as_of", as_of);
    fields.all((programme_id, county_code, as_of))
}

/// A programme alone.
pub(crate) fn programme(programme_id: &str) -> Result<ProgrammeId> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let (programme_id,) = fields.all((programme_id,))?;
    Ok(programme_id)
}

/// As of when, and by which version of the scheme.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsOf {
    /// As of when.
    pub(crate) as_of: Instant,
    /// The version of the scheme.
    pub(crate) scheme_version: i64,
}

/// A trainee's score as a message.
pub(crate) fn trainee_score(
    trainee: &TraineeRecord,
    score: &shipei_rules::trainee::TraineeScore,
    at: AsOf,
) -> TraineeScore {
    let place = trainee.places.at(at.as_of);
    TraineeScore {
        person_id: trainee.person_id.clone(),
        county_code: place.county_code.clone(),
        class_id: place.class_id.clone(),
        items: score.items.iter().map(item).collect(),
        total: to_int32(score.total),
        passed: score.passed,
        as_of: Some(to_timestamp(at.as_of)),
        scheme_version: to_int32(at.scheme_version),
    }
}

/// A tutor's score as a message.
pub(crate) fn tutor_score(
    person_id: &str,
    tutor: &TutorRecord,
    score: &shipei_rules::tutor::TutorScore,
    at: AsOf,
) -> TutorScore {
    let choice_note: Vec<&str> = score.choice_note.iter().map(|reason| reason.text_en()).collect();
    TutorScore {
        person_id: person_id.to_owned(),
        class_ids: tutor.classes.iter().map(|class| class.class_id.clone()).collect(),
        items: score.items.iter().map(item).collect(),
        total: to_int32(score.total),
        qualified: score.qualified,
        late_weeks: to_int32(score.late_weeks),
        disqualified: score.disqualified,
        eligible: score.eligible,
        excellent: score.excellent,
        flags: score.flags.iter().map(|flag| flag.as_str().to_owned()).collect(),
        choice_note: choice_note.join("; "),
        as_of: Some(to_timestamp(at.as_of)),
        scheme_version: to_int32(at.scheme_version),
    }
}

/// A county's score as a message.
pub(crate) fn county_score(
    scheme: &Scheme,
    county_code: &str,
    counselor_ids: Vec<String>,
    county: &CountyRecord,
    at: AsOf,
) -> CountyScore {
    let score = &county.score;
    CountyScore {
        county_code: county_code.to_owned(),
        counselor_ids,
        active_trainees: to_int32(county.facts.active),
        applicable: score.applicable,
        registration_login_hundredths: to_int32(score.registration_login.0),
        offline_hundredths: to_int32(score.offline.0),
        total_hundredths: to_int32(score.total.0),
        items: county_items(scheme, &county.score, at.as_of),
        scores_not_distinct: score.scores_not_distinct,
        as_of: Some(to_timestamp(at.as_of)),
        scheme_version: to_int32(at.scheme_version),
    }
}

/// Each task's and each offline item's share of its part. The shares are rounded one by one, so their sum may differ
/// from the part by some hundredths.
pub(crate) fn county_items(
    scheme: &Scheme,
    score: &shipei_rules::counselor::CountyScore,
    as_of: Instant,
) -> Vec<ScoreItem> {
    let rules = &scheme.counselor;
    let mut items = Vec::with_capacity(score.tasks.len() + score.items.len());
    let tasks = i64::try_from(score.tasks.len()).unwrap_or(i64::MAX);
    for share in &score.tasks {
        items.push(task_item(scheme, share, tasks, as_of));
    }
    let offline = i64::try_from(score.items.len()).unwrap_or(i64::MAX);
    let max = Hundredths::of_share(rules.offline.points, 1, offline).0;
    for item in &score.items {
        items.push(offline_item(item, max));
    }
    items
}

fn task_item(scheme: &Scheme, share: &TaskShare, tasks: i64, as_of: Instant) -> ScoreItem {
    let points = scheme.counselor.registration_login.points;
    let over = match share.task {
        Task::Login => scheme.login().is_over(as_of),
        Task::Phase(index) => {
            scheme.trainee.online.get(index).is_none_or(|entry| entry.period.is_over(as_of))
        }
        Task::Assignment => scheme.trainee.assignment.period.is_over(as_of),
        Task::Seminar => scheme.trainee.seminar.period.is_over(as_of),
    };
    let state = match (share.done >= share.active, over) {
        (true, _) => ItemState::Earned,
        (false, true) => ItemState::Missed,
        (false, false) => ItemState::Pending,
    };
    let name = share.task.to_string();
    ScoreItem {
        name_zh: format!("按时{}", name_zh(&name)),
        name,
        hundredths: to_int32(Hundredths::of_share(points, share.done, tasks * share.active).0),
        max_hundredths: to_int32(Hundredths::of_share(points, 1, tasks).0),
        state: state.into(),
        explanation: format!("{} of {} active trainees on time", share.done, share.active),
        explanation_zh: format!("{}名参训教师中{}名按时完成", share.active, share.done),
        clause: share.clause.to_owned(),
        ..ScoreItem::default()
    }
}

fn offline_item(item: &CountyItem, max_hundredths: i64) -> ScoreItem {
    let earned = item.state == explanation::ItemState::Earned;
    let (stage, stage_zh) = match item.stage {
        EducationStage::Compulsory => ("compulsory", "义务教育"),
        EducationStage::NonCompulsory => ("non_compulsory", "非义务教育"),
    };
    let item_zh = match item.item {
        OfflineItem::Plan => "线下研修活动方案",
        OfflineItem::Activity => "线下研修活动",
        OfflineItem::Scoring => "线下研修活动成绩评定",
        OfflineItem::Results => "线下研修活动成果",
    };
    ScoreItem {
        name: format!("{}:{stage}", item.item),
        name_zh: format!("{item_zh}（{stage_zh}）"),
        hundredths: if earned { to_int32(max_hundredths) } else { 0 },
        max_hundredths: to_int32(max_hundredths),
        state: item_state(item.state).into(),
        clause: item.clause.to_owned(),
        evidence_time: item.at.map(to_timestamp),
        ..explained(item.reason)
    }
}

fn item(item: &Item) -> ScoreItem {
    ScoreItem {
        name: item.name.clone(),
        name_zh: name_zh(&item.name),
        hundredths: to_int32(item.points * HUNDREDTHS),
        max_hundredths: to_int32(item.max_points * HUNDREDTHS),
        state: item_state(item.state).into(),
        clause: item.clause.to_owned(),
        evidence: item.evidence.clone().unwrap_or_default(),
        evidence_time: item.at.map(to_timestamp),
        ..explained(item.reason)
    }
}

fn explained(reason: Option<ReasonCode>) -> ScoreItem {
    let Some(reason) = reason else { return ScoreItem::default() };
    ScoreItem {
        reason: reason.as_str().to_owned(),
        explanation: reason.text_en().to_owned(),
        explanation_zh: reason.text_zh().to_owned(),
        ..ScoreItem::default()
    }
}

fn item_state(state: explanation::ItemState) -> ItemState {
    match state {
        explanation::ItemState::Earned => ItemState::Earned,
        explanation::ItemState::Pending => ItemState::Pending,
        explanation::ItemState::Missed => ItemState::Missed,
    }
}

/// What an item is called in Chinese.
fn name_zh(name: &str) -> String {
    if let Some(number) = name.strip_prefix("phase_") {
        return format!("网络研修第{number}阶段");
    }
    if let Some(number) = name.strip_prefix("bulletin_") {
        return format!("第{number}期班级简报");
    }
    let name = match name {
        "login" => "登录",
        "assignment" => "提交实践性作业",
        "seminar" => "班级研修活动",
        "offline" => "线下研修活动",
        "marking" => "批阅实践性作业",
        other => other,
    };
    name.to_owned()
}
