//! From requests to commands, by field name, and from state to answers. No SQL, no decisions. To add a request: its
//! command and its function here; every text and list has a limit from this file.

use chrono::{DateTime, Utc};
use shipei_contracts::{common::v1::EducationStage as ProtoStage, offline::v1 as proto};
use shipei_rules::{
    ids::{ActivityId, PersonId, ProgrammeId},
    region::RegionCode,
    vocabulary::EducationStage,
};
use shipei_service_kit::{
    Result,
    convert::{Fields, to_int32, to_timestamp},
};

use crate::domain::{Activity, Attendance, Plan, Results};

/// The most characters of a title or theme.
const TITLE_CHARS_MAX: usize = 2_000;
/// The most scores in one ScoreAttendees.
const SCORES_PER_CALL_MAX: usize = 1_000;
/// The most people in one RecordAttendance.
pub(crate) const PERSONS_PER_CALL_MAX: usize = 100_000;

/// SubmitPlan or SubmitResults.
#[derive(Debug, Clone)]
pub(crate) struct CountyPaper {
    pub(crate) programme: ProgrammeId,
    pub(crate) counselor: PersonId,
    pub(crate) county: RegionCode,
    pub(crate) stage: EducationStage,
    pub(crate) title: String,
}

/// Reads a SubmitPlan.
pub(crate) fn plan(request: &proto::SubmitPlanRequest) -> Result<CountyPaper> {
    let ids = (request.programme_id.as_str(), request.counselor_id.as_str());
    county_paper(ids, &request.county_code, request.education_stage, &request.title)
}

/// Reads a SubmitResults.
pub(crate) fn results(request: &proto::SubmitResultsRequest) -> Result<CountyPaper> {
    let ids = (request.programme_id.as_str(), request.counselor_id.as_str());
    county_paper(ids, &request.county_code, request.education_stage, &request.title)
}

fn county_paper(
    (programme_id, counselor_id): (&str, &str),
    county_code: &str,
    education_stage: i32,
    text: &str,
) -> Result<CountyPaper> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let counselor = fields.id("counselor_id", counselor_id, PersonId::parse);
    let county = fields.id("county_code", county_code, RegionCode::parse);
    let stage = stage(&mut fields, education_stage);
    let title = title(&mut fields, "title", text);
    let (programme, counselor, county, stage, title) =
        fields.all((programme, counselor, county, stage, title))?;
    Ok(CountyPaper { programme, counselor, county, stage, title })
}

/// HoldActivity.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) programme: ProgrammeId,
    pub(crate) counselor: PersonId,
    pub(crate) county: RegionCode,
    pub(crate) stage: EducationStage,
    pub(crate) activity: ActivityId,
    pub(crate) theme: String,
    /// When it happened, if the caller said so.
    pub(crate) stated_at: Option<DateTime<Utc>>,
}

/// Reads a HoldActivity.
pub(crate) fn hold(request: &proto::HoldActivityRequest) -> Result<Hold> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let counselor = fields.id("counselor_id", &request.counselor_id, PersonId::parse);
    let county = fields.id("county_code", &request.county_code, RegionCode::parse);
    let stage = stage(&mut fields, request.education_stage);
    let activity = fields.id("activity_id", &request.activity_id, ActivityId::parse);
    let theme = title(&mut fields, "theme", &request.theme);
    let stated_at = fields.optional_timestamp("occurred_at", request.occurred_at);
    let (programme, counselor, county, stage, activity, theme, stated_at) =
        fields.all((programme, counselor, county, stage, activity, theme, stated_at))?;
    Ok(Hold { programme, counselor, county, stage, activity, theme, stated_at })
}

/// RecordAttendance.
#[derive(Debug, Clone)]
pub(crate) struct Attend {
    pub(crate) programme: ProgrammeId,
    pub(crate) counselor: PersonId,
    pub(crate) activity: ActivityId,
    /// In the order of the request, each once.
    pub(crate) person_ids: Vec<PersonId>,
    /// Whether nobody is recorded when somebody can't be.
    pub(crate) all_or_none: bool,
}

/// Reads a RecordAttendance.
pub(crate) fn attend(request: proto::RecordAttendanceRequest) -> Result<Attend> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let counselor = fields.id("counselor_id", &request.counselor_id, PersonId::parse);
    let activity = fields.id("activity_id", &request.activity_id, ActivityId::parse);
    let mut seen = std::collections::BTreeSet::new();
    let persons =
        fields.optional_list("person_ids", request.person_ids, PERSONS_PER_CALL_MAX, |fields, person_id| {
            let person = fields.id("", &person_id, PersonId::parse)?;
            Some(seen.insert(person.clone()).then_some(person))
        });
    let (programme, counselor, activity, persons) = fields.all((programme, counselor, activity, persons))?;
    let person_ids = persons.into_iter().flatten().collect();
    let all_or_none = request.all_or_none;
    Ok(Attend { programme, counselor, activity, person_ids, all_or_none })
}

/// ScoreAttendee. Any number is taken: one outside the scheme's range is SCORE_OUT_OF_RANGE.
#[derive(Debug, Clone)]
pub(crate) struct Score {
    pub(crate) programme: ProgrammeId,
    pub(crate) counselor: PersonId,
    pub(crate) activity: ActivityId,
    pub(crate) person: PersonId,
    pub(crate) score: i64,
}

