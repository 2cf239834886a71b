//! The six promises of `EventFeed` as questions to what came: [`Guarantees::take`] looks at each response of a stream, and
//! [`Guarantees::breaches`] says what did not hold, and where. Why by what came alone: other consumers have nothing else either, and
//! tests of faults ask the same questions behind every kill.

use std::{collections::BTreeMap, fmt};

use shipei_contracts::event::v1::{Event, SubscribeResponse};

/// The most breaches that are kept; the others are counted.
const BREACHES_KEPT_MAX: usize = 100;

/// What the contract promises of each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Events come in the order of their numbers.
    Ordered,
    /// No event comes twice.
    Unique,
    /// Nothing is left out.
    Reliable,
    /// What one transaction has in a partition comes in one response, if it has room.
    Atomic,
    /// A cursor goes on exactly behind its response.
    Resumable,
    /// Nothing comes any more of what stands at or below the positions.
    Bookmarkable,
}

impl Guarantee {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::Ordered, Self::Unique, Self::Reliable, Self::Atomic, Self::Resumable, Self::Bookmarkable];

    /// What it is called, in Chinese and English.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ordered => "有序 ordered",
            Self::Unique => "不重 unique",
            Self::Reliable => "不漏 reliable",
            Self::Atomic => "完整 atomic",
            Self::Resumable => "可续 resumable",
            Self::Bookmarkable => "可记 bookmarkable",
        }
    }
}

/// A promise that was not kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which promise.
    pub guarantee: Guarantee,
    /// In which partition.
    pub partition: u32,
    /// At which number.
    pub number: i64,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guarantee, partition, number, seen } = self;
        write!(f, "{} {partition}-{number}: {seen}", guarantee.title())
    }
}

/// What came of one partition so far.
#[derive(Debug, Default)]
struct Seen {
    /// The numbers that came, as ranges from the first to the last of each.
    ranges: BTreeMap<i64, i64>,
    /// The number of the last event.
    last: i64,
    /// The position that was told last.
    told: i64,
    /// A transaction that had not ended in the last response that had events of this partition.
    open: Option<Open>,
}

/// A transaction of which more may come.
#[derive(Debug)]
struct Open {
    last: Event,
    /// The response had nothing but it.
    was_alone: bool,
}

impl Seen {
    fn has(&self, number: i64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, end)| *end >= number)
    }

    fn note(&mut self, number: i64) {
        match self.ranges.range_mut(..number).next_back() {
            Some((_, end)) if *end == number - 1 => *end = number,
            _ => {
                self.ranges.insert(number, number);
            }
        }
        self.last = self.last.max(number);
    }
}

/// What came of one log, and what did not hold.
#[derive(Debug)]
pub struct Guarantees {
    /// Numbers have gaps.
    is_filtered: bool,
    /// Nothing came yet of a stream that begins in the middle.
    begins_anywhere: bool,
    partitions: BTreeMap<u32, Seen>,
    events: u64,
    responses: u64,
    resumptions: u64,
    breaches: Vec<Breach>,
    count: u64,
}

impl Guarantees {
    /// Nothing came yet. A stream whose filter leaves events out has gaps; one that begins at a time, or now, begins at any number.
    pub fn new(is_filtered: bool, begins_anywhere: bool) -> Self {
        Self {
            is_filtered,
            begins_anywhere,
            partitions: BTreeMap::new(),
            events: 0,
            responses: 0,
            resumptions: 0,
            breaches: Vec::new(),
            count: 0,
        }
    }

    /// Looks at the next response; `resumed` says that it is the first one of a stream that went on with the cursor of the one before.
    pub fn take(&mut self, response: &SubscribeResponse, resumed: bool) {
        self.responses += 1;
        self.resumptions += u64::from(resumed);
        let mut by_partition: BTreeMap<u32, Vec<&Event>> = BTreeMap::new();
        for event in &response.events {
            by_partition.entry(event.partition).or_default().push(event);
        }
        let is_alone = by_partition.len() == 1;
        for (partition, events) in by_partition {
            self.begin_at(partition, events[0].number - 1);
            self.events += events.len() as u64;
            self.look_at_transactions(partition, &events, is_alone);
            for (place, event) in events.iter().enumerate() {
                self.look_at(partition, event.number, resumed && place == 0);
            }
        }
        for position in &response.positions {
            self.look_at_position(position.partition, position.number);
        }
        self.begins_anywhere = false;
    }

