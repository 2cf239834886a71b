//! From requests to typed values by field name, and from the rules' scores to messages. No SQL.

use std::collections::HashMap;

use shipei_contracts::{
    assessment::v1::{
        CountyScore, GetStatisticsRequest, ItemAdjustment, ItemState, ListStatisticsRequest, Missing,
        ScoreItem, StatisticsBy, TraineeScore, TutorScore,
    },
    common::v1::{EducationStage as StageNumber, Role as RoleNumber},
    decisions::v1::AdjustmentKind,
};
use shipei_rules::{
    counselor::{CountyItem, Hundredths, TaskShare},
    explanation::{self, Adjusted, Item, ItemKey, Need, ReasonCode, Text},
    ids::{ClassId, PersonId, ProgrammeId, SchoolCode, text_of},
    region::RegionCode,
    scheme::Scheme,
    vocabulary::{EducationStage, Role},
};
use shipei_service_kit::{Fields, Result, to_int32, to_timestamp};

use crate::{
    assemble::{counties::CountyRecord, tutors::TutorRecord},
    domain::points::HUNDREDTHS,
    facts::Instant,
    store::lists::TraineeThere,
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

/// The one of a person's roles that is meant; absent for the only one.
pub(crate) fn asked_role(value: i32) -> Result<Option<Role>> {
    let mut fields = Fields::new();
    let asked = fields.optional_choice::<RoleNumber>("role", value);
    let role = match asked {
        Some(Some(number)) if number.known().is_none() => fields.fault("role", "not a role of the notice"),
        asked => asked.map(|asked| asked.and_then(RoleNumber::known)),
    };
    let (role,) = fields.all((role,))?;
    Ok(role)
}

/// Which scores a list is about.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// The programme.
    pub(crate) programme_id: ProgrammeId,
    /// With what lies in it; `None` for any.
    pub(crate) region_code: Option<RegionCode>,
    /// The class; `None` for any.
    pub(crate) class_id: Option<ClassId>,
    /// As of when, if stated.
    pub(crate) as_of: Option<Instant>,
}

/// The filter of a list; what a list does not filter by is given empty.
pub(crate) fn filter(programme_id: &str, region_code: &str, class_id: &str, as_of: Stated) -> Result<Filter> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let region_code = fields.optional_id("region_code", region_code, RegionCode::parse);
    let class_id = fields.optional_id("class_id", class_id, ClassId::parse);
    let as_of = fields.optional_timestamp("as_of", as_of);
    let (programme_id, region_code, class_id, as_of) =
        fields.all((programme_id, region_code, class_id, as_of))?;
    Ok(Filter { programme_id, region_code, class_id, as_of })
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

/// Programme, region, as of when if stated.
pub(crate) fn region(
    programme_id: &str,
    region_code: &str,
    as_of: Stated,
) -> Result<(ProgrammeId, RegionCode, Option<Instant>)> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let region_code = fields.id("region_code", region_code, RegionCode::parse);
    let as_of = fields.optional_timestamp("as_of", as_of);
    fields.all((programme_id, region_code, as_of))
}

/// Programme, as of when if stated.
pub(crate) fn programme_as_of(programme_id: &str, as_of: Stated) -> Result<(ProgrammeId, Option<Instant>)> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let as_of = fields.optional_timestamp("as_of", as_of);
    fields.all((programme_id, as_of))
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

/// How items are said in the answers of one call, as of one time: texts are made once for all who lack the same.
#[derive(Debug, Default)]
pub(crate) struct Wording {
    said: HashMap<Said, ScoreItem>,
}

/// What an item's texts follow from: its key and what is missing of it.
type Said = (ItemKey, Option<(Need, Option<i64>, i64, Instant)>);

impl Wording {
    fn said(&mut self, item: &Item) -> ScoreItem {
        // No two are decided alike.
        if item.adjusted.is_some() {
            return self::item(item);
        }
        let missing = item.missing.map(|missing| (missing.what, missing.have, missing.need, missing.until));
        let said = self.said.entry((item.key, missing)).or_insert_with(|| self::item(item));
        ScoreItem {
            hundredths: to_int32(item.points * HUNDREDTHS),
            evidence: item.evidence.clone().unwrap_or_default(),
            evidence_time: item.at.map(to_timestamp),
            ..said.clone()
        }
    }
}

