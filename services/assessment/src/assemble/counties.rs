//! Counties with their facts: from the stored counts, or trainee by trainee for a time at which those don't hold.

use std::collections::{BTreeMap, BTreeSet};

use shipei_mirror::{Windows, merges};
use shipei_rules::{
    counselor::{CountyFacts, CountyScore},
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::{Reach, Result};
use shipei_store::Tx;

use crate::{
    assemble::trainees,
    domain::contribution::{CountyTotals, StageTimes, Sums, county_facts, of_trainee},
    facts::Instant,
    store::{
        counts,
        decisions::{self, Span},
        lists, load, rescore, scores,
    },
};

/// How many trainees of a county are looked at at once.
const TRAINEES_PER_STEP: i64 = 1_000;

/// A county's facts and score.
#[derive(Debug, Clone)]
pub struct CountyRecord {
    /// What the rules judged.
    pub facts: CountyFacts,
    /// The score.
    pub score: CountyScore,
}

/// The scores of these counties from what their trainees add up to, by code.
pub async fn judge(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    windows: &Windows,
    county_codes: &[RegionCode],
    totals: &BTreeMap<RegionCode, CountyTotals>,
    as_of: Instant,
) -> Result<BTreeMap<RegionCode, CountyRecord>> {
    let scheme = &windows.scheme;
    let plans_from = scheme.plan_period().from;
    let others_from = scheme.counselor.offline.period.from;
    let mut times: BTreeMap<RegionCode, BTreeMap<String, StageTimes>> = BTreeMap::new();
    for row in load::county_times(tx, programme_id, county_codes, plans_from, others_from).await? {
        let stage = times.entry(row.county_code).or_default().entry(row.education_stage).or_default();
        let at = Some(row.happened_at);
        match row.kind.as_str() {
            "plan" => stage.plan_at = at,
            "activity" => stage.activity_at = at,
            _ => stage.results_at = at,
        }
    }
    let (no_times, nobody) = (BTreeMap::new(), CountyTotals::default());
    let mut counties = BTreeMap::new();
    for county_code in county_codes {
        let times = times.get(county_code).unwrap_or(&no_times);
        let own = windows.of_county(*county_code);
        let mut facts = county_facts(&own, totals.get(county_code).unwrap_or(&nobody), times);
        facts.latest = windows.latest_in_county(*county_code);
        let score = shipei_rules::counselor::score(&own, &facts, as_of);
        counties.insert(*county_code, CountyRecord { facts, score });
    }
    Ok(counties)
}

/// What everybody who ever stood in a county adds up to as of a time, from their facts, page by page.
pub async fn count_as_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    windows: &Windows,
    county_code: RegionCode,
    as_of: Instant,
) -> Result<Sums> {
    let mut sums = Sums::default();
    let mut after = String::new();
    // Who has several ids is counted once, whichever of them stood here.
    let mut counted_once: BTreeSet<PersonId> = BTreeSet::new();
    loop {
        let page = lists::trainees_of_county(
            tx,
            &Reach::Everything,
            programme_id,
            county_code,
            &after,
            TRAINEES_PER_STEP,
        )
        .await?;
        let Some(last) = page.last() else { return Ok(sums) };
        last.as_str().clone_into(&mut after);
        let ids: Vec<&PersonId> = page.iter().collect();
        let merges = merges(tx, programme_id, Role::Trainee, &ids).await?;
        let kept_ids: BTreeSet<&PersonId> = merges.iter().map(|merge| &merge.kept_id).collect();
        let mut person_ids: BTreeSet<&PersonId> = page.iter().chain(kept_ids.iter().copied()).collect();
        person_ids.retain(|id| !counted_once.contains(*id));
        counted_once.extend(kept_ids.iter().copied().cloned());
        let person_ids: Vec<&PersonId> = person_ids.into_iter().collect();
        for trainee in trainees::load(tx, programme_id, windows, &person_ids).await?.values() {
            let score = shipei_rules::trainee::score(&trainee.scheme, &trainee.facts, as_of);
            sums.add(&of_trainee(&trainee.scheme, trainee, &score, as_of));
        }
    }
}

/// As of when counties are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// As of the programme's end, with everything that was ever decided: as scores are stored.
    AtTheEnd,
    /// As of a time, with what was decided by then.
    AsOf(Instant),
}

/// The scores of these counties as of a time, by code. Where nothing has happened after it, the stored counts hold for
/// it too: what is done by the end is done by then (a phase that is given without study must be given by then). Otherwise
/// the county's trainees are counted one page after the other.
pub async fn judge_as_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    windows: &Windows,
    county_codes: &[RegionCode],
    judged: Judged,
) -> Result<BTreeMap<RegionCode, CountyRecord>> {
    let is_behind = rescore::is_behind(tx, programme_id).await?;
    let scheme = &windows.scheme;
    let end = scheme.final_as_of();
    let (as_of, unsettled) = match judged {
        Judged::AtTheEnd => (end, BTreeSet::new()),
        Judged::AsOf(as_of) => {
            (as_of, decisions::unsettled_counties(tx, programme_id, Span { end, as_of }).await?)
        }
    };
    let nothing_given_after = scheme.nothing_given_after(as_of.min(end));
    let mut latest = BTreeMap::new();
    for row in scores::counties(tx, programme_id, county_codes).await? {
        latest.insert(row.county_code, row.latest_fact_at);
    }
    let mut stored = Vec::new();
    let mut totals = BTreeMap::new();
    for county_code in county_codes {
        let latest = latest.get(county_code).copied().flatten();
        let nothing_after =
            nothing_given_after && latest.is_none_or(|latest| latest <= as_of && latest <= end);
        let holds = !is_behind && !unsettled.contains(county_code);
        if holds && (as_of == end || nothing_after) {
            stored.push(*county_code);
            continue;
        }
        let sums = count_as_of(tx, programme_id, windows, *county_code, as_of).await?;
        totals.insert(*county_code, sums.of_county(*county_code));
    }
    totals.append(&mut counts::county_totals(tx, programme_id, &stored).await?);
    judge(tx, programme_id, windows, county_codes, &totals, as_of).await
}
