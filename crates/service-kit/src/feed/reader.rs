//! What lies between a consumer's place and the end of a log, read by partition and filtered, and the cursor that says where it
//! stands then: the same for a stream ([`super::subscription`]) and for a single call ([`super::pull`]). Why a cursor has marks: a
//! log that was restored from a back-up and written on has other events at the places that its readers remember, and must not
//! pass for the same log.

use chrono::SecondsFormat;
use prost::Message;
use shipei_contracts::{
    common::v1::{ErrorReason, LogPosition as ProtoPosition},
    event::v1::{Event, Start},
};
use shipei_store::{
    LogPosition, Marks, Partition, Positions, StoreError, StoredEvent, Tx, event_log,
    event_log::{ReadBatch, Wanted},
};

use crate::{
    answer::error::{Error, Refusal, Result},
    call::{
        admit::Admitted,
        consistency::to_proto,
        reach::{AsOf, Columns, Reach},
    },
    feed::filter::Filter,
    telemetry::Sometimes,
    write::{event::to_event, kit::Kit},
};

/// The most events of one response.
pub(crate) const EVENTS_PER_RESPONSE_MAX: usize = 500;
/// The most reads of one transaction, each of some thousand numbers of a partition.
const READS_PER_TRANSACTION_MAX: usize = 64;
/// What an event takes in memory besides its data, roughly, bytes: the message and its short texts.
const EVENT_OVERHEAD_BYTES: usize = 700;
/// What an event belongs to.
pub(super) const OF_EVENTS: Columns = Columns {
    programme: "event.programme",
    region: "event.region",
    class: "",
    person: "",
    subject: "",
    as_of: AsOf::Row("event.occurred_at"),
};

/// How much one response may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Events.
    pub(crate) events: usize,
    /// Bytes, about: one event may have more.
    pub(crate) bytes: usize,
}

/// What a cursor says inside its seal.
#[derive(Clone, PartialEq, Message)]
struct CursorBody {
    #[prost(string, tag = "1")]
    epoch: String,
    #[prost(bytes = "vec", tag = "2")]
    positions: Vec<u8>,
    /// The digest of the marks at the positions.
    #[prost(bytes = "vec", tag = "3")]
    marks: Vec<u8>,
    /// The digest of the filter that it was given for.
    #[prost(bytes = "vec", tag = "4")]
    filter: Vec<u8>,
}

/// A consumer's place in a log, and what of the log it wants and may see.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(super) log: Kit,
    filter: Filter,
    /// How far the consumer may see.
    reach: Reach,
    epoch: String,
    positions: Positions,
    /// Of the events at the positions.
    marks: Marks,
}

impl Reader {
    /// At a cursor, or where the filter says that a consumer without one begins.
    pub(crate) async fn open(log: Kit, admitted: &Admitted, filter: Filter, cursor: &str) -> Result<Self> {
        let opening = log.retry(|| open_place(&log, admitted, &filter, cursor));
        let (reach, (epoch, positions, marks)) = opening.await?;
        Ok(Self { log, filter, reach, epoch, positions, marks })
    }

    /// Where it stands.
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The same, as the contract has it.
    pub(crate) fn positions_told(&self) -> Vec<ProtoPosition> {
        to_proto(self.log.source(), &self.positions)
    }

    /// Where to go on, sealed.
    pub(crate) fn cursor(&self) -> String {
        let body = CursorBody {
            epoch: self.epoch.clone(),
            positions: self.positions.to_bytes(),
            marks: self.marks.digest(),
            filter: self.filter.digest.to_vec(),
        };
        self.log.cursor_tokens().seal(&self.filter.binding, &body.encode_to_vec())
    }

    /// Has it read more than the log holds?
    pub(crate) fn is_beyond(&self, heads: &Positions) -> bool {
        self.filter.partitions.iter().any(|partition| heads.get(*partition) < self.positions.get(*partition))
    }

