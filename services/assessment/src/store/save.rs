//! Writes the facts of a batch: one multi-row upsert for each table, rows in key order, so that of two instances none
//! waits for the other in a circle. Every upsert commutes: an immutable row is left as it is, of a first time the least
//! stays.

use shipei_rules::ids::{ProgrammeId, text_of};
use shipei_store::{StoreError, Tx, bulk_insert};

use crate::facts::Batch;

/// Writes everything that a batch says of a programme.
pub async fn batch(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<(), StoreError> {
    people(tx, programme_id, batch).await?;
    assignments(tx, programme_id, batch).await?;
    decisions(tx, programme_id, batch).await?;
    classes(tx, programme_id, batch).await?;
    duties(tx, programme_id, batch).await?;
    counties(tx, programme_id, batch).await
}

async fn people(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<(), StoreError> {
    let places: Vec<_> = batch.places.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO trainee_place (programme_id, person_id, county_code, class_id)",
        places,
        |(person_id, county_code, class_id)| (
            programme_id.as_str(),
            person_id.as_str(),
            text_of(county_code.as_ref()),
            text_of(class_id.as_ref())
        ),
        " ON CONFLICT (programme_id, person_id, county_code, class_id) DO NOTHING"
    )?;
    let phases: Vec<_> = batch.phases.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO phase_achieved (programme_id, person_id, phase_index, united, achieved_at, studied_seconds, studied_at, \
         session_id, version)",
        phases,
        |row| (
            programme_id.as_str(),
            row.person_id.as_str(),
            row.phase_index,
            row.united,
            row.achieved_at,
            row.studied.map(|(seconds, _)| seconds),
            row.studied.map(|(_, at)| at),
            text_of(row.session_id.as_ref()),
            row.version
        ),
        " ON CONFLICT (programme_id, person_id, phase_index, united) DO UPDATE SET achieved_at = excluded.achieved_at, \
         studied_seconds = excluded.studied_seconds, studied_at = excluded.studied_at, \
         session_id = excluded.session_id, version = excluded.version \
         WHERE excluded.version > phase_achieved.version"
    )?;
    Ok(())
}

async fn assignments(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<(), StoreError> {
    let submissions: Vec<_> = batch.submissions.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO submission (programme_id, submission_id, person_id, submitted_at, number, fact_id)",
        submissions,
        |row| (
            programme_id.as_str(),
            row.submission_id.as_str(),
            row.person_id.as_str(),
            row.submitted_at,
            row.number,
            &row.fact_id
        ),
        " ON CONFLICT (programme_id, submission_id) DO NOTHING"
    )?;
    let marks: Vec<_> = batch.marks.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mark (programme_id, submission_id, mark_number, person_id, class_id, tutor_id, grade, marked_at, \
         fact_id)",
        marks,
        |row| (
            programme_id.as_str(),
            row.submission_id.as_str(),
            row.mark_number,
            row.person_id.as_str(),
            row.class_id.as_str(),
            row.tutor_id.as_str(),
            &row.grade,
            row.marked_at,
            &row.fact_id
        ),
        " ON CONFLICT (programme_id, submission_id, mark_number) DO NOTHING"
    )?;
    let judgements: Vec<_> = batch.mark_judgements.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mark_judgement (programme_id, submission_id, mark_number, counts, version)",
        judgements,
        |((submission_id, mark_number), (version, counts))| (
            programme_id.as_str(),
            submission_id.as_str(),
            *mark_number,
            *counts,
            *version
        ),
        " ON CONFLICT (programme_id, submission_id, mark_number) DO UPDATE SET counts = excluded.counts, \
         version = excluded.version WHERE excluded.version > mark_judgement.version"
    )?;
    Ok(())
}

async fn decisions(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<(), StoreError> {
    let decisions: Vec<_> = batch.decisions.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO adjustment (programme_id, person_id, number, item, points, kind, decided_at, expires_at, \
         decided_by, fact_id)",
        decisions,
        |row| (
            programme_id.as_str(),
            row.person_id.as_str(),
            row.number,
            &row.item,
            row.points,
            &row.kind,
            row.decided_at,
            row.expires_at,
            &row.decided_by,
            &row.fact_id
        ),
        " ON CONFLICT (programme_id, person_id, number) DO NOTHING"
    )?;
    Ok(())
}

