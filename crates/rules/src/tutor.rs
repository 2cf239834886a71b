//! The score of a class tutor (Annex 3, 班级辅导教师考核办法), excellence and its conditions.
//!
//! A tutor with several classes satisfies bulletins and seminar in each; marking spans all of them. Facts are a set, and
//! nothing dated after `as_of` counts. To add an item, add its figures to the scheme, its function, its line in `score`.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::calendar::Period;
use crate::explanation::{Finding, Item, ItemKey, Missing, Need, ReasonCode};
use crate::history::History;
use crate::ids::{ClassId, SeminarId, SubmissionId};
use crate::scheme::{BulletinRule, Scheme};

/// Everything that is known of a tutor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TutorFacts {
    /// Pre-job training attended (岗前培训).
    pub prejob_attended_at: Option<DateTime<Utc>>,
    /// Chosen as excellent by a provincial expert.
    pub chosen_at: Option<DateTime<Utc>>,
    /// The tutor's classes.
    pub classes: Vec<ClassFacts>,
    /// What those classes answer for as of the time of the score ([`crate::marking::answering`]).
    pub marking: Vec<MarkingWork>,
}

/// One class of a tutor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassFacts {
    /// The class.
    pub class_id: ClassId,
    /// The scheme with the windows that apply to it; `None` for those of everybody.
    pub scheme: Option<Arc<Scheme>>,
    /// When the tutor had it.
    pub held: History<bool>,
    /// Its bulletins: number and when published.
    pub bulletins: Vec<(i64, DateTime<Utc>)>,
    /// Its seminars.
    pub seminars: Vec<SeminarFacts>,
}

impl ClassFacts {
    /// Whether the tutor answers for what ends with a period: who has the class, or had it at that end. What they did there
    /// themselves (`is_own`) counts for them too, whoever has it now.
    fn is_answered(&self, period: &Period, as_of: DateTime<Utc>, is_own: bool) -> bool {
        is_own || *self.held.at(as_of) || (period.is_over(as_of) && *self.held.before(period.until))
    }

    /// The scheme with the windows that apply to the class; `of_all` has those of everybody.
    fn scheme<'s>(&'s self, of_all: &'s Scheme) -> &'s Scheme {
        self.scheme.as_deref().unwrap_or(of_all)
    }
}

/// One seminar of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeminarFacts {
    /// The seminar.
    pub seminar: SeminarId,
    /// When the tutor opened it.
    pub opened_at: DateTime<Utc>,
    /// The first accepted post of a trainee.
    pub first_post_at: Option<DateTime<Utc>>,
    /// When the tutor published its summary.
    pub summarised_at: Option<DateTime<Utc>>,
}

/// One submission for whose marking the tutor answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkingWork {
    /// The submission.
    pub id: SubmissionId,
    /// When it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// A class of the tutor owes it a mark.
    pub is_owed: bool,
    /// The number of the week ([`crate::marking::MarkingWeek`]) that it made late in a class of the tutor.
    pub late_week: Option<i64>,
}

/// What follows from too many late weeks (Annex 3: 上报所在市且下一年度将不再聘用).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TutorFlag {
    /// To be reported to the city.
    ReportToCity,
    /// Not to be hired again next year.
    DoNotRehire,
}

impl TutorFlag {
    /// The stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReportToCity => "REPORT_TO_CITY",
            Self::DoNotRehire => "DO_NOT_REHIRE",
        }
    }
}

/// The score of a tutor at some `as_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TutorScore {
    /// `marking`, then `bulletin_N` by number, then `seminar`.
    pub items: Vec<Item>,
    /// Points of marking.
    pub marking: i64,
    /// Points of all bulletins.
    pub bulletins: i64,
    /// Points of the seminar.
    pub seminar: i64,
    /// The sum.
    pub total: i64,
    /// `total` reaches the scheme's `qualify_total`.
    pub qualified: bool,
    /// How many weeks were marked late.
    pub late_weeks: i64,
    /// So many late weeks that excellence is out of reach.
    pub disqualified: bool,
    /// Eligible for excellence: qualified, pre-job training attended, not disqualified.
    pub eligible: bool,
    /// Eligible and chosen.
    pub excellent: bool,
    /// What the city is told.
    pub flags: Vec<TutorFlag>,
    /// Why the tutor is not eligible, empty when eligible.
    pub not_eligible_because: Vec<ReasonCode>,
    /// Why an expert's choice has no effect: `not_eligible_because` when chosen, else empty.
    pub choice_note: Vec<ReasonCode>,
}