    /// The partitions that hold more than it has read.
    ///
    /// # Errors
    /// [`ErrorReason::EpochChanged`] when the log has become shorter than that.
    pub(crate) fn behind(&self, heads: &Positions) -> Result<Vec<Partition>> {
        if self.is_beyond(heads) {
            return Err(epoch_changed());
        }
        let mut behind = self.filter.partitions.clone();
        behind.retain(|partition| heads.get(*partition) > self.positions.get(*partition));
        Ok(behind)
    }

    /// Reads what one response holds, from the partitions that are behind, and takes those off that are not any more. The first
    /// read after a while has to `verify` that the log is still the one that was read.
    pub(crate) async fn read(
        &mut self,
        behind: &mut Vec<Partition>,
        heads: &Positions,
        room: Room,
        verify: bool,
    ) -> Result<Vec<Event>> {
        let mut tx = self.log.database().begin_read_of_log().await?;
        if verify {
            self.verify_marks(&mut tx, behind).await?;
        }
        let events = self.read_some(&mut tx, behind, heads, room).await?;
        tx.rollback().await?;
        Ok(events)
    }

    /// Are the events that it stands on still those that it has read? Another database may have taken over that
    /// lacked them, and have numbered others like them since.
    async fn verify_marks(&self, tx: &mut Tx, behind: &[Partition]) -> Result<()> {
        let mut read = Positions::new();
        for partition in behind {
            read.set(*partition, self.positions.get(*partition));
        }
        let marks = event_log::marks_at(tx, &read).await?;
        let is_same = |marks: &Marks| {
            read.iter().all(|(partition, _)| marks.get(partition) == self.marks.get(partition))
        };
        match marks {
            Some(marks) if is_same(&marks) => Ok(()),
            // Read so slowly that what it stands on was dropped meanwhile.
            _ if lacks(&event_log::dropped(tx).await?, behind, &self.positions) => Err(compacted(tx).await?),
            _ => Err(epoch_changed()),
        }
    }

    async fn read_some(
        &mut self,
        tx: &mut Tx,
        behind: &mut Vec<Partition>,
        heads: &Positions,
        room: Room,
    ) -> Result<Vec<Event>> {
        let mut events: Vec<Event> = Vec::new();
        let mut bytes = 0_usize;
        let mut reads = 0;
        while let Some(partition) = behind.last().copied() {
            let left = room.events.saturating_sub(events.len());
            if left == 0 || reads == READS_PER_TRANSACTION_MAX {
                break;
            }
            reads += 1;
            let after = self.positions.get(partition);
            let Filter { types, regions, programmes, .. } = &self.filter;
            let wanted = Wanted { types, regions, programmes };
            let reached = self.reach.over(OF_EVENTS);
            let read = event_log::read_wanted(tx, (partition, after), left, wanted, &reached).await;
            if let Err(StoreError::EventsDropped { .. }) = read {
                return Err(compacted(tx).await?);
            }
            let mut batch = read?;
            if batch.reached <= after {
                // The head said that there is more: the log has become shorter meanwhile.
                return Err(epoch_changed());
            }
            let fitting = fitting(&batch, room.bytes.saturating_sub(bytes), events.is_empty());
            let is_last_read = reads == READS_PER_TRANSACTION_MAX && batch.reached < heads.get(partition);
            let is_cut = fitting < batch.events.len() || batch.events.len() == left || is_last_read;
            let whole =
                if is_cut { without_begun(&batch.events[..fitting], events.is_empty()) } else { fitting };
            if whole < batch.events.len() {
                // Everything before the first event that is left out was taken or filtered out.
                let place = LogPosition { partition, number: batch.events[whole].position.number - 1 };
                batch.reached = place.number;
                batch.mark = event_log::mark_at(tx, place).await?.unwrap_or_default();
                batch.events.truncate(whole);
            }
            for stored in batch.events {
                bytes = bytes.saturating_add(size(&stored));
                events.push(to_event(self.log.source(), stored));
            }
            if batch.reached > after {
                self.positions.raise(partition, batch.reached);
                self.marks.set(partition, batch.mark);
            }
            if batch.reached >= heads.get(partition) {
                behind.pop();
            }
            if is_cut {
                break;
            }
        }
        Ok(events)
    }
}

