//! What the tests share: the model scheme, instants as texts, and shorthand for facts.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use shipei_rules::ids::SubmissionId;
use shipei_rules::scheme::{Grade, Scheme};
use shipei_rules::trainee::{Mark, MarkKind, SubmissionFacts};

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

/// An instant in Qinhuangdao: `2019-09-15T00:00:00`.
pub(crate) fn at(local: &str) -> DateTime<Utc> {
    format!("{local}+08:00").parse().unwrap()
}

/// A submission with marks: at, and a grade, or `None` for a return.
pub(crate) fn submission(id: &str, submitted: &str, marks: &[(&str, Option<Grade>)]) -> SubmissionFacts {
    let mut facts = SubmissionFacts {
        id: SubmissionId::parse(id).unwrap(),
        submitted_at: at(submitted),
        superseded_at: None,
        marks: Vec::new(),
    };
    for (index, (marked, grade)) in marks.iter().enumerate() {
        facts.marks.push(Mark {
            at: at(marked),
            sequence: i64::try_from(index).unwrap(),
            kind: grade.map_or(MarkKind::Returned, MarkKind::Graded),
        });
    }
    facts
}
