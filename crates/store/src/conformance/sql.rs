//! Cases about SQL itself: order, values, constraints, bulk statements.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    Database, StoreError, Tx, bulk_insert, execute, fetch_all, fetch_one, fetch_optional, on, select_by_keys,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Item {
    county: String,
    code: String,
    amount: i64,
    note: Option<String>,
    active: bool,
    at: Option<DateTime<Utc>>,
    body: Option<Vec<u8>>,
}

fn item(code: &str, amount: i64) -> Item {
    Item {
        county: "c".to_owned(),
        code: code.to_owned(),
        amount,
        note: None,
        active: true,
        at: None,
        body: None,
    }
}

async fn insert(tx: &mut Tx, items: &[Item]) -> Result<u64, StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO item (county, code, amount, note, active, at, body)",
        items,
        |item| (
            item.county.as_str(),
            item.code.as_str(),
            item.amount,
            item.note.as_deref(),
            item.active,
            item.at,
            item.body.as_deref()
        ),
        " ON CONFLICT (county, code) DO UPDATE SET amount = excluded.amount, note = excluded.note"
    )
}

async fn codes(tx: &mut Tx, sql: &'static str) -> Result<Vec<String>, StoreError> {
    Ok(fetch_all!(tx, (String,), sql)?.into_iter().map(|(code,)| code).collect())
}

pub(super) async fn text_is_ordered_by_bytes(database: &Database) -> Result<(), StoreError> {
    let mut expected =
        ["a", "B", "b", "A", "Ä", "z", "_", "-", "a b", "ab", "师", "培", "10", "9", "", "😀", "\u{ffee}"];
    let mut tx = database.begin_write().await?;
    insert(&mut tx, &expected.map(|code| item(code, 1))).await?;
    expected.sort_unstable();
    assert_eq!(codes(&mut tx, "SELECT code FROM item ORDER BY code").await?, expected);
    let above = fetch_all!(tx, (String,), "SELECT code FROM item WHERE code > $1 ORDER BY code", "a")?;
    assert_eq!(above.len(), expected.iter().filter(|code| **code > "a").count());
    // Equality tells case, and so do the primary key and the unique index.
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item WHERE code = $1", "A")?, (1,));
    assert_eq!(fetch_one!(tx, (String,), "SELECT MAX(code) FROM item")?.0, "😀");
    tx.rollback().await
}

pub(super) async fn nulls_are_ordered_where_the_statement_says(
    database: &Database,
) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    let with_note = Item { note: Some("n".to_owned()), ..item("noted", 1) };
    insert(&mut tx, &[item("bare", 1), with_note]).await?;
    assert_eq!(codes(&mut tx, "SELECT code FROM item ORDER BY note NULLS FIRST").await?, ["bare", "noted"]);
    assert_eq!(codes(&mut tx, "SELECT code FROM item ORDER BY note NULLS LAST").await?, ["noted", "bare"]);
    assert_eq!(
        codes(&mut tx, "SELECT code FROM item ORDER BY note DESC NULLS LAST").await?,
        ["noted", "bare"]
    );
    let same = fetch_all!(
        tx,
        (String,),
        "SELECT code FROM item WHERE note IS NOT DISTINCT FROM $1",
        None::<String>
    )?;
    assert_eq!(same, [("bare".to_owned(),)]);
    tx.rollback().await
}

pub(super) async fn values_come_back_as_they_were(database: &Database) -> Result<(), StoreError> {
    let micros = time("2026-07-01T08:00:00.000001Z");
    let whole = time("1900-01-01T00:00:00Z");
    let rows = [
        Item {
            note: Some("师培 \"quoted\" 'single' \\ \n".to_owned()),
            at: Some(micros),
            ..item("1", i64::MAX)
        },
        Item { active: false, at: Some(whole), body: Some(Vec::new()), ..item("2", i64::MIN) },
        Item {
            body: Some((0..=255).collect()),
            at: Some(time("9999-12-31T23:59:59.999999Z")),
            ..item("3", 0)
        },
        Item { note: Some(String::new()), ..item("4", -1) },
    ];
    let mut tx = database.begin_write().await?;
    insert(&mut tx, &rows).await?;
    tx.commit().await?;
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_all!(tx, Item, "SELECT * FROM item ORDER BY code")?, rows);
    let active = fetch_all!(tx, (String,), "SELECT code FROM item WHERE NOT active")?;
    assert_eq!(active, [("2".to_owned(),)]);
    let at = fetch_optional!(tx, (String,), "SELECT code FROM item WHERE at = $1", micros)?;
    assert_eq!(at, Some(("1".to_owned(),)));
    let sum = fetch_one!(
        tx,
        (i64,),
        "SELECT CAST(SUM(amount) AS BIGINT) FROM item WHERE amount < $1 AND amount > -9",
        9
    )?;
    assert_eq!(sum, (-1,));
    tx.rollback().await
}