/// About how much an event takes.
fn size(stored: &StoredEvent) -> usize {
    stored.data.len() + EVENT_OVERHEAD_BYTES
}

/// How many events of a batch have room; the first of a response always has.
fn fitting(batch: &ReadBatch, bytes_max: usize, is_first: bool) -> usize {
    let mut bytes = 0_usize;
    let fit = batch.events.iter().take_while(|stored| {
        bytes = bytes.saturating_add(size(stored));
        bytes <= bytes_max
    });
    let fit = fit.count();
    if is_first { fit.max(1).min(batch.events.len()) } else { fit }
}

/// How many of these events are left when a transaction that may go on behind them is left for the next response. Where a response
/// would have nothing else, the transaction is more than one holds, and comes in several.
fn without_begun(events: &[StoredEvent], is_first: bool) -> usize {
    let Some(last) = events.last() else { return 0 };
    if last.transaction_place == last.transaction_size {
        return events.len();
    }
    let mut begun = events.len() - 1;
    while begun > 0 {
        let (before, event) = (&events[begun - 1], &events[begun]);
        let is_same = before.transaction_size == event.transaction_size
            && before.transaction_place < event.transaction_place
            && before.recorded_at == event.recorded_at;
        if !is_same {
            break;
        }
        begun -= 1;
    }
    if begun == 0 && is_first { events.len() } else { begun }
}

/// The log is not the one that the cursor is of.
pub(super) fn epoch_changed() -> Error {
    Sometimes::RefusedEpoch.happened();
    Refusal::new(ErrorReason::EpochChanged).field("cursor").into()
}

/// Would who stands at these positions miss what was dropped?
fn lacks(dropped: &Positions, partitions: &[Partition], positions: &Positions) -> bool {
    partitions.iter().any(|partition| positions.get(*partition) < dropped.get(*partition))
}

/// What comes behind the cursor is not kept any more; the refusal says from when on it is.
async fn compacted(tx: &mut Tx) -> Result<Error> {
    let oldest = event_log::extents(tx).await?.iter().map(|extent| extent.oldest_at).min();
    let refusal = Refusal::new(ErrorReason::CursorCompacted).field("cursor");
    Ok(match oldest {
        Some(at) => refusal.with("oldest_time", at.to_rfc3339_opts(SecondsFormat::Secs, true)).into(),
        None => refusal.into(),
    })
}

/// A log's epoch, the positions of a consumer, and the marks there.
type Place = (String, Positions, Marks);

async fn open_place(log: &Kit, admitted: &Admitted, filter: &Filter, cursor: &str) -> Result<(Reach, Place)> {
    let mut tx = log.database().begin_read_of_log().await?;
    let reach = admitted.enter(&mut tx).await?;
    filter.check_regions(&mut tx).await?;
    let epoch = event_log::epoch(&mut tx).await?;
    let dropped = event_log::dropped(&mut tx).await?;
    if cursor.is_empty() {
        let begin = begin_of(&mut tx, filter, &dropped).await?;
        let marks = event_log::marks_at(&mut tx, &begin).await?;
        tx.rollback().await?;
        let vanished = || Error::Unavailable("the end of the log changed while it was read".to_owned());
        return Ok((reach, (epoch, begin, marks.ok_or_else(vanished)?)));
    }
    let invalid = || Error::from(Refusal::new(ErrorReason::InvalidCursor).field("cursor"));
    let bytes = log.cursor_tokens().open(&filter.binding, cursor).map_err(|_| invalid())?;
    let body = CursorBody::decode(bytes.as_slice()).map_err(|_| invalid())?;
    let positions = Positions::from_bytes(&body.positions).map_err(|_| invalid())?;
    if body.filter != filter.digest {
        return Err(Refusal::new(ErrorReason::CursorFilterMismatch).field("cursor").into());
    }
    if body.epoch == epoch && lacks(&dropped, &filter.partitions, &positions) {
        return Err(compacted(&mut tx).await?);
    }
    let marks = event_log::marks_at(&mut tx, &positions).await?;
    tx.rollback().await?;
    match marks {
        Some(marks) if body.epoch == epoch && body.marks == marks.digest() => {
            Ok((reach, (epoch, positions, marks)))
        }
        _ => Err(epoch_changed()),
    }
}

