//! How the instances of one service share work: shards, each held by one instance for a while.
//!
//! An instance says now and then that it is there ([`tick`]), which renews what it holds, gives back what is more than
//! its share, and takes what is free or has expired, up to its share. So the shards spread evenly within a tick or two
//! of an instance coming, and within [`Term`] of one dying. All times are the database's, so clocks of machines don't
//! matter.
//!
//! Holders are processes, not names: one that starts again has another holder's name, and waits for its old leases to
//! expire as anybody does (what migration 0002 says of old names was so once).
//!
//! A lease is for efficiency, not for safety: two instances may for a moment believe that they hold one shard. What
//! makes that harmless is the compare-and-set of [`crate::cursor`].

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Database, StoreError, Tx, execute, fetch_all, fetch_one};

/// How long a lease and the word of an instance count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(pub Duration);

/// What an instance holds after a [`tick`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The shards that it holds.
    pub shards: BTreeSet<i64>,
    /// How many instances are there, this one included.
    pub instances: i64,
}

/// Makes the rows of shards 0 to `shards - 1`, those that are missing.
pub async fn prepare(database: &Database, shards: i64) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    for shard in 0..shards {
        execute!(
            tx,
            "INSERT INTO lease (shard, holder, expires_at) VALUES ($1, '', CURRENT_TIMESTAMP)
             ON CONFLICT (shard) DO NOTHING",
            shard
        )?;
    }
    tx.commit().await
}

/// Says that an instance is there, under a name that no other process has, and gives it its share of the shards. `None` on SQLite, whose file has one process:
/// it holds everything.
pub async fn tick(
    database: &Database,
    instance: &str,
    shards: i64,
    term: Term,
) -> Result<Option<Holding>, StoreError> {
    if !database.is_postgres() {
        return Ok(None);
    }
    let milliseconds = i64::try_from(term.0.as_millis()).unwrap_or(i64::MAX);
    let mut tx = database.begin_apart().await?;
    execute!(
        tx,
        "INSERT INTO instance (name, expires_at) VALUES ($1, clock_timestamp() + $2 * INTERVAL '1 millisecond')
         ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at",
        instance,
        milliseconds
    )?;
    // Skipping those that are being renewed just now, so that two who were away for long don't wait for each other.
    execute!(
        tx,
        "DELETE FROM instance WHERE name IN
         (SELECT name FROM instance WHERE name <> $1 AND expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED)",
        instance
    )?;
    let present = "SELECT COUNT(*), COUNT(*) FILTER (WHERE name < $1) FROM instance WHERE expires_at >= clock_timestamp()";
    let (instances, before) = fetch_one!(tx, (i64, i64), present, instance)?;
    let share = fair_share(shards, instances, before);
    let mut held = renew(&mut tx, instance, shards, milliseconds).await?;
    let extra: Vec<i64> = held.iter().skip(share).copied().collect();
    for shard in extra {
        held.remove(&shard);
        execute!(tx, "UPDATE lease SET holder = '' WHERE shard = $1 AND holder = $2", shard, instance)?;
    }
    let wanted = i64::try_from(share.saturating_sub(held.len())).unwrap_or_default();
    if wanted > 0 {
        let taken = fetch_all!(
            tx,
            (i64,),
            "UPDATE lease SET holder = $1, expires_at = clock_timestamp() + $2 * INTERVAL '1 millisecond'
             WHERE shard IN (
                 SELECT shard FROM lease
                 WHERE shard < $3 AND (holder = '' OR expires_at < clock_timestamp())
                 ORDER BY shard LIMIT $4 FOR UPDATE SKIP LOCKED)
             RETURNING shard",
            instance,
            milliseconds,
            shards,
            wanted
        )?;
        held.extend(taken.into_iter().map(|(shard,)| shard));
    }
    tx.commit().await?;
    Ok(Some(Holding { shards: held, instances }))
}

/// Gives everything back and says that the instance is gone.
pub async fn leave(database: &Database, instance: &str) -> Result<(), StoreError> {
    let mut tx = database.begin_apart().await?;
    execute!(tx, "UPDATE lease SET holder = '' WHERE holder = $1", instance)?;
    execute!(tx, "DELETE FROM instance WHERE name = $1", instance)?;
    tx.commit().await
}

/// Who holds each shard now, by shard; for people who look.
pub async fn holders(tx: &mut Tx) -> Result<Vec<(i64, String)>, StoreError> {
    fetch_all!(
        tx,
        (i64, String),
        "SELECT shard, CASE WHEN expires_at < CURRENT_TIMESTAMP THEN '' ELSE holder END FROM lease ORDER BY shard"
    )
}

