//! Cases about lists that are answered by pages.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Database, StoreError, Tx, bulk_insert, fetch_optional, fetch_page, list::Listed};

/// A word of one letter.
#[derive(Debug, PartialEq)]
struct Letter(char);

impl TryFrom<String> for Letter {
    type Error = std::fmt::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(Self(letter)),
            _ => Err(std::fmt::Error),
        }
    }
}

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Lettered {
    #[sqlx(try_from = "String")]
    note: Letter,
}

async fn page(
    tx: &mut Tx,
    (after_at, after_amount, after_code): (DateTime<Utc>, i64, &str),
    limit: i64,
) -> Result<Vec<Listed<Lettered>>, StoreError> {
    fetch_page!(
        tx,
        Lettered,
        "item" by ["held_at", "amount", "code"],
        [
            "SELECT i.note, i.at AS held_at, i.amount, i.code FROM item i WHERE (i.at, i.amount, i.code) > (",
            after_at,
            ", ",
            after_amount,
            ", ",
            after_code,
            ") ORDER BY i.at, i.amount, i.code LIMIT ",
            limit
        ]
    )
}

/// However short the pages are, the rows behind one that can't be read are reached, and it is named with its key.
pub(super) async fn row_that_cannot_be_read_takes_its_own_place_from_a_page(
    database: &Database,
) -> Result<(), StoreError> {
    let begin = DateTime::UNIX_EPOCH;
    // An id may look like an instant.
    let rows = [(1, "x", "a"), (2, "1970-01-01T00:00:01Z", "not a letter"), (3, "y", ""), (4, "z", "d")];
    let mut tx = database.begin_write().await?;
    bulk_insert!(
        tx,
        "INSERT INTO item (county, code, amount, note, active, at)",
        rows,
        |(amount, code, note)| ("c", *code, *amount, *note, true, begin + TimeDelta::microseconds(*amount)),
        ""
    )?;
    for limit in 1..=5 {
        let (mut after, mut seen) = ((begin, 0, String::new()), Vec::new());
        loop {
            let listed = page(&mut tx, (after.0, after.1, &after.2), limit).await?;
            if listed.is_empty() {
                break;
            }
            for row in listed {
                let (key, read) = row.into_parts();
                let [at, amount, code] = key.as_slice() else { panic!("{key:?}") };
                let at = at.parse().ok().and_then(DateTime::from_timestamp_micros);
                after = (at.expect("an instant"), amount.parse().expect("a number"), code.clone());
                seen.push(read.map_err(|error| error.to_string()));
            }
        }
        let broken = |key: &str| Err(format!("corrupt row: table item, column note, key {key}"));
        let expected = [
            Ok(Lettered { note: Letter('a') }),
            broken("2/2/1970-01-01T00:00:01Z"),
            broken("3/3/y"),
            Ok(Lettered { note: Letter('d') }),
        ];
        assert_eq!(seen, expected, "pages of {limit}");
    }
    // Asked for alone it is told from a defect of the program.
    let alone = fetch_optional!(tx, Lettered, "SELECT note FROM item WHERE code = $1", "y");
    assert!(alone.is_err_and(|error| error.is_corrupt()));
    Ok(())
}
