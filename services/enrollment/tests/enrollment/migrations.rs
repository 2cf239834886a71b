//! A database of an earlier version is brought to this one with everybody in it.

use shipei_enrollment::NAME;
use shipei_service_kit::testing::TestKit;
use shipei_store::{execute, fetch_all, sqlx::migrate::Migrator};

/// The migrations up to a version.
fn up_to(version: i64) -> Migrator {
    let all = shipei_enrollment::migrations();
    let earlier = all.iter().filter(|migration| migration.version <= version);
    Migrator::with_migrations(earlier.cloned().collect())
}

/// Before 0101 an identity number was one person's only; since then the same may be enrolled twice.
async fn people_survive_the_table_that_is_made_anew(kit: TestKit) {
    const INSERT: &str = "INSERT INTO person (programme_id, person_id, name, sealed_identity_number, \
        identity_digest, role, education_stage, subject, development_stage, county_code, school_code, class_id, \
        roster_county_code, roster_school_code, roster_class_id, occurred_at, recorded_at, actor) \
        VALUES ('P', $1, '张三', $2, $2, 'trainee', 'compulsory', '语文', 'novice', '130302', 'S', 'L', \
        '130303', 'RS', 'RL', $3, $3, 'somebody')";
    const SELECT: &str = "SELECT person_id, name, identity_digest, role || education_stage || subject || \
        development_stage || county_code || school_code || class_id || roster_county_code || roster_school_code || \
        roster_class_id || actor FROM person ORDER BY person_id LIMIT 9";
    type Row = (String, String, Vec<u8>, String);

    let now = kit.clock.now();
    let database = kit.kit.database();
    let mut tx = database.begin_write().await.unwrap();
    execute!(tx, INSERT, "T1", vec![1_u8; 32], now).unwrap();
    execute!(tx, INSERT, "T2", vec![2_u8; 32], now).unwrap();
    tx.commit().await.unwrap();
    let mut tx = database.begin_read().await.unwrap();
    let before = fetch_all!(tx, Row, SELECT).unwrap();
    tx.rollback().await.unwrap();

    database.migrate(&shipei_enrollment::migrations()).await.unwrap();
    let mut tx = database.begin_write().await.unwrap();
    assert_eq!(fetch_all!(tx, Row, SELECT).unwrap(), before);
    execute!(tx, INSERT, "T3", vec![1_u8; 32], now).unwrap();
    assert_eq!(fetch_all!(tx, Row, SELECT).unwrap().len(), 3);
    assert!(execute!(tx, INSERT, "T3", vec![3_u8; 32], now).is_err());
}

#[tokio::test]
async fn people_survive_on_sqlite() {
    people_survive_the_table_that_is_made_anew(TestKit::sqlite(NAME, &up_to(100)).await).await;
}

#[tokio::test]
async fn people_survive_on_postgres() {
    people_survive_the_table_that_is_made_anew(TestKit::postgres(NAME, &up_to(100)).await).await;
}
