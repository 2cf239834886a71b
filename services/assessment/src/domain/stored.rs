//! A trainee's explained items as they are kept: what the rules found, without what the scheme says anyway (keys, titles,
//! clauses, most points), so that a list needs no facts. They hold as of any time after the trainee's last fact, since an
//! item says itself until when it can be earned. A field is added with a new tag; `shipei relearn assessment` fills it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prost::Message;
use shipei_rules::{
    explanation::{Adjusted, Adjustment, Clause, Item, ItemKey, ItemState, Missing, Need},
    scheme::Scheme,
    trainee::TraineeScore,
    vocabulary::AdjustmentKind,
};

#[derive(Clone, PartialEq, Eq, Message)]
struct StoredItem {
    #[prost(sint64, tag = "1")]
    points: i64,
    #[prost(string, tag = "2")]
    evidence: String,
    #[prost(sint64, optional, tag = "3")]
    at_micros: Option<i64>,
    /// What it needs, by its code; empty when it is earned.
    #[prost(string, tag = "4")]
    what: String,
    #[prost(sint64, optional, tag = "5")]
    have: Option<i64>,
    #[prost(sint64, tag = "6")]
    need: i64,
    #[prost(sint64, tag = "7")]
    until_micros: i64,
    #[prost(sint64, optional, tag = "8")]
    have_at_micros: Option<i64>,
    #[prost(message, optional, tag = "9")]
    adjusted: Option<StoredAdjusted>,
}

/// By which decision an item counts as its points, and what was computed.
#[derive(Clone, PartialEq, Eq, Message)]
struct StoredAdjusted {
    #[prost(sint64, tag = "1")]
    computed: i64,
    #[prost(sint64, tag = "2")]
    points: i64,
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(sint64, tag = "4")]
    decided_micros: i64,
    #[prost(sint64, optional, tag = "5")]
    expires_micros: Option<i64>,
    #[prost(string, tag = "6")]
    by: String,
    #[prost(sint64, tag = "7")]
    number: i64,
    #[prost(string, tag = "8")]
    fact_id: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct StoredItems {
    #[prost(message, repeated, tag = "1")]
    items: Vec<StoredItem>,
}

/// The items of a score, for the column.
pub fn encode(score: &TraineeScore) -> Vec<u8> {
    let mut items = Vec::with_capacity(score.items.len());
    for item in &score.items {
        let missing = item.missing.as_ref();
        items.push(StoredItem {
            points: item.points,
            evidence: item.evidence.clone().unwrap_or_default(),
            at_micros: item.at.map(|at| at.timestamp_micros()),
            what: missing.map_or("", |missing| missing.what.as_str()).to_owned(),
            have: missing.and_then(|missing| missing.have),
            have_at_micros: missing.and_then(|missing| missing.have_at).map(|at| at.timestamp_micros()),
            need: missing.map_or(0, |missing| missing.need),
            until_micros: missing.map_or(0, |missing| missing.until.timestamp_micros()),
            adjusted: item.adjusted.as_ref().map(stored_adjusted),
        });
    }
    StoredItems { items }.encode_to_vec()
}

fn stored_adjusted(adjusted: &Adjusted) -> StoredAdjusted {
    let adjustment = &adjusted.adjustment;
    StoredAdjusted {
        computed: adjusted.computed,
        points: adjustment.points,
        kind: adjustment.kind.as_str().to_owned(),
        decided_micros: adjustment.decided_at.timestamp_micros(),
        expires_micros: adjustment.expires_at.map(|at| at.timestamp_micros()),
        by: adjustment.by.clone(),
        number: adjustment.number,
        fact_id: adjustment.fact_id.clone(),
    }
}

fn adjusted(key: ItemKey, stored: StoredAdjusted) -> Option<Adjusted> {
    let adjustment = Adjustment {
        item: key,
        points: stored.points,
        kind: AdjustmentKind::parse(&stored.kind)?,
        decided_at: DateTime::from_timestamp_micros(stored.decided_micros)?,
        expires_at: moment(stored.expires_micros)?,
        number: stored.number,
        by: stored.by,
        fact_id: stored.fact_id,
    };
    Some(Adjusted { computed: stored.computed, adjustment })
}

