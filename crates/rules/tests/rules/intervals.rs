//! Sets of intervals against the plainest reading of them: a set of whole instants.

use std::collections::BTreeSet;

use proptest::prelude::*;
use shipei_rules::intervals::{Intervals, Span};

fn set_of(intervals: &Intervals) -> BTreeSet<i64> {
    intervals.spans().iter().flat_map(|span| span.from..span.until).collect()
}

fn any_spans() -> impl Strategy<Value = Vec<(bool, i64, i64)>> {
    prop::collection::vec((prop::bool::weighted(0.7), 0_i64..200, 0_i64..40), 0..40)
}

proptest! {
    #[test]
    fn intervals_are_a_set_of_instants(spans in any_spans(), asked in (0_i64..220, 0_i64..60)) {
        let (mut intervals, mut instants) = (Intervals::default(), BTreeSet::new());
        for (adds, from, length) in spans {
            let span = Span { from, until: from + length };
            if adds {
                intervals.insert(span);
                instants.extend(span.from..span.until);
            } else {
                intervals.remove(span);
                instants.retain(|instant| !(span.from..span.until).contains(instant));
            }
            prop_assert_eq!(&set_of(&intervals), &instants);
            let apart = intervals.spans().windows(2).all(|pair| pair[0].until < pair[1].from);
            prop_assert!(apart && intervals.spans().iter().all(|span| span.micros() > 0));
        }
        let span = Span { from: asked.0, until: asked.0 + asked.1 };
        let mut free = Vec::new();
        intervals.push_free(span, &mut free);
        let free: BTreeSet<i64> = free.iter().flat_map(|span| span.from..span.until).collect();
        let expected: BTreeSet<i64> = (span.from..span.until).filter(|at| !instants.contains(at)).collect();
        prop_assert_eq!(free, expected);
        prop_assert_eq!(usize::try_from(intervals.micros()).unwrap(), instants.len());
        prop_assert_eq!(Intervals::from_bytes(&intervals.to_bytes(-5), -5), Some(intervals));
    }
}

#[test]
fn spans_that_touch_have_nothing_in_common() {
    let span = |from, until| Span { from, until };
    assert_eq!(span(0, 5).within(span(5, 9)), None);
    assert_eq!(span(5, 9).within(span(0, 5)), None);
    assert_eq!(span(0, 6).within(span(5, 9)), Some(span(5, 6)));
}

#[test]
fn an_evening_of_study_is_a_few_bytes_and_half_a_set_is_none() {
    let mut intervals = Intervals::default();
    let origin = 1_568_563_200_000_000;
    for beat in 0..180 {
        let from = origin + beat * 30_500_000;
        intervals.insert(Span { from, until: from + 30_500_000 });
    }
    let bytes = intervals.to_bytes(origin);
    assert_eq!((intervals.spans().len(), bytes.len()), (1, 6));
    assert_eq!(Intervals::from_bytes(&bytes[..bytes.len() - 1], origin), None);
    assert_eq!(Intervals::from_bytes(&[0xff; 12], origin), None);
}
