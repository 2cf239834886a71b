//! Adjustments (调整, 免考): what people decide that an item of a score counts as, whatever was computed. The computed value stays
//! beside it and counts again when the decision expires or is taken back.

use chrono::{DateTime, Utc};

use super::{ItemKey, Text};
use crate::vocabulary::AdjustmentKind;

/// A decision about one item of a trainee's score that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// The item.
    pub item: ItemKey,
    /// What it counts as, in points; never more than the item can bring.
    pub points: i64,
    /// Of what kind it is.
    pub kind: AdjustmentKind,
    /// When it was decided: it counts from then on.
    pub decided_at: DateTime<Utc>,
    /// From when on the computed value counts again.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its number among the trainee's: of two at one instant the larger is the later.
    pub number: i64,
    /// Who decided, as `role:subject@region`.
    pub by: String,
    /// The id of the decision.
    pub fact_id: String,
}

/// The adjustment of an item that counts as of a time, of those decided by another: the last one, unless it has expired. What it
/// replaced does not count again when it expires, because it had been decided otherwise.
pub fn counting(
    adjustments: &[Adjustment],
    item: ItemKey,
    decided_by: DateTime<Utc>,
    as_of: DateTime<Utc>,
) -> Option<&Adjustment> {
    let decided = adjustments.iter().filter(|found| found.item == item && found.decided_at <= decided_by);
    let last = decided.max_by_key(|found| (found.decided_at, found.number, &found.fact_id))?;
    last.expires_at.is_none_or(|expires_at| expires_at > as_of).then_some(last)
}

/// What an item counts as by a decision, and what was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjusted {
    /// The points that the facts give.
    pub computed: i64,
    /// The decision.
    pub adjustment: Adjustment,
}

impl Adjusted {
    /// The same as a sentence without times: 经市级核准按18分计（原计算值12分）. `points` is what the item gives.
    pub fn text(&self, points: i64) -> Text {
        let computed = self.computed;
        let (kind_zh, kind_en) = kind_names(self.adjustment.kind);
        let (by_zh, by_en) = level_names(&self.adjustment.by);
        Text::new(
            format!("{kind_zh}：经{by_zh}核准按{points}分计（原计算值{computed}分）"),
            format!("{kind_en}: counts as {points} by decision of the {by_en} (computed: {computed})"),
        )
    }
}

/// What a kind is called, in Chinese and in English.
pub const fn kind_names(kind: AdjustmentKind) -> (&'static str, &'static str) {
    match kind {
        AdjustmentKind::Excuse => ("免考", "excuse"),
        AdjustmentKind::Appeal => ("申诉", "appeal"),
        AdjustmentKind::LateMedicalLeave => ("补交病假", "late medical leave"),
    }
}

/// Whose decision it is, by the role of who decided.
fn level_names(by: &str) -> (&'static str, &'static str) {
    match by.split(':').next().unwrap_or_default() {
        "municipal_lead" => ("市级", "city"),
        "province" => ("省级", "province"),
        "training_institution" => ("承培机构", "training institution"),
        _ => ("主管方", "office in charge"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u32) -> DateTime<Utc> {
        format!("2019-12-20T{hour:02}:00:00Z").parse().unwrap()
    }

    fn adjustment(number: i64, points: i64, decided: u32, expires: Option<u32>) -> Adjustment {
        Adjustment {
            item: ItemKey::Seminar,
            points,
            kind: AdjustmentKind::Appeal,
            decided_at: at(decided),
            expires_at: expires.map(at),
            number,
            by: "municipal_lead:M1@130300".to_owned(),
            fact_id: format!("D{number}"),
        }
    }

    #[test]
    fn last_decision_counts_from_its_time_until_it_expires() {
        let all = [
            adjustment(1, 3, 2, None),
            adjustment(3, 5, 4, Some(8)),
            adjustment(2, 4, 4, None),
            Adjustment { item: ItemKey::Offline, ..adjustment(9, 9, 5, None) },
        ];
        for (hour, points) in
            [(1, None), (2, Some(3)), (3, Some(3)), (4, Some(5)), (7, Some(5)), (8, None), (20, None)]
        {
            for order in [all.to_vec(), all.iter().rev().cloned().collect()] {
                let found = counting(&order, ItemKey::Seminar, at(hour), at(hour));
                assert_eq!(found.map(|found| found.points), points, "as of {hour}");
            }
        }
        // Decided behind the time that the score is of, and known all the same.
        let found = counting(&all, ItemKey::Seminar, at(20), at(1));
        assert_eq!(found.map(|found| found.number), Some(3));
        assert_eq!(counting(&all, ItemKey::Assignment, at(20), at(20)), None);
    }

    #[test]
    fn decision_is_said_in_both_languages() {
        let said = |by: &str, kind| {
            let adjustment = Adjustment { by: by.to_owned(), kind, ..adjustment(1, 18, 2, None) };
            Adjusted { computed: 12, adjustment }.text(18)
        };
        for (by, kind, zh, en) in [
            (
                "municipal_lead:M1@130300",
                AdjustmentKind::Excuse,
                "免考：经市级核准按18分计（原计算值12分）",
                "excuse: counts as 18 by decision of the city (computed: 12)",
            ),
            (
                "training_institution:I1",
                AdjustmentKind::Appeal,
                "申诉：经承培机构核准按18分计（原计算值12分）",
                "appeal: counts as 18 by decision of the training institution (computed: 12)",
            ),
            (
                "province:P1",
                AdjustmentKind::LateMedicalLeave,
                "补交病假：经省级核准按18分计（原计算值12分）",
                "late medical leave: counts as 18 by decision of the province (computed: 12)",
            ),
            (
                "service:test",
                AdjustmentKind::Excuse,
                "免考：经主管方核准按18分计（原计算值12分）",
                "excuse: counts as 18 by decision of the office in charge (computed: 12)",
            ),
        ] {
            assert_eq!(said(by, kind), Text::new(zh, en));
        }
    }
}