    /// The first response of a stream that begins in the middle says where.
    fn begin_at(&mut self, partition: u32, before: i64) {
        if self.begins_anywhere && !self.partitions.contains_key(&partition) {
            let seen = Seen { last: before, told: before, ..Seen::default() };
            self.partitions.insert(partition, seen);
        }
    }

    fn look_at(&mut self, partition: u32, number: i64, is_first_behind_cursor: bool) {
        let is_filtered = self.is_filtered;
        let seen = self.partitions.entry(partition).or_default();
        let (last, told) = (seen.last, seen.told);
        let breach = if seen.has(number) {
            let guarantee = if is_first_behind_cursor { Guarantee::Resumable } else { Guarantee::Unique };
            Some((guarantee, "came already".to_owned()))
        } else if number <= told {
            Some((Guarantee::Bookmarkable, format!("comes behind the position {told}")))
        } else if number < last {
            Some((Guarantee::Ordered, format!("comes behind {last}")))
        } else if !is_filtered && number > last + 1 {
            let guarantee = if is_first_behind_cursor { Guarantee::Resumable } else { Guarantee::Reliable };
            Some((guarantee, format!("comes next to {last}")))
        } else {
            None
        };
        seen.note(number);
        if let Some((guarantee, what)) = breach {
            self.report(guarantee, partition, number, what);
        }
    }

    fn look_at_position(&mut self, partition: u32, number: i64) {
        self.begin_at(partition, number);
        let is_filtered = self.is_filtered;
        let seen = self.partitions.entry(partition).or_default();
        let (last, told) = (seen.last, seen.told);
        seen.told = told.max(number);
        if number < told {
            self.report(
                Guarantee::Bookmarkable,
                partition,
                number,
                format!("the position was {told} before"),
            );
        } else if number < last {
            self.report(
                Guarantee::Bookmarkable,
                partition,
                number,
                format!("the position is below {last}, which came"),
            );
        } else if !is_filtered && number > last {
            self.report(
                Guarantee::Reliable,
                partition,
                number,
                format!("the position is beyond {last}, the last that came"),
            );
            // Said once.
            self.partitions.entry(partition).or_default().last = number;
        }
    }

    fn look_at_transactions(&mut self, partition: u32, events: &[&Event], is_alone: bool) {
        let seen = self.partitions.entry(partition).or_default();
        let (first, last) = (events[0], events[events.len() - 1]);
        let open = seen.open.take();
        let goes_on = open.as_ref().is_some_and(|open| is_one_transaction(&open.last, first));
        let is_one = events.windows(2).all(|pair| is_one_transaction(pair[0], pair[1]));
        // Of a transaction that goes on in a third response the second one has nothing else either.
        let was_alone = is_alone && is_one;
        if last.transaction_place < last.transaction_size {
            seen.open = Some(Open { last: last.clone(), was_alone });
        }
        if let Some(open) = open.filter(|open| goes_on && !open.was_alone) {
            let number = first.number;
            let what =
                format!("its transaction began with {}, in a response that has others too", open.last.number);
            self.report(Guarantee::Atomic, partition, number, what);
        }
    }

    fn report(&mut self, guarantee: Guarantee, partition: u32, number: i64, seen: String) {
        self.count += 1;
        if self.breaches.len() < BREACHES_KEPT_MAX {
            self.breaches.push(Breach { guarantee, partition, number, seen });
        }
    }

    /// What did not hold, the first hundred of it.
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// How much did not hold.
    pub fn breach_count(&self) -> u64 {
        self.count
    }

    /// How many events came, in how many responses, and how often the stream went on with a cursor.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.events, self.responses, self.resumptions)
    }

    /// The number up to which a partition has come.
    pub fn reached(&self, partition: u32) -> i64 {
        self.partitions.get(&partition).map_or(0, |seen| seen.told.max(seen.last))
    }
}

