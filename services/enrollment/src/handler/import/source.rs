//! Where the rows of an import come from: a file that is kept as it was sent and read part by part on a thread of its own,
//! or rows that were sent one by one.

use std::sync::Arc;

use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, import_roster_request::Part},
};
use shipei_service_kit::{Error, Refusal, Result};
use shipei_tables::{CellFault, Row, TABLE_BYTES_MAX, Table, TableError};
use tokio::{sync::mpsc, task::JoinHandle};
use tonic::{Status, Streaming};

use super::part::ROWS_PER_PART;
use crate::roster::{COLUMNS, Cells, Fault, MAX_ROSTER_ROWS, WIDTH};

/// The most rows in one message.
const ROWS_PER_MESSAGE_MAX: usize = 1_000;
/// The most rows that are sent one by one: they are kept whole, and a file is not.
const ROWS_SENT_MAX: usize = 100_000;
/// Up to so many rows every result is listed; of more, those that were rejected or are worth a look.
const RESULTS_ALL_MAX: usize = 20_000;
/// Parts that are read ahead.
const PARTS_AHEAD: usize = 1;

/// What was received.
#[derive(Default)]
pub(super) struct Received {
    file: Option<Vec<u8>>,
    rows: Vec<Cells>,
}

/// Rows, part by part.
pub(super) enum Source {
    File {
        table: Arc<Table>,
        /// Counted up to one more than an answer lists, or than there may be.
        rows: usize,
        parts: mpsc::Receiver<Vec<Cells>>,
        reading: Option<JoinHandle<Read>>,
    },
    Rows {
        rows: std::vec::IntoIter<Cells>,
        count: usize,
    },
}

type Read = std::result::Result<(), TableError>;

/// Receives everything after the header.
pub(super) async fn receive(
    stream: &mut Streaming<pb::ImportRosterRequest>,
) -> std::result::Result<Received, Status> {
    let mut received = Received::default();
    while let Some(message) = stream.message().await? {
        match message.part {
            Some(Part::CsvChunk(chunk)) => received.add_chunk(&chunk)?,
            Some(Part::Rows(rows)) => received.add_rows(rows.rows)?,
            Some(Part::Header(_)) => return Err(Error::invalid("header", "only in the first message").into()),
            None => return Err(Error::invalid("part", "required").into()),
        }
        if received.file.is_some() && !received.rows.is_empty() {
            return Err(Error::invalid("rows", "either chunks of a file or rows, not both").into());
        }
    }
    Ok(received)
}

fn too_many(field: &str, limit: &str, most: usize) -> Error {
    Refusal::new(ErrorReason::TooMany).field(field).with(limit, most.to_string()).into()
}

impl Received {
    fn add_chunk(&mut self, chunk: &[u8]) -> Result<()> {
        let file = self.file.get_or_insert_default();
        if file.len() + chunk.len() > TABLE_BYTES_MAX {
            return Err(too_many("csv_chunk", "bytes_max", TABLE_BYTES_MAX));
        }
        file.extend_from_slice(chunk);
        Ok(())
    }

    fn add_rows(&mut self, rows: Vec<pb::RosterRow>) -> Result<()> {
        if rows.len() > ROWS_PER_MESSAGE_MAX {
            return Err(too_many("rows", "rows_per_message_max", ROWS_PER_MESSAGE_MAX));
        }
        if self.rows.len() + rows.len() > ROWS_SENT_MAX {
            return Err(too_many("rows", "rows_max", ROWS_SENT_MAX));
        }
        for row in rows {
            let number = i64::try_from(self.rows.len()).unwrap_or(i64::MAX).saturating_add(1);
            self.rows.push(cells_of(number, row));
        }
        Ok(())
    }
}

fn cells_of(number: i64, row: pb::RosterRow) -> Cells {
    let cells = [
        row.person_id,
        row.name,
        row.id_number,
        row.role,
        row.county_code,
        row.school_code,
        row.education_stage,
        row.subject,
        row.development_stage,
        row.class_id,
        row.same_person_as,
    ];
    Cells { row: number, cells: cells.map(|cell| cell.trim().to_owned()), ..Cells::default() }
}

