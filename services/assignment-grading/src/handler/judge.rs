//! Marks judged anew: who gave one must have been the tutor of the trainee's class then, also where it is told only afterwards that
//! the class had another tutor by then or the trainee another class, and where that falls again.

use std::collections::BTreeSet;

use shipei_contracts::assignment::v1 as proto;
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::{Result, Unit};

use super::assignment::save_standings;
use crate::{
    domain,
    store::{self, GivenMark},
};

/// Judges all marks of a trainee's work; what is otherwise is kept and told, with what follows from it for the submissions.
pub(crate) async fn judge_anew(
    unit: &mut Unit,
    programmes: &Programmes,
    programme: &ProgrammeId,
    person: &PersonId,
) -> Result<()> {
    let trainee = shipei_mirror::member(&mut unit.tx, programme, Role::Trainee, person).await?;
    let Some(trainee) = trainee else { return Ok(()) };
    store::lock_trainee(&mut unit.tx, programme, person).await?;
    let marks = store::given_marks(&mut unit.tx, programme, person).await?;
    let class_ids: BTreeSet<_> = trainee.places.all().filter_map(|place| place.class_id.as_ref()).collect();
    let class_ids: Vec<_> = class_ids.into_iter().collect();
    let classes = shipei_mirror::classes_of(&mut unit.tx, programme, &class_ids).await?;
    let is_counted = |mark: &GivenMark| {
        mark.tutor_id != trainee.person_id
            && domain::is_by_the_tutor(&trainee.places, &classes, &mark.tutor_id, mark.marked_at)
    };
    let judged: Vec<GivenMark> = marks
        .into_iter()
        .filter(|mark| mark.counts != is_counted(mark))
        .map(|mark| GivenMark { counts: !mark.counts, judged: mark.judged + 1, ..mark })
        .collect();
    let Some(first) = judged.first() else { return Ok(()) };
    for mark in &judged {
        store::save_judgement(&mut unit.tx, programme, mark).await?;
        store::fold_marks(&mut unit.tx, programme, &mark.submission_id).await?;
        let event = proto::MarkJudged {
            programme_id: programme.to_string(),
            submission_id: mark.submission_id.to_string(),
            person_id: person.to_string(),
            tutor_id: mark.tutor_id.to_string(),
            mark_number: mark.number,
            counts: mark.counts,
            version: mark.judged,
        };
        let county = trainee.places.at(mark.marked_at).county_text();
        unit.emit_at(county, mark.submission_id.as_str(), mark.marked_at, &event);
    }
    let (_, scheme) = programmes.scheme(&mut unit.tx, programme).await?;
    let works = store::works_of(&mut unit.tx, programme, person).await?;
    save_standings(unit, programme, &trainee, &first.submission_id, &works.changes(&scheme)).await
}