/// Where a consumer without a cursor begins.
async fn begin_of(tx: &mut Tx, filter: &Filter, dropped: &Positions) -> Result<Positions> {
    let mut begin = Positions::new();
    if filter.start == Start::First && lacks(dropped, &filter.partitions, &begin) {
        return Err(compacted(tx).await?);
    }
    if filter.start != Start::Now && filter.start_time.is_none() {
        for partition in filter.partitions.iter().filter(|partition| dropped.get(**partition) > 0) {
            begin.set(*partition, dropped.get(*partition));
        }
        return Ok(begin);
    }
    let heads = event_log::heads(tx).await?;
    for partition in &filter.partitions {
        let head = heads.get(*partition);
        let number = match filter.start_time {
            Some(at) => event_log::last_before(tx, (*partition, head), at).await?,
            None => head,
        };
        if number > 0 {
            begin.set(*partition, number);
        }
    }
    Ok(begin)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shipei_store::{Link, StoredEvent};

    use super::*;

    /// Events by size and place of their transaction, a second apart where the transaction is another one.
    fn events(of: &[(i64, i64, i64)]) -> Vec<StoredEvent> {
        let event = |(number, (second, size, place)): (usize, &(i64, i64, i64))| StoredEvent {
            position: LogPosition { partition: Partition::of(""), number: number as i64 + 1 },
            recorded_at: DateTime::from_timestamp(*second, 0).unwrap(),
            kind: String::new(),
            programme: String::new(),
            subject: String::new(),
            version: 1,
            region: String::new(),
            occurred_at: DateTime::UNIX_EPOCH,
            actor: String::new(),
            address: String::new(),
            cause: String::new(),
            trace: String::new(),
            transaction_size: *size,
            transaction_place: *place,
            data: vec![0; 300],
            fact_id: String::new(),
            link: Link::NONE,
        };
        of.iter().enumerate().map(event).collect()
    }

    #[test]
    fn transaction_that_may_go_on_is_left_for_the_next_response() {
        let whole = |of: &[(i64, i64, i64)], first| without_begun(&events(of), first);
        assert_eq!(whole(&[], true), 0);
        assert_eq!(whole(&[(1, 2, 1), (1, 2, 2)], true), 2);
        assert_eq!(whole(&[(1, 1, 1), (2, 3, 1), (2, 3, 2)], true), 1);
        // The first of them stands in another partition.
        assert_eq!(whole(&[(1, 1, 1), (1, 4, 2), (1, 4, 3)], true), 1);
        // Two transactions of one size, one behind the other.
        assert_eq!(whole(&[(1, 3, 1), (1, 3, 2), (2, 3, 1)], true), 2);
        // Nothing else is there: it is larger than a response.
        assert_eq!(whole(&[(1, 9, 1), (1, 9, 2)], true), 2);
        assert_eq!(whole(&[(1, 9, 1), (1, 9, 2)], false), 0);
    }

    #[test]
    fn first_event_of_a_response_always_fits() {
        let batch = ReadBatch { events: events(&[(1, 1, 1), (2, 1, 1), (3, 1, 1)]), reached: 3, mark: 0 };
        assert_eq!([fitting(&batch, 0, true), fitting(&batch, 0, false)], [1, 0]);
        assert_eq!([fitting(&batch, 2000, true), fitting(&batch, 2999, false)], [2, 2]);
        assert_eq!(fitting(&batch, 3000, false), 3);
    }
}
