//! The chain of a log: each event of a partition carries a link, SHA-256 over all that it says and the link before it, so
//! that an event that was removed, changed or put in another's place is found, with its place. Why under the head's lock: it
//! is held anyway, and the head keeps the last link. What nobody finds here is a chain that somebody made anew from some
//! event on: for that, links are written down where the database's administrator can't write (checkpoints), and a
//! [`Walk`] holds the log against them.

use std::collections::BTreeMap;

use crate::event_log::{EventRow, StoredEvent};
use crate::link::{Link, Place, content};
use crate::partition::Partition;
use crate::{StoreError, Tx, fetch_all, fetch_one, fetch_optional};

/// The most events that one step of a walk reads.
pub const EVENTS_PER_STEP: i64 = 500;
/// The most breaks of one chain that are told; the walk goes on and counts.
pub const BREAKS_MAX: usize = 20;

/// The link that a stored event ought to have.
fn link_of(before: Option<Link>, event: &StoredEvent) -> Link {
    let place =
        Place { number: event.position.number, version: event.version, recorded_at: event.recorded_at };
    Link::after(before, &content!(event, event.position.partition), place)
}

/// What is wrong at a place of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No event with this number, though there are later ones or the head is beyond it: it was removed.
    Missing,
    /// The event's link does not follow from what it says and from the link before: it, or the one before, was changed or put in
    /// another's place.
    Changed,
    /// The head's link is another than the last event's: the end was changed.
    End,
    /// An event beyond the head: it was put there.
    Beyond,
    /// An event that is said to be dropped with an old month: the place of that was moved.
    Trimmed,
    /// A checkpoint has another link here: all from here on, or from some place before, was written anew.
    Rewritten,
    /// A checkpoint has this number and the log has ended before it: its end was removed, or an older state restored.
    Shortened,
}

/// A break of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// The number of the event.
    pub number: i64,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// One chain while it is verified, from the first event that is kept to where the log ended when it began.
#[derive(Debug)]
pub struct Walk {
    partition: Partition,
    number: i64,
    link: Option<Link>,
    until: i64,
    last: Option<Link>,
    /// Links that were written down, by number.
    witnesses: BTreeMap<i64, Link>,
    /// What a walk has found.
    pub found: Found,
}

/// What a walk has found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// The number before the first event that is kept: more than 0 where old months were dropped.
    pub trimmed: i64,
    /// How many events were looked at.
    pub events: i64,
    /// How many links of checkpoints were compared.
    pub compared: i64,
    /// How many breaks there are.
    pub breaks: usize,
    /// The first of them, [`BREAKS_MAX`] at most.
    pub first: Vec<Break>,
}

impl Found {
    fn note(&mut self, number: i64, flaw: Flaw) {
        self.breaks += 1;
        if self.first.len() < BREAKS_MAX {
            self.first.push(Break { number, flaw });
        }
    }
}

impl Walk {
    /// Begins, with the links of checkpoints by number.
    ///
    /// # Errors
    /// What the database does.
    pub async fn begin(
        tx: &mut Tx,
        partition: Partition,
        witnesses: BTreeMap<i64, Link>,
    ) -> Result<Walk, StoreError> {
        let (until, last): (i64, Option<Vec<u8>>) = fetch_one!(
            tx,
            (i64, Option<Vec<u8>>),
            "SELECT position, link FROM event_head WHERE partition = $1",
            partition.number()
        )?;
        let trim = fetch_optional!(
            tx,
            (i64, Vec<u8>),
            "SELECT number, link FROM event_trim WHERE partition = $1",
            partition.number()
        )?;
        let (number, link) =
            trim.map_or((0, None), |(number, link)| (number, Some(Link::from_column(&link))));
        let last = last.map(|link| Link::from_column(&link));
        let found = Found { trimmed: number, ..Found::default() };
        let mut walk = Walk { partition, number, link, until, last, witnesses, found };
        let ends = fetch_one!(
            tx,
            (Option<i64>, Option<i64>),
            "SELECT MIN(number), MAX(number) FROM event WHERE partition = $1",
            partition.number()
        )?;
        if let Some(first) = ends.0.filter(|first| *first <= walk.number) {
            walk.found.note(first, Flaw::Trimmed);
        }
        if let Some(beyond) = ends.1.filter(|last| *last > until) {
            walk.found.note(beyond, Flaw::Beyond);
        }
        walk.compare();
        Ok(walk)
    }

