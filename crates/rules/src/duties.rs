//! The 63 duties of Annex 1 (工作流程): who has to do what, in which stage, and what shows that it was done.
//!
//! The list is data (`data/duties.csv`), read once. The stage is the name of a window in a scheme's calendar; a scheme
//! that lacks the window has no such duty. To add a duty, add a line; the count in the test is deliberate.

use std::sync::LazyLock;

use crate::vocabulary::Role;

/// What shows that a duty was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DoneWhen {
    /// Its bearer says so and gives evidence.
    Evidence,
    /// A fact of the programme says so by itself, e.g. `person reported`; the words are the file's, in English.
    Fact(&'static str),
}

/// One cell of Annex 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duty {
    /// The stable code, e.g. `REPORT-TUTOR`.
    pub code: &'static str,
    /// The name of the calendar window in which it is due, e.g. `reporting`.
    pub stage: &'static str,
    /// Whose duty it is.
    pub role: Role,
    /// The notice's words.
    pub duty_zh: &'static str,
    /// What shows that it was done.
    pub done_when: DoneWhen,
}

/// Every duty, in the order of Annex 1.
pub fn all() -> &'static [Duty] {
    static DUTIES: LazyLock<Vec<Duty>> = LazyLock::new(|| parse(include_str!("../data/duties.csv")));
    &DUTIES
}

/// The duty of a code; `None` when there is none.
pub fn duty(code: &str) -> Option<&'static Duty> {
    all().iter().find(|duty| duty.code == code)
}

const EMBEDDED: &str = "the embedded duty file is well formed; a test reads it all";

fn parse(csv: &'static str) -> Vec<Duty> {
    let mut duties = Vec::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<&'static str> = line.split(',').collect();
        assert_eq!(fields.len(), 5, "{EMBEDDED}");
        let done_when = match fields[4].strip_prefix("fact:") {
            Some(fact) => DoneWhen::Fact(fact),
            None => DoneWhen::Evidence,
        };
        duties.push(Duty {
            code: fields[0],
            stage: fields[1],
            role: Role::parse(fields[2]).expect(EMBEDDED),
            duty_zh: fields[3],
            done_when,
        });
    }
    duties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duties_of_annex_1_are_63_with_distinct_codes() {
        assert_eq!(all().len(), 63);
        let codes: std::collections::BTreeSet<&str> = all().iter().map(|duty| duty.code).collect();
        assert_eq!(codes.len(), 63);
        assert_eq!(duty("SUMMARY-EXPERT").unwrap().done_when, DoneWhen::Evidence);
        assert_eq!(
            duty("LOGIN-TUTOR").unwrap().done_when,
            DoneWhen::Fact("logged in with complete information")
        );
        assert!(Role::ALL.iter().all(|role| all().iter().any(|duty| duty.role == *role)));
    }

    #[test]
    fn duties_name_windows_of_the_qinhuangdao_scheme() {
        let scheme = crate::scheme::Scheme::parse(include_str!("../data/qinhuangdao-2019.toml")).unwrap();
        for duty in all() {
            assert!(scheme.period(duty.stage).is_some(), "{}", duty.code);
        }
    }
}