/// The items from the column, for [`shipei_rules::trainee::restated`]; `None` when they are not those of this scheme.
pub fn decode(scheme: &Scheme, bytes: &[u8]) -> Option<Vec<Item>> {
    let stored = StoredItems::decode(bytes).ok()?.items;
    let shape = shape(scheme);
    if stored.len() != shape.len() {
        return None;
    }
    let mut items = Vec::with_capacity(stored.len());
    for (stored, (key, max_points, clause)) in stored.into_iter().zip(shape) {
        let at = moment(stored.at_micros)?;
        let missing = match stored.what.as_str() {
            "" => None,
            code => Some(Missing {
                what: Need::parse(code)?,
                have: stored.have,
                have_at: moment(stored.have_at_micros)?,
                need: stored.need,
                until: DateTime::from_timestamp_micros(stored.until_micros)?,
            }),
        };
        let adjusted = match stored.adjusted {
            Some(stored) => Some(adjusted(key, stored)?),
            None => None,
        };
        // What needs something is as `restated` says it as of the time that is asked for.
        let (state, reason) = match adjusted {
            Some(_) => Item::adjusted_state(stored.points),
            None => (ItemState::Earned, None),
        };
        items.push(Item {
            key,
            points: stored.points,
            max_points,
            state,
            reason,
            missing,
            clause: Arc::clone(clause),
            evidence: (!stored.evidence.is_empty()).then_some(stored.evidence),
            at,
            adjusted,
        });
    }
    Some(items)
}

/// A moment that may be none; `None` when it can't be one.
fn moment(micros: Option<i64>) -> Option<Option<DateTime<Utc>>> {
    micros.map(DateTime::from_timestamp_micros).map_or(Some(None), |at| at.map(Some))
}

/// The items that a trainee's score has by the scheme, in order.
fn shape(scheme: &Scheme) -> Vec<(ItemKey, i64, &Clause)> {
    let rules = &scheme.trainee;
    let phases = rules.online.iter().enumerate();
    let mut shape: Vec<(ItemKey, i64, &Clause)> =
        phases.map(|(index, entry)| (ItemKey::Phase(index), entry.points, &entry.clause)).collect();
    shape.push((ItemKey::Assignment, rules.assignment.points.most(), &rules.assignment.clause));
    shape.push((ItemKey::Seminar, rules.seminar.points, &rules.seminar.clause));
    shape.push((ItemKey::Offline, rules.offline.max_score, &rules.offline.clause));
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipei_rules::trainee::{Studied, TraineeFacts, restated, score};

    #[test]
    fn stored_items_are_those_of_the_score_as_of_any_later_time() {
        let scheme =
            Scheme::parse(include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml")).unwrap();
        let achieved: DateTime<Utc> = "2019-10-12T10:00:00+08:00".parse().unwrap();
        let studied = vec![Some(Studied { seconds: 1_200, at: achieved + chrono::TimeDelta::days(1) })];
        let facts = TraineeFacts { phases: vec![None, Some(achieved)], studied, ..TraineeFacts::default() };
        let bytes = encode(&score(&scheme, &facts, scheme.final_as_of()));
        for day in ["2019-10-13", "2019-10-31", "2019-12-01", "2019-12-21", "2020-05-01"] {
            let as_of = scheme.zone.start_of(day.parse().unwrap());
            let items = decode(&scheme, &bytes).unwrap();
            assert_eq!(restated(&scheme, items, as_of), score(&scheme, &facts, as_of), "{day}");
        }
        let adjustment = |item, points| Adjustment {
            item,
            points,
            kind: AdjustmentKind::Appeal,
            decided_at: achieved,
            expires_at: Some(achieved + chrono::TimeDelta::days(900)),
            number: 1,
            by: "province:P1".to_owned(),
            fact_id: "D1".to_owned(),
        };
        let adjustments = vec![adjustment(ItemKey::Phase(0), 4), adjustment(ItemKey::Phase(1), 0)];
        let facts = TraineeFacts { adjustments, ..facts };
        let bytes = encode(&score(&scheme, &facts, scheme.final_as_of()));
        for day in ["2019-10-13", "2019-12-01", "2020-05-01"] {
            let as_of = scheme.zone.start_of(day.parse().unwrap());
            let items = decode(&scheme, &bytes).unwrap();
            assert_eq!(restated(&scheme, items, as_of), score(&scheme, &facts, as_of), "{day}");
        }
        let mut other = scheme.clone();
        other.trainee.online.pop();
        assert_eq!(decode(&other, &bytes), None);
        assert_eq!(decode(&scheme, b"\xff"), None);
    }
}
