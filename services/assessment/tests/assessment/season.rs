//! A small season with everything in it: phases, superseded and returned work, late weeks, a transfer with unmarked
//! work, withdrawals, seminars, bulletins, offline activities of two stages, a choice.

use shipei_contracts::{
    assignment::v1::{self as assignment, Grade},
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    learning::v1 as learning,
    offline::v1 as offline,
};

use shipei_service_kit::to_timestamp;

use crate::support::{HAIGANG, PROGRAMME, SCHEME, SHANHAIGUAN, Writer, at};

/// The whole season, in the order of time within each kind.
pub(crate) fn season() -> Writer {
    let mut log = Writer::default();
    people(&mut log);
    for number in 1..=12 {
        study(&mut log, number);
    }
    assignments(&mut log);
    classes(&mut log);
    counties(&mut log);
    log
}

fn person(number: i32) -> String {
    format!("T{number:02}")
}

fn county_of(number: i32) -> &'static str {
    if number <= 8 { HAIGANG } else { SHANHAIGUAN }
}

fn people(log: &mut Writer) {
    log.programme(SCHEME);
    for county in [HAIGANG, SHANHAIGUAN] {
        log.county(county);
    }
    log.class("C1", HAIGANG, "U1");
    log.class("C2", HAIGANG, "U1");
    log.class("C3", SHANHAIGUAN, "U2");
    log.staff("U1", Role::ClassTutor, HAIGANG);
    log.staff("U2", Role::ClassTutor, SHANHAIGUAN);
    log.staff("K1", Role::CountyCounselor, HAIGANG);
    log.staff("K2", Role::CountyCounselor, SHANHAIGUAN);
    for number in 1..=12 {
        let class_id = if number <= 4 {
            "C1"
        } else if number <= 8 {
            "C2"
        } else {
            "C3"
        };
        log.trainee(&person(number), county_of(number), class_id);
    }
    for tutor_id in ["U1", "U2"] {
        let attended =
            enrollment::PreJobTrainingAttended { programme_id: PROGRAMME.into(), person_id: tutor_id.into() };
        log.enrollment(HAIGANG, "2019-09-05 09:00", &attended);
    }
    let chosen = enrollment::TutorChosen {
        programme_id: PROGRAMME.into(),
        tutor_id: "U2".into(),
        expert_id: "E1".into(),
    };
    log.enrollment(SHANHAIGUAN, "2019-12-26 10:00", &chosen);
    log.enrollment(SHANHAIGUAN, "2019-12-24 10:00", &chosen);
    // T05 moves in mid-season with work that nobody has marked; T03 and T10 leave.
    let place = |county: &str, class_id: &str| enrollment::TraineePlace {
        county_code: county.into(),
        school_code: "S1".into(),
        class_id: class_id.into(),
    };
    let transferred = enrollment::TraineeTransferred {
        programme_id: PROGRAMME.into(),
        person_id: "T05".into(),
        old: Some(place(HAIGANG, "C2")),
        new: Some(place(SHANHAIGUAN, "C3")),
        move_number: 1,
    };
    log.enrollment(SHANHAIGUAN, "2019-11-20 08:00", &transferred);
    // T12 goes and comes back: two transfers in two partitions.
    let away = enrollment::TraineeTransferred {
        programme_id: PROGRAMME.into(),
        person_id: "T12".into(),
        old: Some(place(SHANHAIGUAN, "C3")),
        new: Some(place(HAIGANG, "C1")),
        move_number: 1,
    };
    let back = enrollment::TraineeTransferred {
        old: away.new.clone(),
        new: away.old.clone(),
        move_number: 2,
        ..away.clone()
    };
    log.enrollment(HAIGANG, "2019-10-20 10:00", &away);
    log.enrollment(SHANHAIGUAN, "2019-10-22 10:00", &back);
    for (person_id, county, time) in
        [("T03", HAIGANG, "2019-11-10 12:00"), ("T10", SHANHAIGUAN, "2019-12-08 12:00")]
    {
        let withdrawn =
            enrollment::TraineeWithdrawn { programme_id: PROGRAMME.into(), person_id: person_id.into() };
        log.enrollment(county, time, &withdrawn);
    }
}

