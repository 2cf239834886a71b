//! What shows that the duties of Annex 1 were done, for each who bears them: a person, a county, a city, the training institution.
//! Where a duty stands follows (`shipei_rules::duties`). To let another fact show one, add its line to the `match` of its role.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::TimeDelta;
use shipei_mirror::{Member, Windows, members};
use shipei_rules::{
    calendar::Period,
    duties::{self, Done, DoneWhen, Duty, DutyState, Fact, Told},
    explanation::{ItemKey, adjustment_counting},
    ids::{ClassId, PersonId, ProgrammeId},
    region::RegionCode,
    scheme::Scheme,
    tutor::ClassFacts,
    vocabulary::{EducationStage, OfflineItem, Role},
};
use shipei_service_kit::{Reach, Result};
use shipei_store::Tx;

use crate::{
    assemble::{
        counties::{self, Judged},
        people, trainees,
        tutors::{self, Marking, TutorRecord},
    },
    domain::trainee::TraineeRecord,
    facts::Instant,
    store::{
        classes, counties as stored_counties,
        duties::{self as store, DutyFact},
        lists::{self, TraineesAsked},
        load,
    },
};

/// The most counselors of a county who are looked at.
const COUNSELORS_MAX: i64 = 1_000;
/// The most trainees that are loaded at once.
const TRAINEES_PER_STEP: usize = 1_000;

/// Which programme, by which windows, as of when.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The programme.
    pub programme_id: &'a ProgrammeId,
    /// Its scheme with the windows that apply to some.
    pub windows: &'a Windows,
    /// As of when.
    pub as_of: Instant,
}

/// A duty, and where it stands.
#[derive(Debug, Clone)]
pub struct JudgedDuty {
    /// The duty.
    pub duty: &'static Duty,
    /// When it is to be done.
    pub period: Period,
    /// Where it stands.
    pub state: DutyState,
    /// When and by what it was done, if it was by then.
    pub done: Option<Done>,
    /// Whether evidence of it was sent back, and nothing else shows that it was done.
    pub sent_back: bool,
    /// The decision that excuses it.
    pub excused_by: Option<String>,
}

/// What somebody told of their duties, as of a time.
#[derive(Debug, Default)]
struct ToldFacts {
    done: BTreeMap<String, Done>,
    sent_back: BTreeSet<String>,
}

impl ToldFacts {
    /// Of evidence that was not sent back by then the first counts.
    fn of(facts: &[DutyFact], as_of: Instant) -> Self {
        let by_then = || facts.iter().filter(|fact| fact.happened_at <= as_of);
        let returned: BTreeSet<&str> = by_then()
            .filter(|fact| fact.kind == store::SENT_BACK)
            .map(|fact| fact.reference.as_str())
            .collect();
        let mut told = Self::default();
        for fact in by_then().filter(|fact| fact.kind == store::EVIDENCE) {
            let duty = fact.reference.clone();
            if returned.contains(fact.fact_id.as_str()) {
                told.sent_back.insert(duty);
                continue;
            }
            let done = Some(Done { at: fact.happened_at, by: fact.fact_id.clone() });
            if let Some(first) = Done::first(told.done.remove(&duty), done) {
                told.done.insert(duty, first);
            }
        }
        told
    }
}

/// The first of a kind, of facts in the order of their times.
fn first_of(facts: &[DutyFact], kind: &str) -> Option<Done> {
    let first = facts.iter().find(|fact| fact.kind == kind)?;
    let by = if first.reference.is_empty() { &first.fact_id } else { &first.reference };
    Some(Done { at: first.happened_at, by: by.clone() })
}