impl Source {
    /// Opens what was received. Reading a large file takes a while, so it happens aside.
    pub(super) async fn open(received: Received) -> Result<Self> {
        let Some(file) = received.file else {
            return Ok(Self::Rows { count: received.rows.len(), rows: received.rows.into_iter() });
        };
        let opening = tokio::task::spawn_blocking(move || {
            let table = Table::open(file, &COLUMNS)?;
            // Counting reads them all, so they are counted only where it may matter.
            let is_short = table.rows_at_most() <= MAX_ROSTER_ROWS;
            let rows = table.count(if is_short { RESULTS_ALL_MAX } else { MAX_ROSTER_ROWS })?;
            Ok((table, rows))
        });
        let opened = opening.await.map_err(|error| Error::Internal(format!("opening a roster: {error}")))?;
        let (table, rows) = opened.map_err(|error| invalid_file(&error))?;
        if rows > MAX_ROSTER_ROWS {
            return Err(too_many("csv_chunk", "rows_max", MAX_ROSTER_ROWS));
        }
        let table = Arc::new(table);
        let (sender, parts) = mpsc::channel(PARTS_AHEAD);
        let reading = tokio::task::spawn_blocking({
            let table = table.clone();
            move || read(&table, &sender)
        });
        Ok(Self::File { table, rows, parts, reading: Some(reading) })
    }

    /// The table, if it is a file.
    pub(super) fn table(&self) -> Option<&Table> {
        match self {
            Self::File { table, .. } => Some(table),
            Self::Rows { .. } => None,
        }
    }

    /// Whether there are so few rows that an answer lists them all.
    pub(super) fn is_short(&self) -> bool {
        let (Self::File { rows, .. } | Self::Rows { count: rows, .. }) = self;
        *rows <= RESULTS_ALL_MAX
    }

    /// The next part; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Cells>>> {
        match self {
            Self::Rows { rows, .. } => {
                let part: Vec<Cells> = rows.by_ref().take(ROWS_PER_PART).collect();
                Ok((!part.is_empty()).then_some(part))
            }
            Self::File { parts, reading, .. } => {
                if let Some(part) = parts.recv().await {
                    return Ok(Some(part));
                }
                let Some(reading) = reading.take() else { return Ok(None) };
                let read =
                    reading.await.map_err(|error| Error::Internal(format!("reading a roster: {error}")))?;
                read.map_err(|error| invalid_file(&error))?;
                Ok(None)
            }
        }
    }
}

/// Reads the whole file part by part, as fast as the parts are taken; ends early when nobody takes them any more.
fn read(table: &Table, sender: &mpsc::Sender<Vec<Cells>>) -> Read {
    let mut part = Vec::with_capacity(ROWS_PER_PART);
    let mut is_wanted = true;
    table.visit(|row| {
        part.push(cells_of_row(row));
        if part.len() == ROWS_PER_PART {
            is_wanted = sender.blocking_send(std::mem::take(&mut part)).is_ok();
        }
        is_wanted
    })?;
    if is_wanted && !part.is_empty() {
        // Nobody takes the last part when the call has ended.
        let _ = sender.blocking_send(part);
    }
    Ok(())
}

fn cells_of_row(row: &Row) -> Cells {
    let mut cells = Cells {
        row: i64::try_from(row.line).unwrap_or(i64::MAX),
        faults: row.faults.iter().map(fault_of).collect(),
        texts: row.texts().to_vec(),
        ..Cells::default()
    };
    for column in 0..WIDTH {
        cells.cells[column] = row.get(column).to_owned();
        cells.ruins[column] = row.ruin(column);
    }
    cells
}

fn fault_of(fault: &CellFault) -> Fault {
    Fault::invalid(fault.column, fault.en.clone(), fault.zh.clone())
}

/// Names columns of ours only: a file without a header has somebody's data in its first line.
fn invalid_file(error: &TableError) -> Error {
    let refusal = Refusal::new(ErrorReason::InvalidFile).field("csv_chunk");
    let refusal = match error {
        TableError::TooLarge { .. } => return too_many("csv_chunk", "bytes_max", TABLE_BYTES_MAX),
        TableError::MissingColumns(columns) => refusal.with("columns", columns.join(",")),
        _ => refusal,
    };
    refusal.because(error.to_string()).with("cause_zh", error.zh()).into()
}
