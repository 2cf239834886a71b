//! Cases about the chain of the log.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::samples::{event, instant, partition, record};
use crate::chain::{self, Break, Flaw, Found, Walk};
use crate::months::{self, Month};
use crate::{Database, Link, NewEvent, Partition, StoreError, event_log, execute, fetch_all};

/// Walks one chain to its end.
pub(super) async fn walk(
    database: &Database,
    partition: Partition,
    witnesses: BTreeMap<i64, Link>,
) -> Result<Found, StoreError> {
    let mut tx = database.begin_read().await?;
    let mut walk = Walk::begin(&mut tx, partition, witnesses).await?;
    while walk.step(&mut tx).await? {}
    assert_eq!(walk.left(), 0);
    tx.rollback().await?;
    Ok(walk.found)
}

/// All chains hold; gives how many events that are.
pub(super) async fn holds(database: &Database) -> Result<i64, StoreError> {
    let mut events = 0;
    for partition in Partition::chained() {
        let found = walk(database, partition, BTreeMap::new()).await?;
        assert_eq!((found.breaks, found.first.as_slice()), (0, [].as_slice()), "{partition:?}");
        events += found.events;
    }
    Ok(events)
}

async fn append(database: &Database, events: &[NewEvent], micros: i64) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    event_log::conclude(&mut tx, events, &[], instant(micros)).await?;
    tx.commit().await
}

/// One event alone, with its record, and many at once: each way makes its links elsewhere, and they are one chain.
pub(super) async fn chain_holds_however_events_come(database: &Database) -> Result<(), StoreError> {
    let (one, two) = (partition(9), partition(3));
    append(database, &[event(one, "a")], 1).await?;
    let with_address = NewEvent { address: "192.0.2.7".to_owned(), ..event(one, "a") };
    append(database, &[with_address, event(two, "a"), event(one, "b")], 7).await?;
    let mut tx = database.begin_write().await?;
    event_log::conclude(&mut tx, &[event(one, "b")], &[record("r1")], instant(3)).await?;
    tx.commit().await?;
    let mut tx = database.begin_write().await?;
    event_log::append(&mut tx, &[event(one, "lost"), event(two, "lost")], instant(2)).await?;
    tx.rollback().await?;
    append(database, &[event(Partition::AUDIT, "looked at")], 9).await?;
    let odd = NewEvent { data: Vec::new(), subject: "张三".to_owned(), ..event(two, "") };
    append(database, &[odd], -1_000_000_000).await?;
    let all: Vec<NewEvent> = Partition::all().map(|place| event(place, "all")).collect();
    append(database, &all, 10).await?;
    assert_eq!(holds(database).await?, 4 + 1 + 1 + 1 + 64);

    let mut tx = database.begin_read().await?;
    // Who follows the log does not see that there is an audit log.
    assert_eq!(event_log::heads(&mut tx).await?.iter().count(), 64);
    let ends = chain::ends(&mut tx).await?;
    assert_eq!((ends.len(), ends[64].0, ends[64].1), (65, Partition::AUDIT, 1));
    let others = event_log::read_after(&mut tx, Partition::AUDIT, 0, 10, &["other".to_owned()], &[]).await?;
    assert_eq!((others.events.len(), others.reached, others.mark != 0), (0, 1, true));
    let stored = event_log::read_after(&mut tx, one, 0, 10, &[], &[]).await?;
    let links: Vec<Link> = stored.events.iter().map(|event| event.link).collect();
    assert_eq!((ends[9].1, Some(&ends[9].2)), (5, links.last()));
    assert!(links.iter().enumerate().all(|(place, link)| !links[..place].contains(link)));
    assert_eq!(stored.events[1].address, "192.0.2.7");
    tx.rollback().await
}