/// Where the duties of a role stand. Of several schemes (classes with windows of their own) the latest end of each counts; `by_fact`
/// says what facts show of a duty.
fn judged(
    role: Role,
    schemes: &[Arc<Scheme>],
    facts: &[DutyFact],
    as_of: Instant,
    by_fact: impl Fn(Fact, &Duty) -> Option<Done>,
) -> Vec<JudgedDuty> {
    let told = ToldFacts::of(facts, as_of);
    let mut judged = Vec::new();
    for duty in duties::of_role(role) {
        let periods = schemes.iter().filter_map(|scheme| duty.period(scheme));
        let Some(period) = periods.max_by_key(|period| period.until) else { continue };
        let done = match duty.done_when {
            DoneWhen::Told(
                Told::Deed | Told::Tutors | Told::Staff | Told::Trainees | Told::OfflineCourse,
            ) => told.done.get(duty.code).cloned(),
            DoneWhen::Fact(fact) => by_fact(fact, duty),
        };
        let done = done.filter(|done| done.at <= as_of);
        let state = duties::state(period.until, done.as_ref().map(|done| done.at), as_of);
        let sent_back = done.is_none() && told.sent_back.contains(duty.code);
        judged.push(JudgedDuty { duty, period, state, done, sent_back, excused_by: None });
    }
    judged
}

/// The duties of a trainee.
pub async fn of_trainee(tx: &mut Tx, asked: Asked<'_>, member: &Member) -> Result<Vec<JudgedDuty>> {
    let Asked { programme_id, windows, as_of } = asked;
    let person_id = &member.person_id;
    let facts = people::duty_facts(tx, programme_id, member).await?;
    let registered = people::registered(tx, programme_id, member).await?.map(Done::at);
    let final_at = store::first(tx, programme_id, store::FINAL).await?.map(Done::at);
    let mut found = trainees::load(tx, programme_id, windows, &[person_id]).await?;
    let Some(trainee) = found.remove(person_id) else { return Ok(Vec::new()) };
    let schemes = [Arc::clone(&trainee.scheme)];
    let mut judged = judged(Role::Trainee, &schemes, &facts, as_of, |fact, duty| match fact {
        Fact::Registered => registered.clone(),
        Fact::LoggedIn => trainee.facts.login_at.map(Done::at),
        Fact::CourseSelected => first_of(&facts, store::SELECTED),
        Fact::PhaseAchieved => phase_achieved(&trainee, duty.stage),
        Fact::Submitted => first_by(
            trainee
                .facts
                .submissions
                .iter()
                .map(|submission| (submission.submitted_at, submission.id.as_str())),
        ),
        Fact::Posted => {
            first_by(trainee.facts.seminar_posts.iter().map(|post| (post.at, post.seminar.as_str())))
        }
        Fact::Attended => first_by(
            trainee
                .attendances
                .iter()
                .map(|attendance| (attendance.attended_at, attendance.activity_id.as_str())),
        ),
        Fact::ScoresFinal => final_at.clone(),
        _ => None,
    });
    for duty in &mut judged {
        excuse(&trainee, duty, as_of);
    }
    Ok(judged)
}

/// Lets a duty be excused that is not done, and whose item of the score counts as earned by a decision as of then: nobody owes any more
/// what was decided not to be needed. One that is done says so.
fn excuse(trainee: &TraineeRecord, judged: &mut JudgedDuty, as_of: Instant) {
    let item = match judged.duty.done_when {
        DoneWhen::Fact(Fact::PhaseAchieved) => phase_of(trainee, judged.duty.stage).map(ItemKey::Phase),
        DoneWhen::Fact(Fact::Submitted) => Some(ItemKey::Assignment),
        DoneWhen::Fact(Fact::Posted) => Some(ItemKey::Seminar),
        DoneWhen::Fact(Fact::Attended) => Some(ItemKey::Offline),
        _ => None,
    };
    let (None, Some(item)) = (&judged.done, item) else { return };
    let decision = adjustment_counting(&trainee.facts.adjustments, item, as_of, as_of);
    if let Some(decision) = decision.filter(|decision| decision.points > 0) {
        judged.state = DutyState::Excused;
        judged.excused_by = Some(decision.fact_id.clone());
    }
}

/// The first of times with the ids of what happened then.
fn first_by<'a>(times: impl Iterator<Item = (Instant, &'a str)>) -> Option<Done> {
    times.min().map(|(at, by)| Done { at, by: by.to_owned() })
}

/// When the online phase of a window was achieved; one that asks for nothing is given when it opens.
fn phase_achieved(trainee: &TraineeRecord, window: &str) -> Option<Done> {
    let index = phase_of(trainee, window)?;
    let achieved_at = trainee.facts.phases.get(index).copied().flatten();
    achieved_at.or(trainee.scheme.trainee.online[index].given_at()).map(Done::at)
}

