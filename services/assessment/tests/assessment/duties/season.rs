//! A season in which every duty of Annex 1 was done, so long before or after it was due.

use chrono::{DateTime, TimeDelta, Utc};
use shipei_contracts::{
    assignment::v1 as assignment,
    common::v1::{EducationStage, Role},
    decisions::v1 as decisions,
    enrollment::v1 as enrollment,
    learning::v1 as learning,
    offline::v1 as offline,
};
use shipei_rules::{
    duties::{self, DoneWhen, Duty},
    scheme::Scheme,
    vocabulary::Role as Whose,
};

use crate::support::{HAIGANG, PROGRAMME, SCHEME, Writer};

/// The city of the season.
pub(super) const CITY: &str = "130300";
/// When a duty is due.
pub(super) fn until(duty: &Duty) -> DateTime<Utc> {
    duty.period(&Scheme::parse(SCHEME).unwrap()).unwrap().until
}

/// A city with one county, a class with its tutor and two trainees, a counselor, an expert and a lead. T1 and U1 are registered
/// then.
pub(super) fn base(registered: DateTime<Utc>) -> Writer {
    let mut log = Writer::default();
    log.programme(SCHEME);
    let city = enrollment::RegionCreated {
        programme_id: PROGRAMME.into(),
        code: CITY.into(),
        level: "city".into(),
        parent_code: "130000".into(),
        province_code: "130000".into(),
        ..Default::default()
    };
    log.enrollment(CITY, "2019-06-21 00:00", &city);
    log.county(HAIGANG);
    log.class("C1", HAIGANG, "U1");
    log.staff("K1", Role::CountyCounselor, HAIGANG);
    log.staff("X1", Role::SubjectExpert, "");
    log.staff("M1", Role::MunicipalLead, CITY);
    log.trainee("T2", HAIGANG, "C1");
    for (person_id, role, class_id) in [("T1", Role::Trainee, "C1"), ("U1", Role::ClassTutor, "")] {
        let message = enrollment::PersonRegistered {
            programme_id: PROGRAMME.into(),
            person_id: person_id.into(),
            role: role.into(),
            county_code: HAIGANG.into(),
            class_id: class_id.into(),
            education_stage: EducationStage::Compulsory.into(),
            ..Default::default()
        };
        log.write("enrollment", HAIGANG, registered, &message);
    }
    // What U1 has to mark, and what is to be invoiced.
    let submitted = assignment::AssignmentSubmitted {
        programme_id: PROGRAMME.into(),
        submission_id: "A2".into(),
        person_id: "T2".into(),
        class_id: "C1".into(),
        kind: "lesson_plan".into(),
        number: 1,
    };
    log.assignment(HAIGANG, "2019-11-05 10:00", &submitted);
    let confirmed = enrollment::RemittanceConfirmed {
        programme_id: PROGRAMME.into(),
        county_code: HAIGANG.into(),
        r#ref: "R1".into(),
    };
    log.enrollment(HAIGANG, "2019-09-01 10:00", &confirmed);
    log
}

/// Who bears a duty: a person, or a region.
pub(super) fn bearer(role: Whose) -> (&'static str, &'static str) {
    match role {
        Whose::Trainee => ("T1", ""),
        Whose::ClassTutor => ("U1", ""),
        Whose::SubjectExpert => ("X1", ""),
        Whose::CountyCounselor => ("", HAIGANG),
        Whose::MunicipalLead => ("", CITY),
        Whose::TrainingInstitution => ("", ""),
    }
}

/// That its bearer tells a duty was done.
pub(super) fn evidence(duty: &Duty) -> decisions::EvidenceSubmitted {
    let (person_id, region_code) = bearer(duty.role);
    decisions::EvidenceSubmitted {
        programme_id: PROGRAMME.into(),
        person_id: person_id.into(),
        region_code: region_code.into(),
        duty: duty.code.into(),
        number: 1,
        about_person_ids: Vec::new(),
    }
}

