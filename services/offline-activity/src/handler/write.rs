//! The RPCs that write: plan, activity, attendance, score, results.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use shipei_contracts::{common::v1::RefusedRow, offline::v1 as proto};
use shipei_mirror::Member;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    scheme::Scheme,
    vocabulary::Role,
};
use shipei_service_kit::{Error, Result, Unit, status::refused_row, to_int32};
use shipei_store::Tx;

use super::{Handler, counselor, county, recorded, trainee, whose};
use crate::{
    convert,
    domain::{self, Activity, Plan, Results},
    error::{already_exists, not_found},
    store::{self, AttendanceFact, ScoreFact},
};

impl Handler {
    pub(super) async fn plan(
        self,
        mut unit: Unit,
        request: proto::SubmitPlanRequest,
    ) -> Result<(Unit, proto::SubmitPlanResponse)> {
        let command = convert::plan(&request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let counselor = counselor(&mut unit.tx, &command.programme, &command.counselor).await?;
        let county_code = county(&mut unit.tx, &command.programme, command.county).await?;
        let scheme = windows.of_county(county_code);
        domain::decide_plan(&scheme, &counselor, county_code, at)?;
        let whose = whose(programme, &counselor.person_id, &scheme, at);
        unit.take_from_quota("plans", whose, command.title.len()).await?;

        let fact_id = unit.new_fact_id()?;
        // Locked against its retraction: what the plan comes to is read after it.
        unit.is_retracted(programme.as_str(), &fact_id).await?;
        let new = Plan {
            county_code,
            stage: command.stage,
            title: command.title,
            counselor_id: counselor.person_id,
            submitted_at: at,
            title_fact_id: fact_id.clone(),
            fact_id,
        };
        let recorded = recorded(&unit);
        let plan = store::insert_plan(&mut unit.tx, programme, &new, &recorded).await?;
        let event = proto::PlanSubmitted {
            programme_id: programme.to_string(),
            county_code: new.county_code.to_string(),
            education_stage: convert::stage_to_proto(new.stage).into(),
        };
        unit.emit_fact(&new.fact_id, new.county_code.as_str(), new.county_code.as_str(), &event);
        let plan = convert::plan_to_proto(plan.unwrap_or(new));
        Ok((unit, proto::SubmitPlanResponse { plan: Some(plan) }))
    }

    pub(super) async fn hold(
        self,
        mut unit: Unit,
        request: proto::HoldActivityRequest,
    ) -> Result<(Unit, proto::HoldActivityResponse)> {
        let command = convert::hold(&request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let counselor = counselor(&mut unit.tx, &command.programme, &command.counselor).await?;
        let county_code = county(&mut unit.tx, &command.programme, command.county).await?;
        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let new = Activity {
            activity_id: command.activity,
            county_code,
            stage: command.stage,
            theme: command.theme,
            counselor_id: counselor.person_id.clone(),
            held_at: at,
            fact_id,
            stands,
        };
        let there = store::activity(&mut unit.tx, programme, &new.activity_id).await?;
        if let Some(there) = there
            && domain::is_same_activity(&there, &new, command.stated_at)
        {
            return Ok((unit, held(there)));
        }

        let scheme = windows.of_county(new.county_code);
        domain::decide_county_fact(&scheme, &counselor, new.county_code, at)?;
        let whose = whose(programme, &new.counselor_id, &scheme, at);
        unit.take_from_quota("activities", whose, new.theme.len()).await?;
        let recorded = recorded(&unit);
        if !store::insert_activity(&mut unit.tx, programme, &new, &recorded).await? {
            return held_meanwhile(unit, programme, &new, command.stated_at).await;
        }
        let event = proto::ActivityHeld {
            programme_id: programme.to_string(),
            activity_id: new.activity_id.to_string(),
            county_code: new.county_code.to_string(),
            education_stage: convert::stage_to_proto(new.stage).into(),
        };
        unit.emit_fact(&new.fact_id, new.county_code.as_str(), new.activity_id.as_str(), &event);
        Ok((unit, held(new)))
    }

    pub(super) async fn attend(
        self,
        mut unit: Unit,
        request: proto::RecordAttendanceRequest,
    ) -> Result<(Unit, proto::RecordAttendanceResponse)> {
        let command = convert::attend(request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let activity = store::lock_activity(&mut unit.tx, programme, &command.activity).await?;
        let activity = activity.ok_or_else(|| not_found("activity_id"))?;
        let counselor = counselor(&mut unit.tx, &command.programme, &command.counselor).await?;
        let keys: Vec<&PersonId> = command.person_ids.iter().collect();
        let mut members: BTreeMap<PersonId, Member> = BTreeMap::new();
        for member in shipei_mirror::members(&mut unit.tx, programme, Role::Trainee, &keys).await? {
            members.insert(member.person_id.clone(), member);
        }
        let people = (command.person_ids.as_slice(), &members);
        let county = windows.of_county(activity.county_code);
        let period_of = |trainee: Option<&Member>| {
            let scheme = trainee.map_or_else(|| Arc::clone(&county), |trainee| windows.of_member(trainee));
            scheme.counselor.offline.period
        };
        let then = as_of(&mut unit.tx, programme, &activity, at).await?;
        let refused = domain::decide_attendance(period_of, &counselor, &then, people, at)?;
        let by_person: BTreeSet<&PersonId> = refused.iter().map(|refused| &refused.person_id).collect();
        let mut person_ids = command.person_ids.clone();
        person_ids.retain(|person_id| !by_person.contains(person_id));
        let rows: Vec<RefusedRow> = refused
            .iter()
            .map(|refused| refused_row(refused.row, refused.person_id.as_str(), &refused.refusal))
            .collect();
        if command.all_or_none
            && let Some(refusal) = domain::refused_first(refused)
        {
            return Err(refusal.into());
        }

        let (activity_id, person_ids) = (&activity.activity_id, &person_ids);
        let there =
            store::attendances_recorded(&mut unit.tx, &unit.reach, programme, activity_id, person_ids)
                .await?;
        let mut facts = Vec::with_capacity(person_ids.len());
        for person_id in person_ids {
            let fact_id = unit.new_fact_id_of(person_id.as_str())?;
            facts.push(AttendanceFact { person_id: person_id.clone(), fact_id, stands: true });
        }
        let fact_ids: Vec<&str> = facts.iter().map(|fact| fact.fact_id.as_str()).collect();
        let fallen = unit.retracted_of(programme.as_str(), &fact_ids).await?;
        for fact in &mut facts {
            fact.stands = !fallen.contains(&fact.fact_id);
        }
        let added = facts.iter().filter(|fact| fact.stands && !there.contains(&fact.person_id)).count();
        let added = i64::try_from(added).unwrap_or(i64::MAX);
        let recorded = recorded(&unit);
        let key = (programme, activity_id);
        let by = (&counselor.person_id, at);
        let attended = store::keep_attendances(&mut unit.tx, key, &facts, by, &recorded).await?;
        emit_attendance(&mut unit, programme, &activity, &facts);
        let (added, attended) = (to_int32(added), to_int32(attended));
        Ok((unit, proto::RecordAttendanceResponse { added, attended, refused: rows }))
    }

    pub(super) async fn score(
        self,
        mut unit: Unit,
        request: proto::ScoreAttendeeRequest,
    ) -> Result<(Unit, proto::ScoreAttendeeResponse)> {
        let command = convert::score(&request)?;
        let programme = &command.programme;
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let activity = store::activity(&mut unit.tx, programme, &command.activity).await?;
        let activity = activity.ok_or_else(|| not_found("activity_id"))?;
        let counselor = counselor(&mut unit.tx, &command.programme, &command.counselor).await?;
        let trainee = trainee(&mut unit.tx, &command.programme, &command.person).await?;
        let fact_id = unit.new_fact_id()?;
        let then = as_of(&mut unit.tx, programme, &activity, unit.occurred_at).await?;
        let people = (&counselor, &activity, &then);
        let scored = (&trainee, command.score, fact_id);
        let scheme = windows.of_member(&trainee);
        score_one(&mut unit, programme, &scheme, people, scored).await?;
        let (activity_id, person_id) = (&activity.activity_id, &trainee.person_id);
        let attendance = store::lock_attendance(&mut unit.tx, programme, activity_id, person_id).await?;
        let attendance = attendance.map(convert::attendance_to_proto);
        Ok((unit, proto::ScoreAttendeeResponse { attendance }))
    }

    /// Each row is taken or refused by itself: a row that is refused has written nothing.
    pub(super) async fn score_many(
        self,
        mut unit: Unit,
        request: proto::ScoreAttendeesRequest,
    ) -> Result<(Unit, proto::ScoreAttendeesResponse)> {
        let command = convert::scores(&request)?;
        let programme = &command.programme;
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let activity = store::activity(&mut unit.tx, programme, &command.activity).await?;
        let activity = activity.ok_or_else(|| not_found("activity_id"))?;
        let counselor = counselor(&mut unit.tx, programme, &command.counselor).await?;
        let then = as_of(&mut unit.tx, programme, &activity, unit.occurred_at).await?;
        let mut answer = proto::ScoreAttendeesResponse::default();
        for (place, (person_id, score)) in command.scores.iter().enumerate() {
            let fact_id = unit.new_fact_id_of(person_id.as_str())?;
            let scored = match trainee(&mut unit.tx, programme, person_id).await {
                Ok(trainee) => {
                    let scheme = windows.of_member(&trainee);
                    let scored = (&trainee, *score, fact_id);
                    score_one(&mut unit, programme, &scheme, (&counselor, &activity, &then), scored).await
                }
                Err(error) => Err(error),
            };
            match scored {
                Ok(()) => answer.scored += 1,
                Err(Error::Refused(refusal)) if !request.all_or_none => {
                    answer.refused.push(refused_row(place + 1, person_id.as_str(), &refusal));
                }
                Err(Error::Refused(refusal)) => {
                    return Err(refusal.with("row", (place + 1).to_string()).into());
                }
                Err(error) => return Err(error),
            }
        }
        Ok((unit, answer))
    }

    pub(super) async fn results(
        self,
        mut unit: Unit,
        request: proto::SubmitResultsRequest,
    ) -> Result<(Unit, proto::SubmitResultsResponse)> {
        let command = convert::results(&request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let counselor = counselor(&mut unit.tx, &command.programme, &command.counselor).await?;
        let county_code = county(&mut unit.tx, &command.programme, command.county).await?;
        let scheme = windows.of_county(county_code);
        domain::decide_county_fact(&scheme, &counselor, county_code, at)?;
        let whose = whose(programme, &counselor.person_id, &scheme, at);
        unit.take_from_quota("results", whose, command.title.len()).await?;

        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let new = Results {
            number: 0,
            county_code,
            stage: command.stage,
            title: command.title,
            counselor_id: counselor.person_id,
            submitted_at: at,
            fact_id,
            stands,
        };
        let recorded = recorded(&unit);
        let new = store::insert_results(&mut unit.tx, programme, new, &recorded).await?;
        let event = proto::ResultsSubmitted {
            programme_id: programme.to_string(),
            county_code: new.county_code.to_string(),
            education_stage: convert::stage_to_proto(new.stage).into(),
            number: to_int32(new.number),
        };
        unit.emit_fact(&new.fact_id, new.county_code.as_str(), new.county_code.as_str(), &event);
        Ok((unit, proto::SubmitResultsResponse { results: Some(convert::results_to_proto(new)) }))
    }
}

/// The activity as that of the county which stands for its own as of a time: who is of that may attend it and score it.
async fn as_of(
    tx: &mut Tx,
    programme: &ProgrammeId,
    activity: &Activity,
    at: DateTime<Utc>,
) -> Result<Activity> {
    let county_code = shipei_mirror::region_at(tx, programme, activity.county_code, at).await?;
    Ok(Activity { county_code, ..activity.clone() })
}

/// Gives an attendee a score, or refuses it before anything is written.
async fn score_one(
    unit: &mut Unit,
    programme: &ProgrammeId,
    scheme: &Scheme,
    (counselor, activity, then): (&Member, &Activity, &Activity),
    (trainee, score, fact_id): (&Member, i64, String),
) -> Result<()> {
    let at = unit.occurred_at;
    let key = (programme, &activity.activity_id);
    let attendance = store::lock_attendance(&mut unit.tx, key.0, key.1, &trainee.person_id).await?;
    let who = (trainee, attendance.as_ref());
    domain::decide_score(scheme, (counselor, then), who, score, at)?;

    let before = attendance.ok_or_else(|| not_found("person_id"))?;
    let number = before.score_count + 1;
    let score = ScoreFact { number, score, counselor_id: counselor.person_id.clone(), at, fact_id };
    // Locked against its retraction: which score counts is read after it.
    unit.is_retracted(programme.as_str(), &score.fact_id).await?;
    let recorded = recorded(unit);
    store::insert_score(&mut unit.tx, key, &trainee.person_id, &score, &recorded).await?;
    emit_score(unit, programme, activity, trainee, (&score, before.score));
    Ok(())
}

/// The id is taken: before, or by somebody at this very moment, who may be the same caller.
async fn held_meanwhile(
    mut unit: Unit,
    programme: &ProgrammeId,
    new: &Activity,
    stated_at: Option<DateTime<Utc>>,
) -> Result<(Unit, proto::HoldActivityResponse)> {
    let there = store::activity(&mut unit.tx, programme, &new.activity_id).await?;
    match there {
        Some(there) if domain::is_same_activity(&there, new, stated_at) => Ok((unit, held(there))),
        _ => Err(already_exists("activity_id").into()),
    }
}

fn held(activity: Activity) -> proto::HoldActivityResponse {
    proto::HoldActivityResponse { activity: Some(convert::activity_to_proto(activity)) }
}

fn emit_score(
    unit: &mut Unit,
    programme: &ProgrammeId,
    activity: &Activity,
    trainee: &Member,
    (score, old): (&ScoreFact, Option<(i64, DateTime<Utc>)>),
) {
    let event = proto::AttendeeScored {
        programme_id: programme.to_string(),
        activity_id: activity.activity_id.to_string(),
        county_code: activity.county_code.to_string(),
        person_id: trainee.person_id.to_string(),
        score_number: to_int32(score.number),
        new: to_int32(score.score),
        old: old.map(|(old, _)| to_int32(old)),
    };
    unit.emit_fact(&score.fact_id, activity.county_code.as_str(), trainee.person_id.as_str(), &event);
}

fn emit_attendance(unit: &mut Unit, programme: &ProgrammeId, activity: &Activity, facts: &[AttendanceFact]) {
    for fact in facts {
        let event = proto::AttendanceRecorded {
            programme_id: programme.to_string(),
            activity_id: activity.activity_id.to_string(),
            county_code: activity.county_code.to_string(),
            education_stage: convert::stage_to_proto(activity.stage).into(),
            person_id: fact.person_id.to_string(),
        };
        unit.emit_fact(&fact.fact_id, activity.county_code.as_str(), activity.activity_id.as_str(), &event);
    }
}