/// Which online phase is that of a window, from 0.
fn phase_of(trainee: &TraineeRecord, window: &str) -> Option<usize> {
    trainee.scheme.trainee.online.iter().position(|entry| entry.window == window)
}

/// The duties of a class tutor: what is to be done for a class is done when it is for each class that they have then.
pub async fn of_tutor(tx: &mut Tx, asked: Asked<'_>, member: &Member) -> Result<Vec<JudgedDuty>> {
    let Asked { programme_id, windows, as_of } = asked;
    let person_id = &member.person_id;
    let facts = people::duty_facts(tx, programme_id, member).await?;
    let registered = people::registered(tx, programme_id, member).await?.map(Done::at);
    let first = people::of_all_ids(tx, programme_id, member).await?;
    let marking = Marking::AsOf(as_of);
    let mut found = tutors::load(tx, programme_id, windows, &[person_id], marking).await?;
    let Some(tutor) = found.remove(person_id) else { return Ok(Vec::new()) };
    let held: Vec<&ClassFacts> = tutor.facts.classes.iter().filter(|class| *class.held.at(as_of)).collect();
    let mut schemes: Vec<Arc<Scheme>> = held.iter().filter_map(|class| class.scheme.clone()).collect();
    if schemes.is_empty() {
        schemes.push(windows.of_person(member));
    }
    let marked = marked(tx, asked, &tutor, &held, &schemes).await?;
    let in_each = |first: &dyn Fn(&ClassFacts) -> Option<Instant>| {
        Done::all(held.iter().map(|class| Some(Done { at: first(class)?, by: class.class_id.to_string() })))
    };
    Ok(judged(Role::ClassTutor, &schemes, &facts, as_of, |fact, _| match fact {
        Fact::Registered => registered.clone(),
        Fact::PreJobAttended => first.pre_job_at.map(Done::at),
        Fact::LoggedIn => first.login_at.map(Done::at),
        Fact::Bulletin(wanted) => in_each(&|class| {
            class.bulletins.iter().filter(|(number, _)| *number == wanted).map(|(_, at)| *at).min()
        }),
        Fact::SeminarOpened => in_each(&|class| class.seminars.iter().map(|seminar| seminar.opened_at).min()),
        Fact::Marked => marked.clone(),
        _ => None,
    }))
}

/// When a tutor had marked all that they owed: not before submitting is over, since more may come until then. What they owed at the
/// end of reviews they can still mark, late. Nothing handed in is nothing owed.
async fn marked(
    tx: &mut Tx,
    asked: Asked<'_>,
    tutor: &TutorRecord,
    held: &[&ClassFacts],
    schemes: &[Arc<Scheme>],
) -> Result<Option<Done>> {
    let Asked { programme_id, windows, as_of } = asked;
    let over = schemes.iter().map(|scheme| scheme.trainee.assignment.period.until).max();
    let Some(over) = over.filter(|over| *over <= as_of && !held.is_empty()) else { return Ok(None) };
    let class_ids: Vec<&ClassId> = held.iter().map(|class| &class.class_id).collect();
    let owed: BTreeSet<&str> =
        tutor.facts.marking.iter().filter(|work| work.is_owed).map(|work| work.id.as_str()).collect();
    let mut last: Option<Done> = None;
    let submitters = classes::submitters_of(tx, programme_id, &class_ids).await?;
    for step in submitters.chunks(TRAINEES_PER_STEP) {
        let people: Vec<&PersonId> = step.iter().collect();
        for trainee in trainees::load(tx, programme_id, windows, &people).await?.values() {
            for submission in &trainee.facts.submissions {
                let marks = submission.marks.iter().map(|mark| mark.at).filter(|at| *at <= as_of);
                let Some(first) = marks.min() else {
                    if owed.contains(submission.id.as_str()) {
                        return Ok(None);
                    }
                    continue;
                };
                let class = trainee.places_of(&submission.id).at(first).class_id.as_ref();
                if class.is_some_and(|class| class_ids.contains(&class)) {
                    let done = Done { at: first, by: submission.id.to_string() };
                    last = Done::all([last, Some(done)].into_iter().filter(Option::is_some));
                }
            }
        }
    }
    Ok(Some(last.unwrap_or_else(|| Done::at(over - TimeDelta::microseconds(1)))))
}

