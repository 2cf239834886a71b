//! A database of before the mirror kept transfers: what assessment had learned of them is kept by its migrations.

use shipei_assessment::{NAME, migrations};
use shipei_mirror::members;
use shipei_service_kit::testing::TestKit;
use shipei_store::{execute, sqlx::migrate::Migrator};

use crate::support::{HAIGANG, PROGRAMME, SHANHAIGUAN, at};

/// The migrations that bring transfers into the mirror.
const NEW: [i64; 2] = [51, 102];

/// The migrations without them.
fn before() -> Migrator {
    let all = migrations();
    Migrator::with_migrations(all.iter().filter(|step| !NEW.contains(&step.version)).cloned().collect())
}

/// T1 went from C1 to C2 and on to C3; T2 stays in C1.
async fn learn(kit: &TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    for (person_id, county, class_id, placed_at) in [
        ("T1", SHANHAIGUAN, "C3", at("2019-11-20 08:00")),
        ("T2", HAIGANG, "C1", chrono::DateTime::UNIX_EPOCH),
    ] {
        execute!(
            tx,
            "INSERT INTO mirror_member (programme_id, person_id, role, county_code, school_code, class_id, \
             education_stage, subject, placed_at) VALUES ($1, $2, 'trainee', $3, 'S1', $4, 'compulsory', '', $5)",
            PROGRAMME,
            person_id,
            county,
            class_id,
            placed_at
        )
        .unwrap();
    }
    for (number, when, (old_county, old_class), (county, class_id)) in [
        (2_i64, "2019-11-20 08:00", (HAIGANG, "C2"), (SHANHAIGUAN, "C3")),
        (7, "2019-10-20 08:00", (HAIGANG, "C1"), (HAIGANG, "C2")),
    ] {
        execute!(
            tx,
            "INSERT INTO place_change (programme_id, person_id, event_partition, event_number, changed_at, \
             old_county_code, old_class_id, new_county_code, new_class_id) \
             VALUES ($1, 'T1', 5, $2, $3, $4, $5, $6, $7)",
            PROGRAMME,
            number,
            at(when),
            old_county,
            old_class,
            county,
            class_id
        )
        .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn transfers_learned_before_are_told_by_the_mirror(kit: TestKit) {
    learn(&kit).await;
    kit.kit.database().migrate(&migrations()).await.unwrap();
    let mut tx = kit.kit.database().begin_read().await.unwrap();
    let mut found = members(&mut tx, PROGRAMME, &["T1", "T2"]).await.unwrap();
    found.sort_by(|left, right| left.person_id.cmp(&right.person_id));
    for (when, county, class_id) in [
        ("2019-09-01 08:00", HAIGANG, "C1"),
        ("2019-10-20 08:00", HAIGANG, "C2"),
        ("2019-11-20 08:00", SHANHAIGUAN, "C3"),
    ] {
        let place = found[0].places.at(at(when));
        assert_eq!((place.county_code.as_str(), place.class_id.as_str()), (county, class_id), "{when}");
    }
    assert_eq!((found[1].places.first().class_id.as_str(), found[1].places.latest_change()), ("C1", None));
}

#[tokio::test]
async fn sqlite_keeps_transfers_learned_before() {
    transfers_learned_before_are_told_by_the_mirror(TestKit::sqlite(NAME, &before()).await).await;
}

#[tokio::test]
async fn postgres_keeps_transfers_learned_before() {
    transfers_learned_before_are_told_by_the_mirror(TestKit::postgres(NAME, &before()).await).await;
}