/// Whether two events that follow each other in a partition were kept together: as far as it can be seen, since transactions have no names.
fn is_one_transaction(before: &Event, event: &Event) -> bool {
    before.transaction_size == event.transaction_size
        && before.transaction_place < event.transaction_place
        && before.recorded_time == event.recorded_time
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use shipei_contracts::common::v1::LogPosition;

    use super::*;

    /// Events of partition 7: number, and size and place of its transaction.
    fn response(events: &[(i64, i32, i32)], position: i64) -> SubscribeResponse {
        let event = |(number, size, place): &(i64, i32, i32)| Event {
            partition: 7,
            number: *number,
            transaction_size: *size,
            transaction_place: *place,
            recorded_time: Some(Timestamp { seconds: number - i64::from(*place), nanos: 0 }),
            ..Event::default()
        };
        let position = LogPosition { partition: 7, number: position, ..LogPosition::default() };
        SubscribeResponse {
            events: events.iter().map(event).collect(),
            positions: vec![position],
            ..Default::default()
        }
    }

    /// What does not hold of these responses; true are those of a stream that went on.
    fn breaches(
        guarantees: &mut Guarantees,
        responses: &[(SubscribeResponse, bool)],
    ) -> Vec<(Guarantee, i64)> {
        for (response, resumed) in responses {
            guarantees.take(response, *resumed);
        }
        guarantees.breaches().iter().map(|breach| (breach.guarantee, breach.number)).collect()
    }

    fn single(numbers: &[i64], position: i64) -> SubscribeResponse {
        let events: Vec<(i64, i32, i32)> = numbers.iter().map(|number| (*number, 1, 1)).collect();
        response(&events, position)
    }

    #[test]
    fn what_is_promised_passes() {
        let mut all = Guarantees::new(false, false);
        let whole = [
            (single(&[1, 2], 2), false),
            (response(&[(3, 2, 1), (4, 2, 2)], 4), false),
            (single(&[], 4), true),
            (single(&[5], 5), false),
            // More than a response holds, and nothing else beside it.
            (response(&[(6, 3, 1)], 6), true),
            (response(&[(7, 3, 2)], 7), false),
            (response(&[(8, 3, 3), (9, 1, 1)], 9), false),
        ];
        assert_eq!(breaches(&mut all, &whole), []);
        assert_eq!((all.counts(), all.reached(7), all.reached(8)), ((9, 7, 2), 9, 0));
        let mut some = Guarantees::new(true, false);
        let filtered = [(single(&[3, 9], 20), false), (single(&[], 40), false), (single(&[41], 41), true)];
        assert_eq!(breaches(&mut some, &filtered), []);
        let mut later = Guarantees::new(false, true);
        assert_eq!(breaches(&mut later, &[(single(&[], 30), false), (single(&[31], 31), false)]), []);
    }

    #[test]
    fn each_planted_fault_is_found() {
        let found =
            |responses: &[(SubscribeResponse, bool)]| breaches(&mut Guarantees::new(false, false), responses);
        let first = || (single(&[1, 2], 2), false);
        assert_eq!(found(&[first(), (single(&[2, 3], 3), false)]), [(Guarantee::Unique, 2)]);
        assert_eq!(found(&[first(), (single(&[4], 4), false)]), [(Guarantee::Reliable, 4)]);
        assert_eq!(found(&[first(), (single(&[], 5), false)]), [(Guarantee::Reliable, 5)]);
        assert_eq!(found(&[first(), (single(&[2], 2), true)]), [(Guarantee::Resumable, 2)]);
        assert_eq!(found(&[first(), (single(&[4], 4), true)]), [(Guarantee::Resumable, 4)]);
        assert_eq!(found(&[first(), (single(&[], 1), false)]), [(Guarantee::Bookmarkable, 1)]);
        assert_eq!(found(&[first(), (single(&[3, 4], 3), false)]), [(Guarantee::Bookmarkable, 3)]);
        let torn = [(response(&[(1, 1, 1), (2, 2, 1)], 2), false), (response(&[(3, 2, 2)], 3), false)];
        assert_eq!(found(&torn), [(Guarantee::Atomic, 3)]);
        let filtered =
            |responses: &[(SubscribeResponse, bool)]| breaches(&mut Guarantees::new(true, false), responses);
        assert_eq!(filtered(&[(single(&[9, 4], 9), false)]), [(Guarantee::Ordered, 4)]);
        assert_eq!(
            filtered(&[(single(&[9], 20), false), (single(&[12], 20), false)]),
            [(Guarantee::Bookmarkable, 12)]
        );
    }

    #[test]
    fn breaches_without_end_are_counted() {
        let mut all = Guarantees::new(false, false);
        let gaps: Vec<i64> = (1..=300).map(|number| number * 2).collect();
        all.take(&single(&gaps, 600), false);
        assert_eq!((all.breaches().len(), all.breach_count()), (BREACHES_KEPT_MAX, 300));
        assert!(all.breaches()[0].to_string().contains("7-2"));
    }
}