/// A trainee's score as a message.
pub(crate) fn trainee_score(
    there: TraineeThere,
    score: &shipei_rules::trainee::TraineeScore,
    at: AsOf,
    wording: &mut Wording,
) -> TraineeScore {
    TraineeScore {
        person_id: there.person_id.into(),
        county_code: text_of(there.county_code.as_ref()).to_owned(),
        class_id: there.class_id.map(String::from).unwrap_or_default(),
        items: score.items.iter().map(|item| wording.said(item)).collect(),
        total: to_int32(score.total),
        passed: score.passed,
        as_of: Some(to_timestamp(at.as_of)),
        scheme_version: to_int32(at.scheme_version),
    }
}

/// A tutor's score as a message.
pub(crate) fn tutor_score(
    person_id: &PersonId,
    tutor: &TutorRecord,
    score: &shipei_rules::tutor::TutorScore,
    at: AsOf,
) -> TutorScore {
    let choice_note = explanation::joined(&score.choice_note);
    TutorScore {
        person_id: person_id.to_string(),
        class_ids: tutor.classes.iter().map(|class| class.class_id.to_string()).collect(),
        items: score.items.iter().map(item).collect(),
        total: to_int32(score.total),
        qualified: score.qualified,
        late_weeks: to_int32(score.late_weeks),
        disqualified: score.disqualified,
        eligible: score.eligible,
        excellent: score.excellent,
        flags: score.flags.iter().map(|flag| flag.as_str().to_owned()).collect(),
        choice_note: choice_note.en,
        choice_note_zh: choice_note.zh,
        as_of: Some(to_timestamp(at.as_of)),
        scheme_version: to_int32(at.scheme_version),
    }
}

/// A county's score as a message.
pub(crate) fn county_score(
    scheme: &Scheme,
    county_code: RegionCode,
    counselor_ids: Vec<PersonId>,
    county: &CountyRecord,
    at: AsOf,
) -> CountyScore {
    let score = &county.score;
    CountyScore {
        county_code: county_code.to_string(),
        counselor_ids: counselor_ids.into_iter().map(String::from).collect(),
        active_trainees: to_int32(county.facts.active),
        applicable: score.applicable,
        registration_login_hundredths: to_int32(score.registration_login.0),
        offline_hundredths: to_int32(score.offline.0),
        total_hundredths: to_int32(score.total.0),
        items: county_items(scheme, &county.score),
        scores_not_distinct: score.scores_not_distinct,
        as_of: Some(to_timestamp(at.as_of)),
        scheme_version: to_int32(at.scheme_version),
    }
}

/// Each task's and each offline item's share of its part. The shares are rounded one by one, so their sum may differ
/// from the part by some hundredths.
pub(crate) fn county_items(scheme: &Scheme, score: &shipei_rules::counselor::CountyScore) -> Vec<ScoreItem> {
    let rules = &scheme.counselor;
    let mut items = Vec::with_capacity(score.tasks.len() + score.items.len());
    let tasks = i64::try_from(score.tasks.len()).unwrap_or(i64::MAX);
    for share in &score.tasks {
        items.push(task_item(scheme, share, tasks));
    }
    let offline = i64::try_from(score.items.len()).unwrap_or(i64::MAX);
    let max = Hundredths::of_share(rules.offline.points, 1, offline).0;
    for item in &score.items {
        items.push(offline_item(item, max));
    }
    items
}

fn task_item(scheme: &Scheme, share: &TaskShare, tasks: i64) -> ScoreItem {
    let points = scheme.counselor.registration_login.points;
    let explanation = share.explanation();
    ScoreItem {
        hundredths: to_int32(Hundredths::of_share(points, share.done, tasks * share.active).0),
        max_hundredths: to_int32(Hundredths::of_share(points, 1, tasks).0),
        state: item_state(share.state).into(),
        explanation: explanation.en,
        explanation_zh: explanation.zh,
        missing: share.missing.as_ref().map(missing),
        ..named(share.key(), &share.clause)
    }
}

fn offline_item(item: &CountyItem, max_hundredths: i64) -> ScoreItem {
    let earned = item.state == explanation::ItemState::Earned;
    let (reason, explanation) = explained(item.reason);
    ScoreItem {
        hundredths: if earned { to_int32(max_hundredths) } else { 0 },
        max_hundredths: to_int32(max_hundredths),
        state: item_state(item.state).into(),
        reason,
        explanation: explanation.en,
        explanation_zh: explanation.zh,
        evidence_time: item.at.map(to_timestamp),
        missing: item.missing.as_ref().map(missing),
        ..named(item.key(), &item.clause)
    }
}