async fn duties(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<(), StoreError> {
    let facts: Vec<_> = batch.duty_facts.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO duty_fact (programme_id, kind, person_id, region_code, reference, happened_at, source, fact_id)",
        facts,
        |(key, happened_at)| (
            programme_id.as_str(),
            key.kind,
            &key.person_id,
            &key.region_code,
            &key.reference,
            **happened_at,
            &key.source,
            &key.fact_id
        ),
        " ON CONFLICT (programme_id, kind, person_id, region_code, reference, fact_id) DO UPDATE SET \
         happened_at = excluded.happened_at WHERE excluded.happened_at < duty_fact.happened_at"
    )?;
    Ok(())
}

async fn classes(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<(), StoreError> {
    let seminars: Vec<_> = batch.seminars.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO seminar (programme_id, seminar_id, class_id, opened_at, fact_id)",
        seminars,
        |(seminar_id, row)| (
            programme_id.as_str(),
            seminar_id.as_str(),
            row.class_id.as_str(),
            row.opened_at,
            &row.fact_id
        ),
        " ON CONFLICT (programme_id, seminar_id) DO UPDATE SET opened_at = excluded.opened_at, \
         fact_id = excluded.fact_id WHERE excluded.opened_at IS NOT NULL AND seminar.opened_at IS NULL"
    )?;
    let summaries: Vec<_> = batch.summaries.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO summary (programme_id, seminar_id, summary_number, summarised_at, fact_id)",
        summaries,
        |((seminar_id, number), row)| (
            programme_id.as_str(),
            seminar_id.as_str(),
            *number,
            row.summarised_at,
            &row.fact_id
        ),
        " ON CONFLICT (programme_id, seminar_id, summary_number) DO NOTHING"
    )?;
    let posts: Vec<_> = batch.posts.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO post (programme_id, seminar_id, post_number, person_id, posted_at, fact_id)",
        posts,
        |row| (
            programme_id.as_str(),
            row.seminar_id.as_str(),
            row.post_number,
            row.person_id.as_str(),
            row.posted_at,
            &row.fact_id
        ),
        " ON CONFLICT (programme_id, seminar_id, post_number) DO NOTHING"
    )?;
    let bulletins: Vec<_> = batch.bulletins.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO bulletin (programme_id, class_id, bulletin_number, published_at, fact_id)",
        bulletins,
        |((class_id, number, fact_id), published_at)| (
            programme_id.as_str(),
            class_id.as_str(),
            *number,
            **published_at,
            fact_id
        ),
        " ON CONFLICT (programme_id, class_id, bulletin_number, fact_id) DO NOTHING"
    )?;
    let choices: Vec<_> = batch.choices.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO tutor_choice (programme_id, tutor_id, expert_id, chosen_at, fact_id)",
        choices,
        |((tutor_id, expert_id, fact_id), chosen_at)| (
            programme_id.as_str(),
            tutor_id.as_str(),
            expert_id.as_str(),
            **chosen_at,
            fact_id
        ),
        " ON CONFLICT (programme_id, tutor_id, expert_id, fact_id) DO NOTHING"
    )?;
    Ok(())
}

async fn counties(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<(), StoreError> {
    let facts: Vec<_> = batch.county_facts.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO county_fact (programme_id, county_code, education_stage, kind, reference, happened_at, fact_id)",
        facts,
        |(key, happened_at)| (
            programme_id.as_str(),
            key.county_code.as_str(),
            &key.education_stage,
            key.kind,
            &key.reference,
            **happened_at,
            &key.fact_id
        ),
        " ON CONFLICT (programme_id, county_code, education_stage, kind, reference, fact_id) DO NOTHING"
    )?;
    let attendances: Vec<_> = batch.attendances.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO attendance (programme_id, person_id, activity_id, county_code, education_stage, attended_at, \
         fact_id)",
        attendances,
        |((_, _, fact_id), row)| (
            programme_id.as_str(),
            row.person_id.as_str(),
            row.activity_id.as_str(),
            row.county_code.as_str(),
            &row.education_stage,
            row.attended_at,
            fact_id
        ),
        " ON CONFLICT (programme_id, person_id, activity_id, fact_id) DO NOTHING"
    )?;
    let scores: Vec<_> = batch.offline_scores.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO offline_score (programme_id, person_id, activity_id, score_number, score, scored_at, fact_id)",
        scores,
        |row| (
            programme_id.as_str(),
            row.person_id.as_str(),
            row.activity_id.as_str(),
            row.score_number,
            row.score,
            row.scored_at,
            &row.fact_id
        ),
        " ON CONFLICT (programme_id, person_id, activity_id, score_number) DO NOTHING"
    )?;
    Ok(())
}
