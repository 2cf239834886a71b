//! Who is honoured: whether a recommendation or a choice counts as of the programme's end, and why not.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use shipei_contracts::assessment::v1::{
    ChosenTutor, HonourReason, ListChosenTutorsRequest, ListChosenTutorsResponse,
    ListRecommendedTraineesRequest, ListRecommendedTraineesResponse, RecommendedTrainee, TraineePoints,
    TutorPoints,
};
use shipei_mirror::members;
use shipei_rules::{
    explanation::ReasonCode,
    honours::{Candidate, quota, trainee_reasons, within},
    ids::{ClassId, PersonId, text_of},
    vocabulary::Role,
};
use shipei_service_kit::{Listing, ReadUnit, Result, to_int32, to_timestamp};
use shipei_store::{StoreError, list::Listed};

use super::Reading;
use crate::{
    Assessment, convert,
    facts::Instant,
    store::honours::{self, Chosen, Recommendation, RecommendedThere},
};

/// A trainee who was recommended.
struct Recommended {
    tutors: BTreeSet<PersonId>,
    at: Instant,
    points: TraineePoints,
}

impl Assessment {
    pub(crate) async fn list_recommended_trainees(
        self,
        mut unit: ReadUnit,
        request: ListRecommendedTraineesRequest,
    ) -> Result<(ReadUnit, ListRecommendedTraineesResponse)> {
        let filter = convert::filter(&request.programme_id, &request.region_code, &request.class_id, None)?;
        let programme_id = &filter.programme_id;
        let binding = [programme_id.as_str(), &request.region_code, &request.class_id];
        let page = self.kit.page::<ListRecommendedTraineesRequest>(
            &binding,
            request.page_size,
            &request.page_token,
        )?;
        let reading = Reading::begin(&mut unit, &self.schemes, programme_id, None).await?;
        let rules = &reading.scheme.honours;
        let asked = (filter.region_code, filter.class_id.as_ref(), reading.scheme.final_as_of());
        let (tx, after, limit) = (&mut unit.tx, page.after(0), page.limit());
        let there = honours::recommended(tx, &unit.reach, programme_id, asked, after, limit).await?;
        let class_ids: BTreeSet<ClassId> =
            there.iter().filter_map(Listed::readable).filter_map(|row| row.class_id.clone()).collect();
        let class_ids: Vec<&ClassId> = class_ids.iter().collect();
        let recommendations = honours::of_classes(tx, programme_id, &class_ids).await?;
        // A tutor with several ids recommends once.
        let tutor_ids: BTreeSet<&PersonId> = recommendations.iter().map(|row| &row.tutor_id).collect();
        let tutor_ids: Vec<&PersonId> = tutor_ids.into_iter().collect();
        let mut counting: BTreeMap<PersonId, PersonId> = BTreeMap::new();
        for tutor in members(tx, programme_id, Role::ClassTutor, &tutor_ids).await? {
            counting.extend(tutor.counts_for.map(|kept_id| (tutor.person_id, kept_id)));
        }
        let of_class = by_class(recommendations, &counting)?;
        let sizes = honours::sizes(tx, programme_id, &class_ids).await?;
        let sizes: BTreeMap<ClassId, i64> =
            sizes.into_iter().map(|size| (size.class_id, size.active)).collect();
        let entry = |row: RecommendedThere| {
            let class = row.class_id.as_ref();
            let Some(recommended) = class.and_then(|class| of_class.get(class)) else { return Ok(None) };
            let Some(own) = recommended.get(&row.person_id) else { return Ok(None) };
            let reasons_of = |of: &Recommended| {
                let points = &of.points;
                trainee_reasons(rules, points.total.into(), points.passed, points.withdrawn)
            };
            let candidates = recommended.iter().filter(|(_, of)| reasons_of(of).is_empty());
            let candidates = candidates.map(|(person_id, of)| Candidate {
                person_id: person_id.clone(),
                total: of.points.total.into(),
                at: of.at,
            });
            let active = class.and_then(|class| sizes.get(class)).copied().unwrap_or(0);
            let class_quota = quota(rules.trainees_percent, active);
            let honoured = within(class_quota, candidates.collect());
            let mut reasons = reasons_of(own);
            if reasons.is_empty() && !honoured.contains(&row.person_id) {
                reasons.push(ReasonCode::OverQuota);
            }
            Ok(Some(RecommendedTrainee {
                class_id: text_of(class).to_owned(),
                county_code: text_of(row.county_code.as_ref()).to_owned(),
                person_id: row.person_id.into(),
                total: own.points.total,
                tutor_ids: own.tutors.iter().map(ToString::to_string).collect(),
                recommended_time: Some(to_timestamp(own.at)),
                counts: reasons.is_empty(),
                reasons: reasons.into_iter().map(reason).collect(),
                class_quota: class_quota.map(to_int32),
            }))
        };
        let Listing { entries: trainees, next_page_token, broken } = page.list_some(there, entry)?;
        Ok((unit, ListRecommendedTraineesResponse { trainees, next_page_token, broken }))
    }