fn item(item: &Item) -> ScoreItem {
    let (reason, mut explanation) = explained(item.reason);
    let adjustment = item.adjusted.as_ref().map(|adjusted| adjustment(adjusted, item.points));
    if let Some(adjusted) = &item.adjusted {
        explanation = adjusted.text(item.points);
    }
    ScoreItem {
        hundredths: to_int32(item.points * HUNDREDTHS),
        max_hundredths: to_int32(item.max_points * HUNDREDTHS),
        state: item_state(item.state).into(),
        reason,
        explanation: explanation.en,
        explanation_zh: explanation.zh,
        evidence: item.evidence.clone().unwrap_or_default(),
        evidence_time: item.at.map(to_timestamp),
        missing: item.missing.as_ref().map(missing),
        adjustment,
        ..named(item.key, &item.clause)
    }
}

fn adjustment(adjusted: &Adjusted, points: i64) -> ItemAdjustment {
    let (text, decided) = (adjusted.text(points), &adjusted.adjustment);
    ItemAdjustment {
        computed_hundredths: to_int32(adjusted.computed * HUNDREDTHS),
        kind: AdjustmentKind::from(decided.kind).into(),
        decided_by: decided.by.clone(),
        decided_time: Some(to_timestamp(decided.decided_at)),
        expires_time: decided.expires_at.map(to_timestamp),
        fact_id: decided.fact_id.clone(),
        text: text.en,
        text_zh: text.zh,
    }
}

fn named(key: ItemKey, clause: &Text) -> ScoreItem {
    let title = key.title();
    ScoreItem {
        name: key.to_string(),
        name_zh: title.zh,
        name_en: title.en,
        clause: clause.en.clone(),
        clause_zh: clause.zh.clone(),
        ..ScoreItem::default()
    }
}

/// A reason's code and text; empty where there is none.
fn explained(reason: Option<ReasonCode>) -> (String, Text) {
    let code = reason.map_or("", ReasonCode::as_str).to_owned();
    (code, explanation::joined(reason.as_slice()))
}

fn missing(missing: &explanation::Missing) -> Missing {
    let text = missing.text();
    Missing {
        what: missing.what.as_str().to_owned(),
        have: missing.have.map(to_int32),
        need: to_int32(missing.need),
        unit: missing.what.unit().as_str().to_owned(),
        until_time: Some(to_timestamp(missing.until)),
        text: text.en,
        text_zh: text.zh,
    }
}

fn item_state(state: explanation::ItemState) -> ItemState {
    match state {
        explanation::ItemState::Earned => ItemState::Earned,
        explanation::ItemState::Pending => ItemState::Pending,
        explanation::ItemState::Missed => ItemState::Missed,
    }
}

/// Whose statistics are asked for.
#[derive(Debug, Clone)]
pub(crate) struct StatisticsFilter {
    /// The programme.
    pub(crate) programme_id: ProgrammeId,
    /// The region, if one is named.
    pub(crate) region_code: Option<RegionCode>,
    /// The school, if one is named.
    pub(crate) school_code: Option<SchoolCode>,
    /// The class, if one is named.
    pub(crate) class_id: Option<ClassId>,
    /// Only this stage.
    pub(crate) stage: Option<EducationStage>,
}

/// At most one of region, school and class.
pub(crate) fn statistics(request: &GetStatisticsRequest) -> Result<StatisticsFilter> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let region_code = fields.optional_id("region_code", &request.region_code, RegionCode::parse);
    let school_code = fields.optional_id("school_code", &request.school_code, SchoolCode::parse);
    let class_id = fields.optional_id("class_id", &request.class_id, ClassId::parse);
    let stage = fields.optional_choice::<StageNumber>("education_stage", request.education_stage);
    let named = [&request.region_code, &request.school_code, &request.class_id];
    if named.iter().filter(|name| !name.is_empty()).count() > 1 {
        fields.fault::<()>("region_code", "name one of region_code, school_code and class_id");
    }
    let (programme_id, region_code, school_code, class_id, stage) =
        fields.all((programme_id, region_code, school_code, class_id, stage))?;
    let stage = stage.and_then(StageNumber::known);
    Ok(StatisticsFilter { programme_id, region_code, school_code, class_id, stage })
}

/// Programme, region, stage.
pub(crate) fn statistics_list(request: &ListStatisticsRequest) -> Result<StatisticsFilter> {
    let mut fields = Fields::new();
    let programme_id = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let region_code = fields.optional_id("region_code", &request.region_code, RegionCode::parse);
    let by = fields.optional_choice::<StatisticsBy>("by", request.by);
    let stage = fields.optional_choice::<StageNumber>("education_stage", request.education_stage);
    let (programme_id, region_code, _, stage) = fields.all((programme_id, region_code, by, stage))?;
    let stage = stage.and_then(StageNumber::known);
    Ok(StatisticsFilter { programme_id, region_code, school_code: None, class_id: None, stage })
}
