//! What is kept of a score and sent with its change: the points as of the programme's end, as the messages of
//! `assessment.v1` (a changed message is what a follower sees, so the same form is stored and compared).

use shipei_contracts::assessment::v1::{CountyPoints, ItemPoints, TraineePoints, TutorPoints};
use shipei_rules::{
    counselor::CountyScore,
    explanation::{Item, ItemState},
    trainee::TraineeScore,
    tutor::TutorScore,
};
use shipei_service_kit::to_int32;

/// Hundredths in one point.
pub const HUNDREDTHS: i64 = 100;

fn items(items: &[Item]) -> Vec<ItemPoints> {
    let mut points = Vec::with_capacity(items.len());
    for item in items {
        let reason = item.reason.filter(|_| item.state != ItemState::Earned);
        let computed = item.adjusted.as_ref().map(|adjusted| adjusted.computed * HUNDREDTHS);
        points.push(ItemPoints {
            name: item.key.to_string(),
            hundredths: to_int32(item.points * HUNDREDTHS),
            reason: reason.map_or("", |reason| reason.as_str()).to_owned(),
            computed_hundredths: computed.map(to_int32),
        });
    }
    points
}

/// The points of a trainee.
pub fn of_trainee(score: &TraineeScore) -> TraineePoints {
    TraineePoints {
        items: items(&score.items),
        total: to_int32(score.total),
        passed: score.passed,
        withdrawn: score.withdrawn,
    }
}

/// The points of a tutor.
pub fn of_tutor(score: &TutorScore) -> TutorPoints {
    TutorPoints {
        items: items(&score.items),
        total: to_int32(score.total),
        qualified: score.qualified,
        late_weeks: to_int32(score.late_weeks),
        eligible: score.eligible,
        excellent: score.excellent,
    }
}

/// The points of a county with that many active trainees.
pub fn of_county(score: &CountyScore, active_trainees: i64) -> CountyPoints {
    CountyPoints {
        active_trainees: to_int32(active_trainees),
        registration_login_hundredths: to_int32(score.registration_login.0),
        offline_hundredths: to_int32(score.offline.0),
        scores_not_distinct: score.scores_not_distinct,
    }
}