/// The duties of a subject expert.
pub async fn of_expert(tx: &mut Tx, asked: Asked<'_>, member: &Member) -> Result<Vec<JudgedDuty>> {
    let Asked { programme_id, windows, as_of } = asked;
    let facts = people::duty_facts(tx, programme_id, member).await?;
    let login_at = people::of_all_ids(tx, programme_id, member).await?.login_at;
    let mut chosen = None;
    for id in member.ids() {
        chosen = Done::first(chosen, store::first_choice(tx, programme_id, id).await?.map(Done::at));
    }
    let schemes = [windows.of_person(member)];
    Ok(judged(Role::SubjectExpert, &schemes, &facts, as_of, |fact, _| match fact {
        Fact::LoggedIn => login_at.map(Done::at),
        Fact::TutorChosen => chosen.clone(),
        _ => None,
    }))
}

/// The duties of a county, which its counselors carry: with the training of one of them, or of all of them.
pub async fn of_county(
    tx: &mut Tx,
    asked: Asked<'_>,
    county: RegionCode,
    counselor: Option<&Member>,
) -> Result<Vec<JudgedDuty>> {
    let Asked { programme_id, windows, as_of } = asked;
    let facts = store::of_bearer(tx, programme_id, ("", county.as_str())).await?;
    let trained = match counselor {
        Some(counselor) => people::of_all_ids(tx, programme_id, counselor).await?.pre_job_at.map(Done::at),
        None => {
            let of = (county, as_of);
            let ids =
                stored_counties::counselors_of(tx, &Reach::Everything, programme_id, of, COUNSELORS_MAX)
                    .await?;
            let ids: Vec<&PersonId> = ids.iter().collect();
            let counselors = members(tx, programme_id, Role::CountyCounselor, &ids).await?;
            let mut trained = Vec::new();
            for member in counselors.iter().filter(|member| !member.absences.at(as_of)) {
                let at = people::of_all_ids(tx, programme_id, member).await?.pre_job_at;
                trained.push(at.map(|at| Done { at, by: member.person_id.to_string() }));
            }
            Done::all(trained)
        }
    };
    let scheme = windows.of_county(county);
    let stages = taught_stages(tx, asked, county, &scheme).await?;
    let (plans_from, others_from) = (scheme.plan_period().from, scheme.counselor.offline.period.from);
    let times = load::county_times(tx, programme_id, &[county], plans_from, others_from).await?;
    let of_stages = |item: OfflineItem| {
        Done::all(stages.iter().map(|stage| {
            let time = times
                .iter()
                .find(|time| time.kind == item.as_str() && time.education_stage == stage.as_str())?;
            Some(Done { at: time.happened_at, by: stage.to_string() })
        }))
    };
    let schemes = [Arc::clone(&scheme)];
    Ok(judged(Role::CountyCounselor, &schemes, &facts, as_of, |fact, _| match fact {
        Fact::PreJobAttended => trained.clone(),
        Fact::RosterReported => first_of(&facts, store::ROSTER),
        Fact::RemittanceSent => first_of(&facts, store::REMITTED),
        Fact::OfflinePlanned => of_stages(OfflineItem::Plan),
        Fact::OfflineHeld => of_stages(OfflineItem::Activity),
        Fact::OfflineResults => of_stages(OfflineItem::Results),
        Fact::CertificatesIssued => first_of(&facts, store::CERTIFICATES),
        _ => None,
    }))
}

/// The education stages of the scheme in which a county has trainees as of then who are not away (Annex 4).
async fn taught_stages(
    tx: &mut Tx,
    asked: Asked<'_>,
    county: RegionCode,
    scheme: &Scheme,
) -> Result<Vec<EducationStage>> {
    let Asked { programme_id, windows, as_of } = asked;
    let judged = counties::judge_as_of(tx, programme_id, windows, &[county], Judged::AsOf(as_of)).await?;
    let facts = judged.get(&county).map(|record| record.facts.stages.as_slice()).unwrap_or_default();
    let taught = |stage: &EducationStage| facts.iter().any(|found| found.stage == *stage && found.active > 0);
    Ok(scheme.counselor.offline.stages.iter().copied().filter(taught).collect())
}