/// What somebody may do to the rows of a log, and where it is found.
pub(super) async fn tampering_is_found_where_it_was_done(database: &Database) -> Result<(), StoreError> {
    let cases: [(&str, &[Break]); 12] = [
        ("DELETE FROM event WHERE number = 4", &[at(4, Flaw::Missing)]),
        ("DELETE FROM event WHERE number = 8", &[at(8, Flaw::Missing)]),
        ("DELETE FROM event WHERE number = 1", &[at(1, Flaw::Missing)]),
        ("UPDATE event SET data = link WHERE number = 4", &[at(4, Flaw::Changed)]),
        ("UPDATE event SET actor = 'somebody' WHERE number = 4", &[at(4, Flaw::Changed)]),
        ("UPDATE event SET address = '198.51.100.1' WHERE number = 1", &[at(1, Flaw::Changed)]),
        ("UPDATE event SET version = 9 WHERE number = 4", &[at(4, Flaw::Changed)]),
        ("UPDATE event SET occurred_at = recorded_at WHERE number = 8", &[at(8, Flaw::Changed)]),
        // Two change places, with their links: so the one behind them follows another than it did.
        (
            "UPDATE event SET number = 11 - number WHERE number IN (5, 6)",
            &[at(5, Flaw::Changed), at(6, Flaw::Changed), at(7, Flaw::Changed)],
        ),
        ("UPDATE event_head SET link = NULL WHERE partition = 9", &[at(8, Flaw::End)]),
        ("UPDATE event_head SET position = 7 WHERE partition = 9", &[at(8, Flaw::Beyond), at(7, Flaw::End)]),
        ("UPDATE event SET link = data WHERE number = 4", &[at(4, Flaw::Changed), at(5, Flaw::Changed)]),
    ];
    let place = partition(9);
    let events: Vec<NewEvent> = (0..8).map(|number| event(place, &number.to_string())).collect();
    append(database, &events, 2).await?;
    assert_eq!(holds(database).await?, 8);
    let kept = copy(database).await?;
    for (tampering, expected) in cases {
        let mut tx = database.begin_write().await?;
        if tampering.contains("11 - number") {
            // Neither database lets two rows have one number meanwhile.
            execute!(tx, "UPDATE event SET number = 100 + number WHERE number IN (5, 6)")?;
            execute!(tx, "UPDATE event SET number = 111 - number WHERE number > 100")?;
        } else {
            execute!(tx, tampering)?;
        }
        tx.commit().await?;
        let found = walk(database, place, BTreeMap::new()).await?;
        assert_eq!((found.first.as_slice(), found.breaks), (expected, expected.len()), "{tampering}");
        restore(database, &kept).await?;
        assert_eq!(holds(database).await?, 8, "{tampering}");
    }
    Ok(())
}

fn at(number: i64, flaw: Flaw) -> Break {
    Break { number, flaw }
}

/// The rows of the log, all of which are of one partition here, and its head.
type Copied = (Vec<crate::StoredEvent>, Vec<u8>);

async fn copy(database: &Database) -> Result<Copied, StoreError> {
    let mut tx = database.begin_read().await?;
    let events = event_log::read_after(&mut tx, partition(9), 0, 100, &[], &[]).await?.events;
    let head = fetch_all!(tx, (Vec<u8>,), "SELECT link FROM event_head WHERE partition = 9")?;
    tx.rollback().await?;
    Ok((events, head[0].0.clone()))
}

/// Puts the rows back as they were.
async fn restore(database: &Database, (events, head): &Copied) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    execute!(tx, "DELETE FROM event")?;
    let insert = "INSERT INTO event (partition, number, type, programme, subject, version, region, occurred_at, recorded_at,
         actor, address, cause, trace, transaction_size, transaction_place, data, fact_id, link)
         VALUES (9, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 1, $13, $14, $15)";
    for event in events {
        execute!(
            tx,
            insert,
            event.position.number,
            event.kind.as_str(),
            event.programme.as_str(),
            event.subject.as_str(),
            event.version,
            event.region.as_str(),
            event.occurred_at,
            event.recorded_at,
            event.actor.as_str(),
            event.address.as_str(),
            event.cause.as_str(),
            event.trace.as_str(),
            event.data.as_slice(),
            event.fact_id.as_str(),
            event.link.as_bytes().as_slice()
        )?;
    }
    let position = i64::try_from(events.len()).unwrap_or_default();
    execute!(
        tx,
        "UPDATE event_head SET position = $1, link = $2 WHERE partition = 9",
        position,
        head.as_slice()
    )?;
    tx.commit().await
}