/// Writes what shows that a duty was done then.
fn done(log: &mut Writer, duty: &Duty, when: DateTime<Utc>) {
    let programme_id = || PROGRAMME.to_owned();
    let person = |id: &str| id.to_owned();
    let haigang = || HAIGANG.to_owned();
    let stage = EducationStage::Compulsory;
    macro_rules! tell {
        ($source:literal, $message:expr) => {
            log.write($source, HAIGANG, when, &$message)
        };
    }
    if let DoneWhen::Told(_) = duty.done_when {
        log.write("assessment-decisions", HAIGANG, when, &evidence(duty));
        return;
    }
    let logged_in =
        |id: &str| enrollment::PersonLoggedIn { programme_id: programme_id(), person_id: person(id) };
    let trained =
        |id: &str| enrollment::PreJobTrainingAttended { programme_id: programme_id(), person_id: person(id) };
    let bulletin = |number| assignment::BulletinPublished {
        programme_id: programme_id(),
        class_id: "C1".into(),
        number,
        ..Default::default()
    };
    let achieved = |phase_index| learning::PhaseAchieved {
        programme_id: programme_id(),
        person_id: person("T1"),
        phase_index,
        by: learning::AchievedBy::Minutes.into(),
        session_id: "S1".into(),
        version: 1,
        united: false,
    };
    match duty.code {
        // By their registration, in `base`; the institution held what others attended; three rest on one final version.
        "REPORT-TRAINEE" | "REPORT-TUTOR" | "REPORT-INSTITUTION-TRAIN" | "ASSESS-INSTITUTION-SCORES" => {}
        // By its only county's.
        "REPORT-MUNICIPAL-ROSTER" => {}
        "PREP-INSTITUTION-PLATFORM" => {
            tell!(
                "learning-progress",
                learning::CourseCreated { programme_id: programme_id(), course: None }
            );
        }
        "REPORT-TUTOR-TRAINING" => tell!("enrollment", trained("U1")),
        "REPORT-COUNSELOR-TRAINING" => tell!("enrollment", trained("K1")),
        "REPORT-COUNSELOR-ROSTER" => tell!(
            "enrollment",
            enrollment::RosterReported {
                programme_id: programme_id(),
                county_code: haigang(),
                counselor_id: "K1".into()
            }
        ),
        "REPORT-COUNSELOR-REMIT" => tell!(
            "enrollment",
            enrollment::RemittanceSent {
                programme_id: programme_id(),
                county_code: haigang(),
                r#ref: "R1".into(),
                amount_fen: 100
            }
        ),
        "REPORT-MUNICIPAL-COMPILE" => tell!(
            "enrollment",
            enrollment::RosterCompiled {
                programme_id: programme_id(),
                city_code: CITY.into(),
                lead_id: "M1".into(),
                county_codes: vec![haigang()]
            }
        ),
        "REPORT-INSTITUTION-INVOICE" => tell!(
            "enrollment",
            enrollment::InvoiceIssued {
                programme_id: programme_id(),
                county_code: haigang(),
                r#ref: "R1".into()
            }
        ),
        "LOGIN-TRAINEE" => tell!("enrollment", logged_in("T1")),
        "LOGIN-TUTOR" => tell!("enrollment", logged_in("U1")),
        "LOGIN-EXPERT" => tell!("enrollment", logged_in("X1")),
        "LOGIN-INSTITUTION-OPEN" => tell!(
            "enrollment",
            enrollment::LearningOpened { programme_id: programme_id(), county_code: haigang() }
        ),
        "TRAIN-TRAINEE-SELECT" => tell!(
            "learning-progress",
            learning::CourseSelected {
                programme_id: programme_id(),
                person_id: person("T1"),
                course_id: "G1".into()
            }
        ),
        "TRAIN-TRAINEE-PUBLIC" => tell!("learning-progress", achieved(0)),
        "TRAIN-TRAINEE-PROFESSIONAL" => tell!("learning-progress", achieved(1)),
        "TRAIN-TUTOR-BULLETIN-1" => tell!("assignment-grading", bulletin(1)),
        "TRAIN-TUTOR-BULLETIN-2" => tell!("assignment-grading", bulletin(2)),
        "TRAIN-TUTOR-BULLETIN-3" => tell!("assignment-grading", bulletin(3)),
        "TRAIN-TUTOR-TOPICS" => tell!(
            "assignment-grading",
            assignment::SeminarOpened {
                programme_id: programme_id(),
                class_id: "C1".into(),
                seminar_id: "N1".into(),
                ..Default::default()
            }
        ),
        "TRAIN-TUTOR-MARK" => {
            for (submission_id, person_id) in [("A1", "T1"), ("A2", "T2")] {
                let reviewed = assignment::SubmissionReviewed {
                    programme_id: programme_id(),
                    submission_id: submission_id.into(),
                    person_id: person_id.into(),
                    class_id: "C1".into(),
                    tutor_id: "U1".into(),
                    mark_number: 2,
                    new: assignment::Grade::Pass.into(),
                    ..Default::default()
                };
                tell!("assignment-grading", reviewed);
            }
        }
        "TRAIN-TRAINEE-ASSIGNMENT" => tell!(
            "assignment-grading",
            assignment::AssignmentSubmitted {
                programme_id: programme_id(),
                submission_id: "A1".into(),
                person_id: person("T1"),
                class_id: "C1".into(),
                kind: "lesson_plan".into(),
                number: 1
            }
        ),
        "TRAIN-TRAINEE-SEMINAR" => tell!(
            "assignment-grading",
            assignment::PostAccepted {
                programme_id: programme_id(),
                seminar_id: "N1".into(),
                class_id: "C1".into(),
                person_id: person("T1"),
                number: 1,
                ..Default::default()
            }
        ),
        "OFFLINE-TRAINEE" => tell!(
            "offline-activity",
            offline::AttendanceRecorded {
                programme_id: programme_id(),
                activity_id: "V1".into(),
                person_id: person("T1"),
                county_code: haigang(),
                education_stage: stage.into()
            }
        ),
        "OFFLINE-COUNSELOR-PLAN" => tell!(
            "offline-activity",
            offline::PlanSubmitted {
                programme_id: programme_id(),
                county_code: haigang(),
                education_stage: stage.into()
            }
        ),
        "OFFLINE-COUNSELOR-HOLD" => tell!(
            "offline-activity",
            offline::ActivityHeld {
                programme_id: programme_id(),
                county_code: haigang(),
                education_stage: stage.into(),
                activity_id: "V2".into()
            }
        ),
        "OFFLINE-COUNSELOR-RESULTS" => tell!(
            "offline-activity",
            offline::ResultsSubmitted {
                programme_id: programme_id(),
                county_code: haigang(),
                education_stage: stage.into(),
                number: 1
            }
        ),
        "ASSESS-TRAINEE" => tell!(
            "assessment-decisions",
            decisions::ProgrammeFinalised { programme_id: programme_id(), version: 1, ..Default::default() }
        ),
        "ASSESS-COUNSELOR-CERTIFICATES" => tell!(
            "assessment-decisions",
            decisions::CertificateIssued {
                programme_id: programme_id(),
                person_id: person("T1"),
                county_code: haigang(),
                serial: 1,
                version: 1
            }
        ),
        "ASSESS-EXPERT-RECOMMEND" => tell!(
            "enrollment",
            enrollment::TutorChosen {
                programme_id: programme_id(),
                tutor_id: "U1".into(),
                expert_id: "X1".into()
            }
        ),
        other => panic!("nothing shows {other}"),
    }
}

/// A season in which every duty was done so long before or after it was due.
pub(super) fn season(shift: TimeDelta) -> Writer {
    let mut log = base(until(duties::duty("REPORT-TRAINEE").unwrap()) + shift);
    for duty in duties::all() {
        done(&mut log, duty, until(duty) + shift);
    }
    log
}