    /// How many events are before it.
    pub fn left(&self) -> i64 {
        (self.until - self.number).max(0)
    }

    /// Looks at some more events; false when it has come to the end.
    ///
    /// # Errors
    /// What the database does.
    pub async fn step(&mut self, tx: &mut Tx) -> Result<bool, StoreError> {
        let rows = fetch_all!(
            tx,
            EventRow,
            concat!(
                "SELECT ",
                crate::event_log::event_columns!(),
                " FROM event WHERE partition = $1 AND number > $2 AND number <= $3 ORDER BY number LIMIT $4"
            ),
            self.partition.number(),
            self.number,
            self.until,
            EVENTS_PER_STEP
        )?;
        let is_last = i64::try_from(rows.len()).unwrap_or(EVENTS_PER_STEP) < EVENTS_PER_STEP;
        for row in rows {
            self.look_at(&row.into_event(self.partition));
        }
        if is_last {
            self.end();
        }
        Ok(!is_last)
    }

    fn look_at(&mut self, event: &StoredEvent) {
        self.found.events += 1;
        let number = event.position.number;
        if number <= self.number {
            // Postgres lets a number stand in two months.
            self.found.note(number, Flaw::Changed);
            return;
        }
        if number > self.number + 1 {
            // Its own link can't be told without the one before, so it is believed; what follows it is not.
            self.found.note(self.number + 1, Flaw::Missing);
        } else if event.link != link_of(self.link, event) {
            self.found.note(number, Flaw::Changed);
        }
        (self.number, self.link) = (number, Some(event.link));
        self.compare();
    }

    /// Holds the link of where it stands against the one that was written down.
    fn compare(&mut self) {
        while let Some(entry) = self.witnesses.first_entry().filter(|entry| *entry.key() <= self.number) {
            let (number, link) = entry.remove_entry();
            // Older ones are of months that were dropped, or of an event that is missing.
            if number == self.number {
                self.found.compared += 1;
                if self.link != Some(link) {
                    self.found.note(number, Flaw::Rewritten);
                }
            }
        }
    }

    fn end(&mut self) {
        if self.number < self.until {
            self.found.note(self.number + 1, Flaw::Missing);
        } else if self.link != self.last && self.until > 0 {
            self.found.note(self.until, Flaw::End);
        }
        if let Some((number, _)) = self.witnesses.last_key_value().filter(|(number, _)| **number > self.until)
        {
            let number = *number;
            self.found.note(number, Flaw::Shortened);
        }
        self.number = self.until;
    }
}

/// The ends of all chains, the audit log's too, with their links: what a checkpoint writes down. Those without an event are left
/// out.
///
/// # Errors
/// What the database does.
pub async fn ends(tx: &mut Tx) -> Result<Vec<(Partition, i64, Link)>, StoreError> {
    let rows = fetch_all!(
        tx,
        (i64, i64, Option<Vec<u8>>),
        "SELECT partition, position, link FROM event_head WHERE position > 0 ORDER BY partition"
    )?;
    let mut ends = Vec::with_capacity(rows.len());
    for (number, position, link) in rows {
        let partition = Partition::chained().find(|partition| partition.number() == number);
        let partition =
            partition.ok_or_else(|| StoreError::corrupt_row("event_head", "partition", number))?;
        if let Some(link) = Link::of_head(partition, link)? {
            ends.push((partition, position, link));
        }
    }
    Ok(ends)
}