/// The score of a tutor from the facts dated `as_of` or earlier (Annex 3).
///
/// **Decided**: a tutor without classes has nothing to mark (full marking points after `review_until`) but neither
/// bulletins nor seminar (`NO_CLASS`), so is not qualified.
pub fn score(scheme: &Scheme, facts: &TutorFacts, as_of: DateTime<Utc>) -> TutorScore {
    let rules = &scheme.tutor;
    let finding = judge_marking(scheme, facts, as_of);
    let marking = finding.into_item(ItemKey::Marking, rules.marking.points, &rules.marking.clause);
    let mut bulletin_items = Vec::with_capacity(rules.bulletins.len());
    for rule in &rules.bulletins {
        let finding = judge_bulletin(scheme, rule, facts, as_of);
        bulletin_items.push(finding.into_item(ItemKey::Bulletin(rule.number), rule.points, &rule.clause));
    }
    let finding = judge_seminar(scheme, facts, as_of);
    let seminar = finding.into_item(ItemKey::Seminar, rules.seminar.points, &rules.seminar.clause);

    let (marking_points, seminar_points) = (marking.points, seminar.points);
    let bulletin_points = bulletin_items.iter().map(|item| item.points).sum::<i64>();
    let total = marking_points + bulletin_points + seminar_points;
    let mut items = vec![marking];
    items.extend(bulletin_items);
    items.push(seminar);

    let qualified = total >= rules.qualify_total;
    let late_weeks = late_weeks(facts);
    let disqualified = late_weeks >= rules.marking.late_week.disqualify_at;
    let happened = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= as_of);
    let mut not_eligible_because = Vec::new();
    if !qualified {
        not_eligible_because.push(ReasonCode::NotQualified);
    }
    if !happened(facts.prejob_attended_at) {
        not_eligible_because.push(ReasonCode::PrejobNotAttended);
    }
    if disqualified {
        not_eligible_because.push(ReasonCode::TooManyLateWeeks);
    }
    let eligible = not_eligible_because.is_empty();
    let chosen = happened(facts.chosen_at);
    TutorScore {
        items,
        marking: marking_points,
        bulletins: bulletin_points,
        seminar: seminar_points,
        total,
        qualified,
        late_weeks,
        disqualified,
        eligible,
        excellent: eligible && chosen,
        flags: if disqualified { vec![TutorFlag::ReportToCity, TutorFlag::DoNotRehire] } else { Vec::new() },
        choice_note: if chosen { not_eligible_because.clone() } else { Vec::new() },
        not_eligible_because,
    }
}

/// Annex 3, marking: pending until `review_until`, then all or nothing. The oldest submission that is owed a mark is the
/// evidence.
fn judge_marking(scheme: &Scheme, facts: &TutorFacts, as_of: DateTime<Utc>) -> Finding {
    // The last of the classes' ends: until then a mark of some class can be made good.
    let held = facts.classes.iter().filter(|class| *class.held.at(as_of));
    let ends = held.map(|class| class.scheme(scheme).trainee.assignment.review_until);
    let review_until = ends.fold(scheme.trainee.assignment.review_until, DateTime::max);
    let number_owed = length(facts.marking.iter().filter(|work| work.is_owed));
    let missing = Missing::new(Need::Marks, 0, number_owed, review_until);
    let owed = facts.marking.iter().filter(|work| work.is_owed);
    let oldest =
        owed.min_by(|left, right| (left.submitted_at, &left.id).cmp(&(right.submitted_at, &right.id)));
    match oldest {
        Some(work) => Finding::not_earned(as_of, missing).on(&work.id).dated(work.submitted_at),
        None if as_of >= review_until => Finding::earned(scheme.tutor.marking.points, review_until),
        None => Finding::not_earned(as_of, missing),
    }
}

/// Annex 3, late weeks: each week once, however many submissions made it late.
fn late_weeks(facts: &TutorFacts) -> i64 {
    let late: BTreeSet<i64> = facts.marking.iter().filter_map(|work| work.late_week).collect();
    i64::try_from(late.len()).unwrap_or(i64::MAX)
}

