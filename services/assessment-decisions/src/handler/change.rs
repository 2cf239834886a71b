//! What changed from one final version to another, and where it comes from.

use prost::Message as _;
use shipei_contracts::{
    common::v1::ErrorReason,
    decisions::v1::{self as proto, ScoreChangeCause as Cause},
};
use shipei_rules::ids::text_of;
use shipei_service_kit::{Listing, ReadUnit, Refusal, Result};
use shipei_store::{StoreError, list::Listed};

use super::Handler;
use crate::{
    convert,
    error::not_found,
    store::{
        change::{self as store, ChangedRow, ClassKey},
        version,
    },
};

/// How many classes are named at once.
const CLASSES: i64 = 100;

impl Handler {
    pub(super) async fn score_changes(
        self,
        mut unit: ReadUnit,
        request: proto::ListScoreChangesRequest,
    ) -> Result<(ReadUnit, proto::ListScoreChangesResponse)> {
        let convert::Changes { programme, from, to, region } = convert::changes(&request)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let from = version::final_version(&mut unit.tx, &programme, from).await?;
        let from = from.ok_or_else(|| not_found("from_version"))?.version;
        let to = version::final_version(&mut unit.tx, &programme, to).await?;
        let to = to.ok_or_else(|| not_found("to_version"))?.version;
        if from >= to {
            let refusal = Refusal::new(ErrorReason::InvalidField).field("from_version");
            return Err(refusal.because("must be before to_version").into());
        }
        let versions = (from, to);
        let page = self.kit.page::<proto::ListScoreChangesRequest>(
            &[programme.as_str(), &from.to_string(), &to.to_string(), text_of(region.as_ref())],
            request.page_size,
            &request.page_token,
        )?;
        let asked = (versions, region, unit.now);
        let mut first = ClassKey {
            city_code: page.after(0).to_owned(),
            county_code: page.after(1).to_owned(),
            class_id: page.after(2).to_owned(),
        };
        let (begun_in, mut done, mut rows) = (first.clone(), None, Vec::new());
        let is_full = |rows: &Vec<_>| i64::try_from(rows.len()).unwrap_or(i64::MAX) >= page.limit();
        loop {
            let (tx, reach) = (&mut unit.tx, &unit.reach);
            let classes = store::changed_classes(tx, reach, &programme, asked, &first, CLASSES).await?;
            let is_end = i64::try_from(classes.len()).unwrap_or(i64::MAX) < CLASSES;
            for class in classes.iter().filter(|class| done.as_ref() != Some(*class)) {
                let is_begun = *class == begun_in && !page.is_first();
                let after = if is_begun { page.after(3) } else { "" };
                let left = page.limit() - i64::try_from(rows.len()).unwrap_or(i64::MAX);
                let changed = store::changes_of_class(tx, &programme, versions, class, after, left).await?;
                rows.extend(changed.into_iter().map(|row| {
                    let ClassKey { city_code, county_code, class_id } = class.clone();
                    Listed::of(vec![city_code, county_code, class_id, row.person_id.clone()], row)
                }));
                if is_full(&rows) {
                    break;
                }
            }
            // The first of the next ones is the last of these.
            match classes.into_iter().last() {
                Some(last) if !is_end && !is_full(&rows) => (first, done) = (last.clone(), Some(last)),
                _ => break,
            }
        }
        let Listing { entries: changes, next_page_token, broken } = page.list(rows, change)?;
        Ok((unit, proto::ListScoreChangesResponse { changes, next_page_token, broken }))
    }
}

fn change(row: ChangedRow) -> Result<proto::ScoreChange> {
    let read = |bytes: Option<Vec<u8>>| {
        let read = bytes.map(|bytes| proto::FinalScore::decode(bytes.as_slice())).transpose();
        read.map_err(|_| StoreError::corrupt_row("final_score", "score", &row.person_id))
    };
    let (old, new) = (read(row.old)?, read(row.new)?);
    let items = items(old.as_ref(), new.as_ref());
    Ok(proto::ScoreChange { person_id: row.person_id, old, new, items })
}

/// Whether only one of them counts by a decision, or both do and not alike.
fn is_decided_anew(before: &proto::FinalItem, after: &proto::FinalItem) -> bool {
    let (was, is) = (before.computed_hundredths.is_some(), after.computed_hundredths.is_some());
    was != is || is && before.hundredths != after.hundredths
}

/// The items that differ: those of the later score in its order, then those that only the earlier one has.
fn items(old: Option<&proto::FinalScore>, new: Option<&proto::FinalScore>) -> Vec<proto::ItemChange> {
    let (Some(old), Some(new)) = (old, new) else { return Vec::new() };
    let named =
        |score: &proto::FinalScore, name: &str| score.items.iter().find(|item| item.name == name).cloned();
    let is_other_scheme = old.scheme_version != new.scheme_version;
    let mut changes = Vec::new();
    for item in &new.items {
        let before = named(old, &item.name);
        let cause = match &before {
            Some(before) if before == item => continue,
            Some(before) if is_decided_anew(before, item) => Cause::Decision,
            Some(_) if !is_other_scheme => Cause::Facts,
            _ => Cause::Scheme,
        };
        changes.push(proto::ItemChange {
            name: item.name.clone(),
            old_hundredths: before.map_or(0, |before| before.hundredths),
            new_hundredths: item.hundredths,
            cause: cause.into(),
        });
    }
    for gone in old.items.iter().filter(|item| named(new, &item.name).is_none()) {
        changes.push(proto::ItemChange {
            name: gone.name.clone(),
            old_hundredths: gone.hundredths,
            new_hundredths: 0,
            cause: Cause::Scheme.into(),
        });
    }
    changes
}
