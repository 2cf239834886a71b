//! The log of decisions: what people decided about items of scores, and what shows that duties were done.

use shipei_contracts::{decisions::v1 as decisions, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_rules::ids::PersonId;
use shipei_service_kit::{
    Fact, Handles, Projector, Result, Unit, convert::from_timestamp, dispatch, handles,
};

use super::{Batches, Behind, apply_batches, batch_of, cause_of, id_of, keep_duty_fact};
use crate::{facts::Decision, store::duties};

/// The events that are scored.
const EVENTS: &[Handles<Batches>] = handles![Batches:
    decisions::ItemAdjusted => adjusted,
    decisions::EvidenceSubmitted => submitted,
    decisions::EvidenceSentBack => sent_back,
    decisions::ProgrammeFinalised => finalised,
    decisions::CertificateIssued => certified,
];

/// The duty by which tutors recommend excellent trainees.
const RECOMMENDATION: &str = "ASSESS-TUTOR-RECOMMEND";

/// Follows what is decided about scores.
#[derive(Debug, Clone, Default)]
pub struct DecisionsProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
    /// Whether scores wait until the logs have been read.
    pub behind: Behind,
}

#[tonic::async_trait]
impl Projector for DecisionsProjector {
    fn source(&self) -> &'static str {
        shipei_contracts::services::ASSESSMENT_DECISIONS
    }

    fn version(&self) -> u32 {
        2
    }

    fn types(&self) -> Vec<String> {
        dispatch::types(EVENTS)
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        let mut batches = Batches::new();
        dispatch::gather(EVENTS, &mut batches, events)?;
        apply_batches(unit, &self.schemes, &self.behind, events, batches).await
    }
}

fn adjusted(batches: &mut Batches, fact: decisions::ItemAdjusted, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    let expires_at = fact.expires_time.as_ref().map(from_timestamp).transpose();
    batch.touched.trainee(&person_id, &cause_of(told));
    let key = (person_id.clone(), i64::from(fact.number));
    let kind = fact.kind().word().to_owned();
    batch.decisions.entry(key).or_insert(Decision {
        person_id,
        number: fact.number.into(),
        item: fact.item,
        points: fact.points.into(),
        kind,
        decided_at: told.at,
        expires_at: id_of(told, expires_at)?,
        decided_by: told.event.actor.clone(),
        fact_id: told.event.fact_id.clone(),
    });
    Ok(())
}

fn submitted(batches: &mut Batches, fact: decisions::EvidenceSubmitted, told: &Fact<'_>) -> Result<()> {
    if fact.duty == RECOMMENDATION {
        for trainee in &fact.about_person_ids {
            let kind = (fact.programme_id.as_str(), duties::RECOMMENDED);
            keep_duty_fact(batches, kind, (trainee, ""), &fact.person_id, told)?;
        }
    }
    let kind = (fact.programme_id.as_str(), duties::EVIDENCE);
    keep_duty_fact(batches, kind, (&fact.person_id, &fact.region_code), &fact.duty, told)
}

fn sent_back(batches: &mut Batches, fact: decisions::EvidenceSentBack, told: &Fact<'_>) -> Result<()> {
    let kind = (fact.programme_id.as_str(), duties::SENT_BACK);
    keep_duty_fact(batches, kind, (&fact.person_id, &fact.region_code), &fact.evidence_fact_id, told)
}

fn finalised(batches: &mut Batches, fact: decisions::ProgrammeFinalised, told: &Fact<'_>) -> Result<()> {
    let version = fact.version.to_string();
    keep_duty_fact(batches, (&fact.programme_id, duties::FINAL), ("", ""), &version, told)
}

/// One for a county is enough, the first of them.
fn certified(batches: &mut Batches, fact: decisions::CertificateIssued, told: &Fact<'_>) -> Result<()> {
    keep_duty_fact(batches, (&fact.programme_id, duties::CERTIFICATES), ("", &fact.county_code), "", told)
}
