//! Who studies at this moment.

use chrono::TimeDelta;
use shipei_contracts::{
    common::v1::Role,
    learning::v1::{self as proto, CourseCategory},
};

use crate::world::{PROGRAMME, World, at, beat, course};

const NOW: &str = "2019-09-20T08:00:00+08:00";

fn presence_in(region_code: &str, include_trainees: bool) -> proto::GetPresenceRequest {
    proto::GetPresenceRequest {
        programme_id: PROGRAMME.into(),
        region_code: region_code.into(),
        include_trainees,
    }
}

pub(crate) async fn trainees_who_study_are_counted_by_county(world: World) {
    world.test_kit.clock.set(at(NOW));
    world.course(course("C1", CourseCategory::Public, 45)).await;
    world.region("130303", "130300").await;
    world.open_county("130303", "2019-09-10T08:00:00+08:00").await;
    for person_id in ["T1", "T2", "T3"] {
        world.trainee(person_id).await;
    }
    let mut study = world.first.study();
    // T1 now, T2 a minute and a half ago, T3 last week, T4 is nobody.
    for (person_id, ago) in [("T1", 0), ("T2", 90), ("T3", 7 * 86_400), ("T4", 0)] {
        let when = at(NOW) - TimeDelta::seconds(ago);
        let taken = study.record_heartbeat(beat(person_id, "C1", person_id, 0, when)).await;
        assert_eq!(taken.is_ok(), person_id != "T4");
    }
    let present = study.get_presence(presence_in("", false)).await.unwrap().into_inner();
    let counts: Vec<(&str, i32)> =
        present.counties.iter().map(|county| (county.county_code.as_str(), county.trainees)).collect();
    assert_eq!(counts, [("130302", 2), ("130303", 0)]);
    assert_eq!((present.total, present.window_seconds, present.complete), (2, 120, false));
    assert!(present.trainees.is_empty());

    let named = study.get_presence(presence_in("130302", true)).await.unwrap().into_inner();
    let who: Vec<&str> = named.trainees.iter().map(|trainee| trainee.person_id.as_str()).collect();
    assert_eq!((who, named.counties.len()), (vec!["T1", "T2"], 1));
    for (region, include) in [("130300", true), ("", true), ("650100", false), ("1303", false)] {
        study.get_presence(presence_in(region, include)).await.unwrap_err();
    }
    world.test_kit.clock.advance(TimeDelta::seconds(60));
    assert_eq!(study.get_presence(presence_in("130300", false)).await.unwrap().into_inner().total, 1);
}

/// 容城 130629 lies in 雄安新区 133100, whatever its digits say.
pub(crate) async fn presence_is_of_the_regions_of_the_tree(world: World) {
    world.test_kit.clock.set(at(NOW));
    world.course(course("C1", CourseCategory::Public, 45)).await;
    world.region("130629", "133100").await;
    world.open_county("130629", "2019-09-10T08:00:00+08:00").await;
    world.register("T1", Role::Trainee, "130629").await;
    world.log_in("T1", "2019-09-11T08:00:00+08:00").await;
    let mut study = world.first.study();
    study.record_heartbeat(beat("T1", "C1", "S1", 0, at(NOW))).await.unwrap();
    for (region, counties, total) in [("133100", 1, 1), ("130629", 1, 1), ("130000", 2, 1), ("130302", 1, 0)]
    {
        let present = study.get_presence(presence_in(region, false)).await.unwrap().into_inner();
        assert_eq!((present.counties.len(), present.total), (counties, total), "{region}");
    }
    study.get_presence(presence_in("130600", false)).await.unwrap_err();
}
