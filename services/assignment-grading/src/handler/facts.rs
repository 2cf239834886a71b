//! What follows when a fact of this service falls: where a trainee's submissions stand, and what a seminar's summaries come to.
//! A post, a bulletin, the opening of a seminar are read with their standing, and nothing is kept that follows from them.

use shipei_contracts::assignment::v1 as proto;
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{PersonId, ProgrammeId, SeminarId, SubmissionId},
    vocabulary::Role,
};
use shipei_service_kit::{Facts, Result, StoredFact, Unit};

use super::assignment::save_standings;
use crate::store;

/// The facts of assignment-grading.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    programmes: Programmes,
}

#[tonic::async_trait]
impl Facts for Keeping {
    async fn region(&self, unit: &mut Unit, programme_id: &str) -> Result<String> {
        self.programmes.region(&mut unit.tx, programme_id).await
    }

    async fn refold(&self, unit: &mut Unit, fact: &StoredFact) -> Result<()> {
        let work = (fact.message::<proto::AssignmentSubmitted>())
            .map(|told| (told.programme_id, told.person_id, told.submission_id))
            .or_else(|| {
                let told = fact.message::<proto::SubmissionReviewed>()?;
                Some((told.programme_id, told.person_id, told.submission_id))
            })
            .or_else(|| {
                let told = fact.message::<proto::SubmissionReturned>()?;
                Some((told.programme_id, told.person_id, told.submission_id))
            });
        if let Some((programme, person, submission)) = work {
            let programme = fact.id(&programme, ProgrammeId::parse)?;
            let person = fact.id(&person, PersonId::parse)?;
            let submission = fact.id(&submission, SubmissionId::parse)?;
            return self.refold_work(unit, (&programme, &person, &submission)).await;
        }
        if let Some(told) = fact.message::<proto::SeminarSummarised>() {
            let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let seminar = fact.id(&told.seminar_id, SeminarId::parse)?;
            store::lock_seminar(&mut unit.tx, &programme, &seminar).await?;
            store::fold_summaries(&mut unit.tx, &programme, &seminar).await?;
        }
        Ok(())
    }
}

impl Keeping {
    /// Where the submissions of a trainee stand without the submission or mark that fell.
    async fn refold_work(
        &self,
        unit: &mut Unit,
        (programme, person, submission): (&ProgrammeId, &PersonId, &SubmissionId),
    ) -> Result<()> {
        let (_, scheme) = self.programmes.scheme(&mut unit.tx, programme).await?;
        store::lock_trainee(&mut unit.tx, programme, person).await?;
        store::fold_marks(&mut unit.tx, programme, submission).await?;
        let trainee = shipei_mirror::member(&mut unit.tx, programme, Role::Trainee, person).await?;
        let Some(trainee) = trainee else { return Ok(()) };
        let works = store::works_of(&mut unit.tx, programme, person).await?;
        let changes = works.changes(&scheme);
        save_standings(unit, programme, &trainee, submission, &changes).await
    }
}