/// Annex 3, bulletins: earned when every class has the number published inside the window, dated at the last of them. A
/// bulletin counts for the class, whoever guides it, and for who published it.
fn judge_bulletin(scheme: &Scheme, rule: &BulletinRule, facts: &TutorFacts, as_of: DateTime<Utc>) -> Finding {
    let period_of = |class: &ClassFacts| {
        let own = class.scheme(scheme).tutor.bulletins.iter().find(|own| own.number == rule.number);
        own.map_or(rule.period, |own| own.period)
    };
    in_each_class(facts, as_of, (rule.points, rule.period), period_of, |class, period| {
        let published =
            class.bulletins.iter().filter(|(number, _)| *number == rule.number).map(|(_, at)| *at);
        let counted = published.filter(|at| *at <= as_of && period.contains(*at));
        let first = counted.min();
        let is_own = first.is_some_and(|at| *class.held.at(at));
        (first.ok_or(Need::Bulletin), is_own)
    })
}

/// Annex 3, seminar: every class has one that was opened, posted to and summarised, all inside the window. It counts for the
/// class, whoever guides it, and for who opened it.
fn judge_seminar(scheme: &Scheme, facts: &TutorFacts, as_of: DateTime<Utc>) -> Finding {
    let rules = &scheme.tutor.seminar;
    let period_of = |class: &ClassFacts| class.scheme(scheme).tutor.seminar.period;
    in_each_class(facts, as_of, (rules.points, rules.period), period_of, |class, period| {
        class_seminar(class, period, as_of)
    })
}

/// What a class has, or lacks; and whether the tutor did it.
type InClass = (Result<DateTime<Utc>, Need>, bool);

/// Earned when something is complete in every class that the tutor answers for, dated at the last of them; else the first class
/// that lacks it is the evidence, and how many have it is what there is.
fn in_each_class(
    facts: &TutorFacts,
    as_of: DateTime<Utc>,
    (points, period): (i64, Period),
    period_of: impl Fn(&ClassFacts) -> Period,
    complete_in: impl Fn(&ClassFacts, &Period) -> InClass,
) -> Finding {
    let mut until = None;
    let mut complete_at = None;
    let mut lacking = None;
    let (mut complete, mut answered) = (0, 0);
    for class in by_id(&facts.classes) {
        let own = period_of(class);
        let (found, is_own) = complete_in(class, &own);
        if !class.is_answered(&own, as_of, is_own) {
            continue;
        }
        answered += 1;
        match found {
            Ok(at) => {
                complete += 1;
                complete_at = complete_at.max(Some(at));
            }
            Err(lack) => {
                // What one class can't make good any more is missed, whatever time the others have.
                until = Some(until.map_or(own.until, |until: DateTime<Utc>| until.min(own.until)));
                lacking = lacking.or(Some((class, lack)));
            }
        }
    }
    let until = until.unwrap_or(period.until);
    match (lacking, complete_at) {
        (Some((class, what)), _) => {
            let missing = Missing::new(what, complete, answered, until);
            Finding::not_earned(as_of, missing).on(&class.class_id)
        }
        (None, Some(at)) => Finding::earned(points, at),
        (None, None) => Finding::not_earned(as_of, Missing::one(Need::Class, until)),
    }
}

fn length<T>(list: impl Iterator<Item = T>) -> i64 {
    i64::try_from(list.count()).unwrap_or(i64::MAX)
}

/// When the first seminar of a class was complete, or what the one that came furthest lacks.
fn class_seminar(class: &ClassFacts, period: &Period, as_of: DateTime<Utc>) -> InClass {
    let counted = |at: Option<DateTime<Utc>>| at.filter(|at| *at <= as_of && period.contains(*at));
    let mut first_complete: Option<DateTime<Utc>> = None;
    let mut is_own = false;
    let mut furthest = 0;
    for seminar in &class.seminars {
        let Some(opened_at) = counted(Some(seminar.opened_at)) else { continue };
        furthest = furthest.max(1);
        let Some(posted_at) = counted(seminar.first_post_at) else { continue };
        furthest = 2;
        let Some(summarised_at) = counted(seminar.summarised_at) else { continue };
        is_own |= *class.held.at(opened_at);
        let complete_at = opened_at.max(posted_at).max(summarised_at);
        first_complete = Some(first_complete.map_or(complete_at, |first| first.min(complete_at)));
    }
    let lack = match furthest {
        0 => Need::SeminarOpened,
        1 => Need::SeminarPost,
        _ => Need::SeminarSummary,
    };
    (first_complete.ok_or(lack), is_own)
}

/// The classes by id, so that the class named as evidence does not depend on the order of the facts.
fn by_id(classes: &[ClassFacts]) -> Vec<&ClassFacts> {
    let mut sorted: Vec<&ClassFacts> = classes.iter().collect();
    sorted.sort_by(|left, right| left.class_id.cmp(&right.class_id));
    sorted
}