    pub(crate) async fn list_chosen_tutors(
        self,
        mut unit: ReadUnit,
        request: ListChosenTutorsRequest,
    ) -> Result<(ReadUnit, ListChosenTutorsResponse)> {
        let filter = convert::filter(&request.programme_id, &request.region_code, "", None)?;
        let programme_id = &filter.programme_id;
        let binding = [programme_id.as_str(), &request.region_code];
        let page =
            self.kit.page::<ListChosenTutorsRequest>(&binding, request.page_size, &request.page_token)?;
        let reading = Reading::begin(&mut unit, &self.schemes, programme_id, None).await?;
        let asked = (filter.region_code, reading.scheme.final_as_of());
        let (tx, after, limit) = (&mut unit.tx, page.after(0), page.limit());
        let there = honours::chosen(tx, &unit.reach, programme_id, asked, after, limit).await?;
        let number = honours::tutors(tx, programme_id).await?;
        let quota = quota(reading.scheme.honours.tutors_percent, number);
        let mut all: BTreeMap<PersonId, (Chosen, TutorPoints)> = BTreeMap::new();
        for row in honours::all_chosen(tx, programme_id).await? {
            let points = TutorPoints::decode(row.points.as_slice());
            let points =
                points.map_err(|_| StoreError::corrupt_row("tutor_score", "points", &row.person_id))?;
            all.insert(row.person_id.clone(), (row, points));
        }
        let eligible = all.iter().filter(|(_, (_, points))| points.eligible);
        let candidates = eligible.map(|(person_id, (row, points))| Candidate {
            person_id: person_id.clone(),
            total: points.total.into(),
            at: row.chosen_at,
        });
        let honoured = within(quota, candidates.collect());
        let disqualify_at = reading.scheme.tutor.marking.late_week.disqualify_at;
        let entry = |person_id: PersonId| {
            let Some((row, points)) = all.get(&person_id) else { return Ok(None) };
            let reasons = match (points.eligible, honoured.contains(&person_id)) {
                (false, _) => not_eligible(points, disqualify_at),
                (true, false) => vec![ReasonCode::OverQuota],
                (true, true) => Vec::new(),
            };
            Ok(Some(ChosenTutor {
                county_code: text_of(row.county_code.as_ref()).to_owned(),
                total: points.total,
                late_weeks: points.late_weeks,
                chosen_time: Some(to_timestamp(row.chosen_at)),
                counts: reasons.is_empty(),
                reasons: reasons.into_iter().map(reason).collect(),
                person_id: person_id.into(),
            }))
        };
        let Listing { entries: tutors, next_page_token, broken } = page.list_some(there, entry)?;
        let quota = quota.map(to_int32);
        Ok((unit, ListChosenTutorsResponse { tutors, quota, next_page_token, broken }))
    }
}

/// Who was recommended in each class, by whom and when first; `counting` has the ids that are kept of tutors with several.
fn by_class(
    rows: Vec<Recommendation>,
    counting: &BTreeMap<PersonId, PersonId>,
) -> Result<BTreeMap<ClassId, BTreeMap<PersonId, Recommended>>> {
    let mut classes: BTreeMap<ClassId, BTreeMap<PersonId, Recommended>> = BTreeMap::new();
    for row in rows {
        let points = TraineePoints::decode(row.points.as_slice());
        let points =
            points.map_err(|_| StoreError::corrupt_row("trainee_score", "points", &row.person_id))?;
        let of_class = classes.entry(row.class_id).or_default();
        let recommended = of_class.entry(row.person_id).or_insert_with(|| Recommended {
            tutors: BTreeSet::new(),
            at: row.recommended_at,
            points,
        });
        recommended.at = recommended.at.min(row.recommended_at);
        recommended.tutors.insert(counting.get(&row.tutor_id).cloned().unwrap_or(row.tutor_id));
    }
    Ok(classes)
}

/// Why a tutor is not eligible, of what the stored points say: what else is wrong than these two is the training before the job.
fn not_eligible(points: &TutorPoints, disqualify_at: i64) -> Vec<ReasonCode> {
    let mut reasons = Vec::new();
    if !points.qualified {
        reasons.push(ReasonCode::NotQualified);
    }
    if i64::from(points.late_weeks) >= disqualify_at {
        reasons.push(ReasonCode::TooManyLateWeeks);
    }
    if reasons.is_empty() {
        reasons.push(ReasonCode::PrejobNotAttended);
    }
    reasons
}

fn reason(code: ReasonCode) -> HonourReason {
    let (zh, en) = code.texts();
    HonourReason { code: code.as_str().to_owned(), text: en.to_owned(), text_zh: zh.to_owned() }
}