pub(super) async fn timestamps_are_ordered_in_time(database: &Database) -> Result<(), StoreError> {
    let start = time("2026-07-01T08:00:00Z");
    let steps = [-1_000_000, -1, 0, 1, 10, 999, 1_000, 1_001, 500_000, 999_999, 1_000_000, 86_400_000_000];
    let mut rows = Vec::new();
    for (place, micros) in steps.into_iter().enumerate() {
        let at = Some(start + TimeDelta::microseconds(micros));
        rows.push(Item { at, ..item(&format!("{place:02}"), micros) });
    }
    let mut tx = database.begin_write().await?;
    insert(&mut tx, &rows).await?;
    assert_eq!(fetch_all!(tx, Item, "SELECT * FROM item ORDER BY at")?, rows);
    for (place, row) in rows.iter().enumerate() {
        let (earlier,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item WHERE at < $1", row.at)?;
        assert_eq!(earlier, place as i64);
    }
    tx.rollback().await
}

pub(super) async fn unique_violation_names_its_constraint(database: &Database) -> Result<(), StoreError> {
    const PLAIN: &str = "INSERT INTO item (county, code, amount, note, active) VALUES ($1, $2, $3, $4, $5)";
    let mut tx = database.begin_write().await?;
    execute!(tx, PLAIN, "c", "1", 1, "n", true)?;
    tx.commit().await?;
    let cases = [
        ("c", "1", 2, "m", false, "item_pkey"),
        ("d", "2", 1, "n", false, "item_note_amount_key"),
        ("d", "1", 2, "m", true, "item_code_key"),
    ];
    for (county, code, amount, note, active, constraint) in cases {
        let mut tx = database.begin_write().await?;
        let result = execute!(tx, PLAIN, county, code, amount, note, active);
        let Err(error) = result else { panic!("{constraint} was not violated") };
        // The partial unique index is told by its columns on SQLite and by its name on Postgres.
        assert_eq!(error.unique_violation(), Some(constraint));
        assert!(!error.is_retryable());
    }
    let mut tx = database.begin_write().await?;
    let Err(error) = execute!(tx, PLAIN, "d", "3", 1, "x", None::<bool>) else { panic!("NULL was taken") };
    assert_eq!(error.unique_violation(), None);
    Ok(())
}

pub(super) async fn foreign_keys_are_enforced(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    let result = execute!(tx, "INSERT INTO part (id, county, code) VALUES (1, 'c', 'nowhere')");
    let Err(StoreError::Database(sqlx::Error::Database(error))) = result else {
        panic!("a foreign key to nothing was taken")
    };
    assert!(error.is_foreign_key_violation());
    Ok(())
}

pub(super) async fn keyset_pages_see_every_row_once(database: &Database) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for number in 0..50 {
        let county = ["C", "a", "b"][number % 3].to_owned();
        rows.push(Item { county, ..item(&format!("{}{number}", ["x", "Y"][number % 2]), 0) });
    }
    let mut tx = database.begin_write().await?;
    insert(&mut tx, &rows).await?;
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut last = (String::new(), String::new());
    loop {
        let page = fetch_all!(
            tx,
            (String, String),
            "SELECT county, code FROM item WHERE (county, code) > ($1, $2) ORDER BY county, code LIMIT $3",
            last.0.as_str(),
            last.1.as_str(),
            7
        )?;
        let Some(end) = page.last() else { break };
        last = end.clone();
        seen.extend(page);
    }
    let mut expected: Vec<(String, String)> = rows.into_iter().map(|row| (row.county, row.code)).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    tx.rollback().await
}

