//! What the tests share: the model scheme, instants as texts, and shorthand for facts.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use shipei_rules::explanation::{Item, ItemKey};
use shipei_rules::ids::SubmissionId;
use shipei_rules::scheme::{Grade, Scheme};
use shipei_rules::submission::{Mark, MarkKind, Submission};

/// The text of the model scheme.
pub(crate) const QINHUANGDAO: &str = include_str!("../../data/qinhuangdao-2019.toml");

/// The model scheme, parsed once: properties ask for it a thousand times.
pub(crate) fn qinhuangdao() -> Scheme {
    static SCHEME: LazyLock<Scheme> = LazyLock::new(|| Scheme::parse(QINHUANGDAO).unwrap());
    SCHEME.clone()
}

/// The text of the model scheme with texts replaced; each must occur. Runs of blanks are one blank, in both.
pub(crate) fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = single_blanks(QINHUANGDAO);
    for (old, new) in changes {
        let old = single_blanks(old);
        assert!(text.contains(&old), "the model scheme has no {old:?}");
        text = text.replacen(&old, new, 1);
    }
    text
}

fn single_blanks(text: &str) -> String {
    let mut single = text.to_owned();
    while single.contains("  ") {
        single = single.replace("  ", " ");
    }
    single
}

/// Why items were missed: `ITEM:CODE` of each in order, one blank between, without the offline item, as the score files of
/// a season print it.
pub(crate) fn reasons(items: &[Item]) -> String {
    let mut reasons = Vec::new();
    for item in items.iter().filter(|item| item.key != ItemKey::Offline) {
        reasons.extend(item.reason.map(|reason| format!("{}:{reason}", item.key)));
    }
    reasons.join(" ")
}

/// An instant in Qinhuangdao: `2019-09-15T00:00:00`.
pub(crate) fn at(local: &str) -> DateTime<Utc> {
    format!("{local}+08:00").parse().unwrap()
}

/// A submission with marks: at, and a grade, or `None` for a return. It is the first thing that was recorded, then its
/// marks in order.
pub(crate) fn submission(id: &str, submitted: &str, marks: &[(&str, Option<Grade>)]) -> Submission {
    let mut submission = Submission {
        id: SubmissionId::parse(id).unwrap(),
        submitted_at: at(submitted),
        number: 1,
        marks: Vec::new(),
    };
    for (number, (marked, grade)) in (2..).zip(marks) {
        let kind = grade.map_or(MarkKind::Returned, MarkKind::Graded);
        submission.marks.push(Mark { at: at(marked), number, kind });
    }
    submission
}