/// A lease that has expired and that nobody took is still the instance's own.
async fn renew(
    tx: &mut Tx,
    instance: &str,
    shards: i64,
    milliseconds: i64,
) -> Result<BTreeSet<i64>, StoreError> {
    let renewed = fetch_all!(
        tx,
        (i64,),
        "UPDATE lease SET expires_at = clock_timestamp() + $2 * INTERVAL '1 millisecond'
         WHERE holder = $1 AND shard < $3 RETURNING shard",
        instance,
        milliseconds,
        shards
    )?;
    Ok(renewed.into_iter().map(|(shard,)| shard).collect())
}

/// The share of an instance with `before` others before it in the order of names: the shares of all add up to all shards,
/// and no two differ by more than one.
fn fair_share(shards: i64, instances: i64, before: i64) -> usize {
    let instances = instances.max(1);
    let share = shards / instances + i64::from(before < shards % instances);
    usize::try_from(share).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::migrator;
    use crate::testing::TestDatabase;

    const TERM: Term = Term(Duration::from_secs(3600));

    async fn held(database: &Database, instance: &str, term: Term) -> usize {
        tick(database, instance, 16, term).await.unwrap().unwrap().shards.len()
    }

    #[tokio::test]
    async fn shards_spread_when_instances_come_and_go() {
        let test = TestDatabase::postgres();
        let database = test.open().await.unwrap();
        database.migrate(&migrator()).await.unwrap();
        prepare(&database, 16).await.unwrap();
        prepare(&database, 16).await.unwrap();
        assert_eq!(held(&database, "a", TERM).await, 16);
        // The second one finds nothing free until the first has heard of it.
        assert_eq!(held(&database, "b", TERM).await, 0);
        assert_eq!(held(&database, "a", TERM).await, 8);
        assert_eq!(held(&database, "b", TERM).await, 8);
        assert_eq!(held(&database, "c", TERM).await, 0);
        for instance in ["a", "b", "c"] {
            held(&database, instance, TERM).await;
        }
        let mut shares = Vec::new();
        for instance in ["a", "b", "c"] {
            shares.push(held(&database, instance, TERM).await);
        }
        assert_eq!(shares, [6, 5, 5]);
        leave(&database, "a").await.unwrap();
        assert_eq!(held(&database, "b", TERM).await, 8);
        assert_eq!(held(&database, "c", TERM).await, 8);
        let mut tx = database.begin_read().await.unwrap();
        let holders = holders(&mut tx).await.unwrap();
        assert!(holders.len() == 16 && holders.iter().all(|(_, holder)| holder == "b" || holder == "c"));
    }

    #[tokio::test]
    async fn lease_of_the_dead_is_taken_and_that_of_the_slow_is_kept() {
        let test = TestDatabase::postgres();
        let database = test.open().await.unwrap();
        database.migrate(&migrator()).await.unwrap();
        prepare(&database, 16).await.unwrap();
        assert_eq!(held(&database, "dead", Term(Duration::ZERO)).await, 16);
        // Nobody else came: what has expired is still its own.
        assert_eq!(held(&database, "dead", Term(Duration::ZERO)).await, 16);
        assert_eq!(held(&database, "heir", TERM).await, 16);
        assert_eq!(held(&database, "dead", TERM).await, 0);
    }

    #[tokio::test]
    async fn sqlite_has_no_leases() {
        let test = TestDatabase::sqlite();
        let database = test.open().await.unwrap();
        database.migrate(&migrator()).await.unwrap();
        prepare(&database, 1).await.unwrap();
        assert_eq!(tick(&database, "a", 1, TERM).await.unwrap(), None);
    }

    #[test]
    fn shares_cover_all_shards_and_differ_by_one_at_most() {
        for (shards, instances) in [(16, 1), (16, 3), (16, 5), (16, 7), (16, 9), (16, 16), (16, 17), (1, 3)] {
            let shares: Vec<usize> =
                (0..instances).map(|before| fair_share(shards, instances, before)).collect();
            assert_eq!(i64::try_from(shares.iter().sum::<usize>()), Ok(shards), "{instances}: {shares:?}");
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            assert!(most - least <= 1, "{instances}: {shares:?}");
        }
        assert_eq!(fair_share(16, 0, 0), 16);
    }
}