fn study(log: &mut Writer, number: i32) {
    let county = county_of(number);
    let day = if number % 5 == 0 { "2019-09-16 08:00" } else { "2019-09-12 08:00" };
    let logged_in = enrollment::PersonLoggedIn { programme_id: PROGRAMME.into(), person_id: person(number) };
    log.enrollment(county, day, &logged_in);
    let phases = [("2019-10-05 20:00", number != 4), ("2019-11-25 20:00", number % 6 != 0)];
    for (phase_index, (time, achieved)) in (0..).zip(phases) {
        if !achieved {
            // Of all versions the highest counts; the last that is told here is not it.
            for (version, credited_seconds, latest) in
                [(1, 1_200, "09:00"), (3, 3_600, "11:00"), (2, 2_400, "10:00")]
            {
                let latest = format!("{} {latest}", &time[..10]);
                let studied = learning::PhaseStudied {
                    programme_id: PROGRAMME.into(),
                    person_id: person(number),
                    phase_index,
                    credited_seconds,
                    latest_time: Some(to_timestamp(at(&latest))),
                    version,
                    united: false,
                };
                log.learning(county, &latest, &studied);
            }
            continue;
        }
        let achieved = learning::PhaseAchieved {
            programme_id: PROGRAMME.into(),
            person_id: person(number),
            phase_index,
            by: learning::AchievedBy::Minutes.into(),
            session_id: format!("S{number}-{phase_index}"),
            version: 1,
            united: false,
        };
        log.learning(county, time, &achieved);
        if number == 1 {
            // Of all versions the highest counts, in whatever order they come.
            let later = learning::PhaseAchieved { session_id: "S0".into(), version: 3, ..achieved.clone() };
            log.learning(county, time, &later);
            let taken_back = learning::PhaseTakenBack {
                programme_id: PROGRAMME.into(),
                person_id: person(number),
                phase_index,
                version: 2,
                united: false,
            };
            log.learning(county, "2019-11-29 20:00", &taken_back);
            log.learning(county, "2019-11-29 20:00", &learning::PhaseAchieved { version: 1, ..achieved });
        }
    }
}

/// A trainee's submission; `nth` is its number among the trainee's submissions and marks.
fn submitted(log: &mut Writer, number: i32, (id, nth): (&str, i64), class_id: &str, time: &str) {
    let fact = assignment::AssignmentSubmitted {
        programme_id: PROGRAMME.into(),
        submission_id: id.into(),
        person_id: person(number),
        class_id: class_id.into(),
        kind: "lesson_plan".into(),
        number: nth,
    };
    log.assignment(county_of(number), time, &fact);
}

fn reviewed(
    log: &mut Writer,
    number: i32,
    id: &str,
    class_id: &str,
    mark_number: i64,
    grade: Grade,
    time: &str,
) {
    let fact = assignment::SubmissionReviewed {
        programme_id: PROGRAMME.into(),
        submission_id: id.into(),
        person_id: person(number),
        class_id: class_id.into(),
        tutor_id: "U1".into(),
        mark_number,
        new: grade.into(),
        old: Grade::Unspecified.into(),
    };
    log.assignment(county_of(number), time, &fact);
}

fn assignments(log: &mut Writer) {
    submitted(log, 1, ("A1", 1), "C1", "2019-11-05 10:00");
    reviewed(log, 1, "A1", "C1", 2, Grade::Pass, "2019-11-08 10:00");
    reviewed(log, 1, "A1", "C1", 3, Grade::Excellent, "2019-11-09 10:00");
    // Superseded before its Sunday, then marked after the next one: one late week.
    submitted(log, 2, ("A2", 1), "C1", "2019-11-11 10:00");
    submitted(log, 2, ("A2b", 2), "C1", "2019-11-12 10:00");
    reviewed(log, 2, "A2b", "C1", 3, Grade::Pass, "2019-11-18 00:00");
    submitted(log, 3, ("A3", 1), "C1", "2019-11-06 10:00");
    // T05's work waits at its Sunday in C2, and is never marked: late in C2, owed by C3.
    submitted(log, 5, ("A5", 1), "C2", "2019-11-14 10:00");
    submitted(log, 6, ("A6", 1), "C2", "2019-11-14 11:00");
    let returned = assignment::SubmissionReturned {
        programme_id: PROGRAMME.into(),
        submission_id: "A6".into(),
        person_id: person(6),
        class_id: "C2".into(),
        tutor_id: "U1".into(),
        mark_number: 2,
        old: Grade::Unspecified.into(),
    };
    log.assignment(HAIGANG, "2019-11-15 11:00", &returned);
    for number in 9..=12 {
        let id = format!("A{number}");
        submitted(log, number, (&id, 1), "C3", "2019-12-02 09:00");
        if number != 10 {
            reviewed(log, number, &id, "C3", 2, Grade::Pass, "2019-12-05 09:00");
        }
    }
}