pub(super) async fn bulk_insert_writes_any_number_of_rows(database: &Database) -> Result<(), StoreError> {
    for count in [0, 1, 2, 3, 127, 128, 129, 255, 1000] {
        let rows: Vec<Item> = (0..count).map(|number| item(&format!("{number:05}"), number)).collect();
        let mut tx = database.begin_write().await?;
        assert_eq!(insert(&mut tx, &rows).await?, count as u64);
        assert_eq!(fetch_all!(tx, Item, "SELECT * FROM item ORDER BY code")?, rows);
        tx.rollback().await?;
    }
    // The form with a block, and without a suffix.
    let mut tx = database.begin_write().await?;
    let codes = ["a", "b", "c"];
    let inserted =
        bulk_insert!(tx, "INSERT INTO item (county, code, amount, active)", codes, |tuple, code| {
            tuple.push_bind("c");
            tuple.push_bind(*code);
            tuple.push_bind(7_i64).push_bind(true);
        })?;
    assert_eq!(inserted, 3);
    tx.rollback().await
}

pub(super) async fn bulk_upsert_replaces_rows(database: &Database) -> Result<(), StoreError> {
    let rows: Vec<Item> = (0..200).map(|number| item(&format!("{number:05}"), number)).collect();
    let mut tx = database.begin_write().await?;
    insert(&mut tx, &rows[..120]).await?;
    let changed: Vec<Item> = rows.iter().map(|row| Item { amount: row.amount * 2, ..row.clone() }).collect();
    assert_eq!(insert(&mut tx, &changed).await?, 200);
    assert_eq!(fetch_all!(tx, Item, "SELECT * FROM item ORDER BY code")?, changed);
    tx.rollback().await
}

pub(super) async fn select_by_keys_finds_any_number_of_keys(database: &Database) -> Result<(), StoreError> {
    let rows: Vec<Item> = (0..300).map(|number| item(&format!("{number:05}"), number)).collect();
    let mut tx = database.begin_write().await?;
    insert(&mut tx, &rows).await?;
    for count in [0, 1, 2, 3, 5, 127, 128, 129, 300] {
        let wanted: Vec<String> = rows[..count].iter().map(|row| row.code.clone()).collect();
        let county = "c".to_owned();
        let mut found = select_by_keys!(
            tx,
            Item,
            ["SELECT * FROM item WHERE county = ", county, " AND code IN "],
            wanted,
            |code| (code.as_str()),
            tx.for_update()
        )?;
        found.sort_by(|left, right| left.code.cmp(&right.code));
        assert_eq!(found, rows[..count]);
        let pairs: Vec<(&str, i64)> =
            rows[..count].iter().map(|row| (row.code.as_str(), row.amount)).collect();
        let mut found =
            select_by_keys!(tx, Item, ["SELECT * FROM item WHERE (code, amount) IN "], pairs, |pair| (
                pair.0, pair.1
            ))?;
        found.sort_by(|left, right| left.code.cmp(&right.code));
        assert_eq!(found, rows[..count]);
    }
    let nothing = select_by_keys!(
        tx,
        Item,
        ["SELECT * FROM item WHERE (county, code) IN "],
        [("c", "nowhere"), ("nowhere", "00001")],
        |pair| (pair.0, pair.1)
    )?;
    assert!(nothing.is_empty());
    tx.rollback().await
}

pub(super) async fn select_for_update_holds_the_row(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    insert(&mut tx, &[item("1", 1)]).await?;
    tx.commit().await?;
    let mut tx = database.begin_write().await?;
    select_by_keys!(tx, Item, ["SELECT * FROM item WHERE code IN "], ["1"], |code| (*code), tx.for_update())?;
    let other = tokio::spawn({
        let database = database.clone();
        async move {
            let mut tx = database.begin_write().await?;
            execute!(tx, "UPDATE item SET amount = item.amount * 10 WHERE code = '1'")?;
            tx.commit().await
        }
    });
    tokio::task::yield_now().await;
    let added = on!(tx, |c| sqlx::query("UPDATE item SET amount = item.amount + 1 WHERE code = '1'")
        .execute(&mut *c)
        .await
        .map(|done| done.rows_affected()))?;
    assert_eq!(added, 1);
    tx.commit().await?;
    other.await.unwrap_or_else(|error| panic!("{error}"))?;
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT amount FROM item WHERE code = '1'")?, (20,));
    tx.rollback().await
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