/// Reads a ScoreAttendee.
pub(crate) fn score(request: &proto::ScoreAttendeeRequest) -> Result<Score> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let counselor = fields.id("counselor_id", &request.counselor_id, PersonId::parse);
    let activity = fields.id("activity_id", &request.activity_id, ActivityId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let (programme, counselor, activity, person) = fields.all((programme, counselor, activity, person))?;
    Ok(Score { programme, counselor, activity, person, score: request.score.into() })
}

/// ScoreAttendees.
#[derive(Debug, Clone)]
pub(crate) struct Scores {
    pub(crate) programme: ProgrammeId,
    pub(crate) counselor: PersonId,
    pub(crate) activity: ActivityId,
    /// In the order of the request, each once.
    pub(crate) scores: Vec<(PersonId, i64)>,
}

/// Reads a ScoreAttendees.
pub(crate) fn scores(request: &proto::ScoreAttendeesRequest) -> Result<Scores> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let counselor = fields.id("counselor_id", &request.counselor_id, PersonId::parse);
    let activity = fields.id("activity_id", &request.activity_id, ActivityId::parse);
    let mut seen = std::collections::BTreeSet::new();
    let rows = request.scores.clone();
    let scores = fields.list("scores", rows, SCORES_PER_CALL_MAX, |fields, row| {
        let person = fields.id("person_id", &row.person_id, PersonId::parse)?;
        match seen.insert(person.clone()) {
            true => Some((person, i64::from(row.score))),
            false => fields.fault("person_id", "the trainee stands in an earlier row"),
        }
    });
    let (programme, counselor, activity, scores) = fields.all((programme, counselor, activity, scores))?;
    Ok(Scores { programme, counselor, activity, scores })
}

/// Which part of a list: programme, county, stage; no county and an empty stage stand for all.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) programme: ProgrammeId,
    pub(crate) county: Option<RegionCode>,
    pub(crate) stage: &'static str,
}

/// Reads the filter of ListPlans, ListActivities and ListResults; a list without stages gives 0.
pub(crate) fn filter(programme_id: &str, county_code: &str, education_stage: i32) -> Result<Filter> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let county = fields.optional_id("county_code", county_code, RegionCode::parse);
    let stage = fields.optional_choice::<ProtoStage>("education_stage", education_stage);
    let (programme, county, stage) = fields.all((programme, county, stage))?;
    let stage = stage.map_or("", ProtoStage::word);
    Ok(Filter { programme, county, stage })
}

/// ListAttendances: programme and activity.
pub(crate) fn activity_key(request: &proto::ListAttendancesRequest) -> Result<(ProgrammeId, ActivityId)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let activity = fields.id("activity_id", &request.activity_id, ActivityId::parse);
    fields.all((programme, activity))
}

fn stage(fields: &mut Fields, value: i32) -> Option<EducationStage> {
    fields.choice::<ProtoStage>("education_stage", value)?.known()
}

/// A title or theme, which may be empty: no annex asks for one.
fn title(fields: &mut Fields, field: &str, value: &str) -> Option<String> {
    fields.name(field, value, TITLE_CHARS_MAX)
}

/// An education stage, for an answer or an event.
pub(crate) fn stage_to_proto(stage: EducationStage) -> ProtoStage {
    stage.into()
}

/// A plan, for an answer.
pub(crate) fn plan_to_proto(plan: Plan) -> proto::Plan {
    proto::Plan {
        county_code: plan.county_code.into(),
        education_stage: stage_to_proto(plan.stage).into(),
        title: plan.title,
        counselor_id: plan.counselor_id.into(),
        submitted_time: Some(to_timestamp(plan.submitted_at)),
        fact_id: plan.fact_id,
        title_fact_id: plan.title_fact_id,
    }
}

/// An activity, for an answer.
pub(crate) fn activity_to_proto(activity: Activity) -> proto::Activity {
    proto::Activity {
        activity_id: activity.activity_id.into(),
        county_code: activity.county_code.into(),
        education_stage: stage_to_proto(activity.stage).into(),
        theme: activity.theme,
        counselor_id: activity.counselor_id.into(),
        held_time: Some(to_timestamp(activity.held_at)),
        fact_id: activity.fact_id,
        retracted: !activity.stands,
    }
}

/// An attendance, for an answer.
pub(crate) fn attendance_to_proto(attendance: Attendance) -> proto::Attendance {
    proto::Attendance {
        person_id: attendance.person_id.into(),
        attended_time: attendance.attended_at.map(to_timestamp),
        score: attendance.score.map(|(score, _)| to_int32(score)),
        scored_time: attendance.score.map(|(_, scored_at)| to_timestamp(scored_at)),
        fact_id: attendance.fact_id,
        retracted: attendance.attended_at.is_none(),
        score_fact_id: attendance.score_fact_id,
    }
}

/// Results, for an answer.
pub(crate) fn results_to_proto(results: Results) -> proto::Results {
    proto::Results {
        number: to_int32(results.number),
        county_code: results.county_code.into(),
        education_stage: stage_to_proto(results.stage).into(),
        title: results.title,
        counselor_id: results.counselor_id.into(),
        submitted_time: Some(to_timestamp(results.submitted_at)),
        fact_id: results.fact_id,
        retracted: !results.stands,
    }
}