/// A chain that was made anew is consistent in itself, and so is one whose end was cut off: links that were written down
/// elsewhere tell.
pub(super) async fn chain_made_anew_is_found_by_its_checkpoint(
    database: &Database,
) -> Result<(), StoreError> {
    let place = partition(9);
    for number in 0..6 {
        append(database, &[event(place, &number.to_string())], 2).await?;
    }
    let (events, _) = copy(database).await?;
    let link_at = |number: usize| events[number - 1].link;
    let witnesses: BTreeMap<i64, Link> = [(2, link_at(2)), (4, link_at(4)), (6, link_at(6))].into();
    let found = walk(database, place, witnesses.clone()).await?;
    assert_eq!((found.breaks, found.compared, found.events), (0, 3, 6));

    // Somebody who knows how links are made writes all from the third event on anew, as if it had never been.
    let mut tx = database.begin_write().await?;
    execute!(tx, "DELETE FROM event WHERE number > 2")?;
    let link = link_at(2);
    execute!(
        tx,
        "UPDATE event_head SET position = 2, link = $1 WHERE partition = 9",
        link.as_bytes().as_slice()
    )?;
    tx.commit().await?;
    let found = walk(database, place, witnesses.clone()).await?;
    assert_eq!((found.first.as_slice(), found.compared), ([at(6, Flaw::Shortened)].as_slice(), 1));
    let anew: Vec<NewEvent> = (3..7).map(|number| event(place, &number.to_string())).collect();
    append(database, &anew, 2).await?;
    assert_eq!(holds(database).await?, 6);
    let found = walk(database, place, witnesses).await?;
    let expected = [at(4, Flaw::Rewritten), at(6, Flaw::Rewritten)];
    assert_eq!((found.first.as_slice(), found.compared), (expected.as_slice(), 3));
    Ok(())
}

/// Only Postgres has months. What a dropped one leaves goes on from the link that is kept of it.
pub(super) async fn chain_goes_on_behind_a_dropped_month(database: &Database) -> Result<(), StoreError> {
    let (place, old) = (partition(5), Month::of(instant(0)));
    let days = |days: i64| TimeDelta::days(days).num_microseconds().unwrap_or_default();
    for (number, micros) in [0, 1, days(35), days(36), days(75)].into_iter().enumerate() {
        months::prepare(database, Month::of(instant(micros))).await?;
        append(database, &[event(place, &number.to_string())], micros).await?;
    }
    assert_eq!(holds(database).await?, 5);
    let is_postgres = database.is_postgres();
    let later = months::drop_month(database, Month::of(instant(days(35)))).await;
    assert!(matches!(later, Err(StoreError::NotTheOldest(_))) == is_postgres, "{later:?}");
    assert_eq!(months::drop_month(database, old).await?, is_postgres);
    assert_eq!(holds(database).await?, if is_postgres { 3 } else { 5 });
    assert_eq!(
        months::drop_month(database, Month::of(instant(days(35)))).await?,
        is_postgres,
        "the oldest by now"
    );
    let found = walk(database, place, BTreeMap::new()).await?;
    let (trimmed, left) = if is_postgres { (4, 1) } else { (0, 5) };
    assert_eq!((found.trimmed, found.events, found.breaks), (trimmed, left, 0));
    append(database, &[event(place, "new")], days(81)).await?;
    assert_eq!(holds(database).await?, left + 1);
    // Whoever removes the first events and says that they were dropped must say what link they had.
    let mut tx = database.begin_write().await?;
    execute!(tx, "DELETE FROM event WHERE number < 6")?;
    execute!(tx, "DELETE FROM event_trim")?;
    execute!(
        tx,
        "INSERT INTO event_trim (partition, number, link) VALUES (5, 5, $1)",
        [7_u8; 32].as_slice()
    )?;
    tx.commit().await?;
    let found = walk(database, place, BTreeMap::new()).await?;
    assert_eq!(found.first, [at(6, Flaw::Changed)]);
    // And if events are there that it calls dropped, that is found too.
    let mut tx = database.begin_write().await?;
    execute!(tx, "UPDATE event_trim SET number = 6")?;
    tx.commit().await?;
    assert_eq!(walk(database, place, BTreeMap::new()).await?.first[0], at(6, Flaw::Trimmed));
    Ok(())
}