fn classes(log: &mut Writer) {
    for (class_id, county, tutor_id) in
        [("C1", HAIGANG, "U1"), ("C2", HAIGANG, "U1"), ("C3", SHANHAIGUAN, "U2")]
    {
        for (number, time) in [(1, "2019-10-01 09:00"), (2, "2019-11-01 09:00"), (3, "2019-12-10 09:00")] {
            let bulletin = assignment::BulletinPublished {
                programme_id: PROGRAMME.into(),
                class_id: class_id.into(),
                number,
                tutor_id: tutor_id.into(),
            };
            log.assignment(county, time, &bulletin);
        }
        let seminar_id = format!("M-{class_id}");
        let opened = assignment::SeminarOpened {
            programme_id: PROGRAMME.into(),
            seminar_id: seminar_id.clone(),
            class_id: class_id.into(),
            tutor_id: tutor_id.into(),
        };
        log.assignment(county, "2019-11-21 09:00", &opened);
        let members: &[i32] = match class_id {
            "C1" => &[1, 2],
            "C2" => &[6, 7],
            _ => &[5, 9, 11, 12],
        };
        for (number, member) in (1..).zip(members) {
            let post = assignment::PostAccepted {
                programme_id: PROGRAMME.into(),
                seminar_id: seminar_id.clone(),
                class_id: class_id.into(),
                person_id: person(*member),
                number,
                characters: 320,
            };
            log.assignment(county, &format!("2019-12-0{number} 09:00"), &post);
        }
        let summarised = assignment::SeminarSummarised {
            programme_id: PROGRAMME.into(),
            seminar_id,
            class_id: class_id.into(),
            tutor_id: tutor_id.into(),
            number: 1,
        };
        log.assignment(county, "2019-12-15 09:00", &summarised);
    }
}

fn counties(log: &mut Writer) {
    let stage: i32 = EducationStage::Compulsory.into();
    for (county, people) in [(HAIGANG, vec![1, 2, 3, 5, 6]), (SHANHAIGUAN, vec![9, 10, 11])] {
        let county_code = county.to_owned();
        let plan = offline::PlanSubmitted {
            programme_id: PROGRAMME.into(),
            county_code: county_code.clone(),
            education_stage: stage,
        };
        log.offline(county, "2019-08-01 09:00", &plan);
        let activity_id = format!("V-{county}");
        let held = offline::ActivityHeld {
            programme_id: PROGRAMME.into(),
            activity_id: activity_id.clone(),
            county_code: county_code.clone(),
            education_stage: stage,
        };
        log.offline(county, "2019-10-20 09:00", &held);
        for number in &people {
            let attended = offline::AttendanceRecorded {
                programme_id: PROGRAMME.into(),
                activity_id: activity_id.clone(),
                county_code: county_code.clone(),
                education_stage: stage,
                person_id: person(*number),
            };
            log.offline(county, "2019-10-20 12:00", &attended);
        }
        // T10, who leaves, is never scored.
        for number in people.into_iter().filter(|number| *number != 10) {
            for (score_number, new) in [(1, 9), (2, (number % 10).max(1))] {
                let scored = offline::AttendeeScored {
                    programme_id: PROGRAMME.into(),
                    activity_id: activity_id.clone(),
                    county_code: county_code.clone(),
                    person_id: person(number),
                    score_number,
                    new,
                    old: None,
                };
                log.offline(county, "2019-10-22 09:00", &scored);
            }
        }
        let results = offline::ResultsSubmitted {
            programme_id: PROGRAMME.into(),
            county_code,
            education_stage: stage,
            number: 1,
        };
        log.offline(county, "2019-11-30 09:00", &results);
    }
}