/// The counties of a city, by the tree as of then, in which trainees stand who are not away.
async fn counties_taught(tx: &mut Tx, asked: Asked<'_>, city: RegionCode) -> Result<Vec<RegionCode>> {
    let Asked { programme_id, as_of, .. } = asked;
    let mut taught = Vec::new();
    for county in store::counties_with_trainees(tx, programme_id, city, as_of).await? {
        let of = TraineesAsked { region_code: Some(county), class_id: None, as_of };
        if !lists::trainees(tx, &Reach::Everything, programme_id, of, "", 1).await?.is_empty() {
            taught.push(county);
        }
    }
    Ok(taught)
}

/// The duties of a city, which its lead carries.
pub async fn of_city(tx: &mut Tx, asked: Asked<'_>, city: RegionCode) -> Result<Vec<JudgedDuty>> {
    let Asked { programme_id, windows, as_of } = asked;
    let facts = store::of_bearer(tx, programme_id, ("", city.as_str())).await?;
    let counties = counties_taught(tx, asked, city).await?;
    let reported = store::first_of_counties(tx, programme_id, store::ROSTER, &counties).await?;
    let schemes = [windows.of_county(city)];
    Ok(judged(Role::MunicipalLead, &schemes, &facts, as_of, |fact, _| match fact {
        Fact::CityReported => Done::all(
            counties.iter().map(|county| Some(Done { at: *reported.get(county)?, by: county.to_string() })),
        ),
        Fact::CityCompiled => first_of(&facts, store::COMPILED),
        _ => None,
    }))
}

/// The duties of the training institution.
pub async fn of_institution(tx: &mut Tx, asked: Asked<'_>) -> Result<Vec<JudgedDuty>> {
    let Asked { programme_id, windows, as_of } = asked;
    let facts = store::of_bearer(tx, programme_id, ("", "")).await?;
    let trained = store::first(tx, programme_id, store::PRE_JOB).await?.map(Done::at);
    let by_then = |facts: Vec<DutyFact>| -> Vec<DutyFact> {
        facts.into_iter().filter(|fact| fact.happened_at <= as_of).collect()
    };
    let reported = by_then(store::of_counties(tx, programme_id, store::ROSTER).await?);
    let confirmed = by_then(store::of_counties(tx, programme_id, store::CONFIRMED).await?);
    let invoiced = by_then(store::of_counties(tx, programme_id, store::INVOICED).await?);
    let invoices = confirmed.iter().map(|confirmed| {
        let same = |invoice: &&DutyFact| {
            (&invoice.region_code, &invoice.reference) == (&confirmed.region_code, &confirmed.reference)
        };
        let first = invoiced.iter().find(same)?;
        Some(Done { at: first.happened_at, by: first.reference.clone() })
    });
    let invoices = Done::all(invoices);
    let remitted: BTreeSet<&str> = confirmed.iter().map(|fact| fact.region_code.as_str()).collect();
    let ready = reported.iter().map(|fact| fact.region_code.as_str()).filter(|code| remitted.contains(code));
    let ready: BTreeSet<RegionCode> = ready.filter_map(|code| RegionCode::parse(code).ok()).collect();
    let ready: Vec<RegionCode> = ready.into_iter().collect();
    let opened = shipei_mirror::counties_opened_at(tx, programme_id, &ready).await?;
    let schemes = [Arc::clone(&windows.scheme)];
    Ok(judged(Role::TrainingInstitution, &schemes, &facts, as_of, |fact, _| match fact {
        Fact::Catalogue => first_of(&facts, store::COURSE),
        Fact::PreJobHeld => trained.clone(),
        Fact::Invoiced => invoices.clone(),
        Fact::LearningOpened => Done::all(
            ready.iter().map(|county| Some(Done { at: *opened.get(county)?, by: county.to_string() })),
        ),
        Fact::ScoresFinal => first_of(&facts, store::FINAL),
        _ => None,
    }))
}
