//! What was decided about items of a trainee's score, over generated facts and decisions.

use proptest::prelude::*;
use shipei_rules::explanation::{Adjustment, ItemKey, ItemState};
use shipei_rules::scheme::Scheme;
use shipei_rules::trainee::{TraineeFacts, final_score, most_points, passed_at, restated, score};
use shipei_rules::vocabulary::AdjustmentKind;

use crate::support::{at, qinhuangdao};
use crate::trainee_properties::{any_facts, instant};

const ITEMS: [ItemKey; 5] =
    [ItemKey::Phase(0), ItemKey::Phase(1), ItemKey::Assignment, ItemKey::Seminar, ItemKey::Offline];

/// Decisions with numbers of their own; some about items that the scheme doesn't have, or with more points than they can bring.
fn adjustments() -> impl Strategy<Value = Vec<Adjustment>> {
    let items = [&ITEMS[..], &[ItemKey::Phase(7)]].concat();
    let one = (prop::sample::select(items), 0_i64..45, instant(), prop::option::of(instant()));
    prop::collection::vec(one, 0..6).prop_map(|decisions| {
        let numbered = (1..).zip(decisions);
        let decided = numbered.map(|(number, (item, points, decided_at, expires_at))| Adjustment {
            item,
            points,
            kind: AdjustmentKind::Excuse,
            decided_at,
            expires_at,
            number,
            by: "province:P1".to_owned(),
            fact_id: format!("D{number}"),
        });
        decided.collect()
    })
}

/// What an item gives by a plain reading: the last decision by then, if it has not expired.
fn read_plainly(
    facts: &TraineeFacts,
    scheme: &Scheme,
    key: ItemKey,
    as_of: chrono::DateTime<chrono::Utc>,
) -> Option<i64> {
    let mut last: Option<&Adjustment> = None;
    for found in &facts.adjustments {
        let is_later =
            last.is_none_or(|last| (found.decided_at, found.number) > (last.decided_at, last.number));
        if found.item == key && found.decided_at <= as_of && is_later {
            last = Some(found);
        }
    }
    let last = last.filter(|last| last.expires_at.is_none_or(|expires_at| as_of < expires_at))?;
    Some(last.points.min(most_points(scheme, key)?))
}

proptest! {
    #[test]
    fn decided_items_count_as_decided_and_all_others_as_computed(
        facts in any_facts(), decided in adjustments(), as_of in instant(), seed in any::<u64>(),
    ) {
        let scheme = qinhuangdao();
        let plain = score(&scheme, &facts, as_of);
        let mut decided = TraineeFacts { adjustments: decided, ..facts };
        let found = score(&scheme, &decided, as_of);
        prop_assert_eq!(found.withdrawn, plain.withdrawn);
        let mut total = 0;
        for (item, computed) in found.items.iter().zip(&plain.items) {
            match read_plainly(&decided, &scheme, item.key, as_of) {
                None => prop_assert_eq!(item, computed),
                Some(points) => {
                    prop_assert_eq!(item.points, points);
                    prop_assert_eq!(item.adjusted.as_ref().map(|adjusted| adjusted.computed), Some(computed.points));
                    prop_assert_eq!(item.is_earned(), points > 0);
                    prop_assert_eq!(item.reason.is_some(), item.state == ItemState::Missed);
                    prop_assert!(item.missing.is_none() && item.at.is_some());
                }
            }
            prop_assert!((0..=item.max_points).contains(&item.points));
            total += item.points;
        }
        prop_assert_eq!(found.total, total);
        let seminar = found.item(ItemKey::Seminar).is_some_and(|item| item.is_earned());
        prop_assert_eq!(found.passed, total >= scheme.trainee.pass_total && seminar);
        prop_assert_eq!(passed_at(&scheme, &found).is_some(), found.passed);
        if let Some(at) = passed_at(&scheme, &found) {
            prop_assert!(at <= as_of);
        }
        // In any order.
        shuffle(&mut decided.adjustments, seed);
        prop_assert_eq!(score(&scheme, &decided, as_of), found);
    }

    #[test]
    fn final_score_knows_what_was_decided_later_and_holds_when_it_is_restated(
        facts in any_facts(), mut decided in adjustments(),
    ) {
        let scheme = qinhuangdao();
        let end = scheme.final_as_of();
        let late = TraineeFacts { adjustments: decided.clone(), ..facts.clone() };
        let found = final_score(&scheme, &late, end);
        for decision in &mut decided {
            decision.expires_at = decision.expires_at.filter(|expires_at| *expires_at <= end);
        }
        // Without what expires afterwards, nothing changes behind the end but that everything was decided by then.
        let lasting = TraineeFacts { adjustments: decided, ..facts };
        let later = at("2030-01-01T00:00:00");
        let points = |items: &[shipei_rules::explanation::Item]| items.iter().map(|item| item.points).collect::<Vec<_>>();
        prop_assert_eq!(points(&found.items), points(&score(&scheme, &lasting, later).items));
        prop_assert_eq!(&restated(&scheme, found.items.clone(), end), &found);
    }
}

/// A shuffle that needs nothing but a seed.
fn shuffle(adjustments: &mut [Adjustment], mut seed: u64) {
    for place in (1..adjustments.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let other = usize::try_from(seed >> 33).unwrap_or_default() % (place + 1);
        adjustments.swap(place, other);
    }
}
