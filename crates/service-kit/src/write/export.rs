//! Lists as files, from one snapshot: [`Kit::export`] asks for the rows of a list portion by portion in one read
//! transaction and sends them as a workbook or CSV while they come, so that memory does not grow with the list.
//!
//! What bounds it: a snapshot takes a connection, and keeps a database from clearing away what it still shows. So a service
//! has few exports at once ([`EXPORTS_MAX`](crate::kit::EXPORTS_MAX)), an export ends after [`EXPORT_TIME_MAX`], and one whose caller takes
//! nothing for [`CHUNK_TIME_MAX`] ends too. To export another list: a [`List`] of its headings and of what reads it.

use std::{future::Future, pin::Pin, time::Duration};

use futures::{Stream, StreamExt as _, future::BoxFuture};
use shipei_contracts::{
    common::v1::FileFormat,
    event::v1::{Accessed, AuditKind},
};
use shipei_tables::{Heading, ListFormat, TableStream};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use crate::{
    answer::{
        convert::{Fields, to_int32},
        error::{Error, Result},
        status::{deadline_exceeded, overloaded},
    },
    call::{admit::Admitted, reach::Reach},
    write::{
        kit::Kit,
        origin::Origin,
        unit::{ReadUnit, Unit},
    },
};

/// How long an export may take, and its snapshot be held.
pub const EXPORT_TIME_MAX: Duration = Duration::from_secs(600);
/// How long a caller may take over one chunk; Postgres ends a transaction that does nothing for a little longer.
pub const CHUNK_TIME_MAX: Duration = Duration::from_secs(10);
/// The most bytes of one chunk.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// What an RPC answers that streams its answers.
pub type Chunks<Res> = Pin<Box<dyn Stream<Item = std::result::Result<Res, Status>> + Send>>;

/// What is asked for, of a programme's lists.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The programme.
    pub programme_id: &'a str,
    /// The list's name, as the audit log has it.
    pub list: &'a str,
    /// A [`FileFormat`].
    pub format: i32,
    /// Only of this region; empty for all that the caller reaches.
    pub region_code: &'a str,
}

/// Some rows of a list, and where it goes on; empty after the last.
#[derive(Debug, Default)]
pub struct Portion {
    /// The rows, their cells in the order of the headings.
    pub rows: Vec<Vec<String>>,
    /// What the next portion is asked for with.
    pub next: String,
}

type Reading = BoxFuture<'static, Result<(ReadUnit, Portion)>>;

/// A list that can be exported.
pub struct List {
    headings: &'static [Heading],
    read: Box<dyn FnMut(ReadUnit, String) -> Reading + Send>,
}

impl std::fmt::Debug for List {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("List").field("headings", &self.headings).finish_non_exhaustive()
    }
}

impl List {
    /// A list with these headings; `read` gives the portion after the place that it is given, which is empty at first.
    pub fn new<Reads>(
        headings: &'static [Heading],
        mut read: impl FnMut(ReadUnit, String) -> Reads + Send + 'static,
    ) -> Self
    where
        Reads: Future<Output = Result<(ReadUnit, Portion)>> + Send + 'static,
    {
        Self { headings, read: Box::new(move |unit, place| Box::pin(read(unit, place))) }
    }

    /// A list that is read by the handler of an RPC, page by page; `portion` takes the rows out of its answer.
    pub fn paged<Res, Lists>(
        headings: &'static [Heading],
        mut list: impl FnMut(ReadUnit, String) -> Lists + Send + 'static,
        portion: fn(Res) -> Portion,
    ) -> Self
    where
        Res: 'static,
        Lists: Future<Output = Result<(ReadUnit, Res)>> + Send + 'static,
    {
        Self::new(headings, move |unit, page_token| {
            let listing = list(unit, page_token);
            async move {
                let (unit, response) = listing.await?;
                Ok((unit, portion(response)))
            }
        })
    }
}

/// An export that is being sent.
struct Export<Res> {
    unit: ReadUnit,
    list: List,
    table: TableStream,
    rows: i64,
    to_message: fn(Vec<u8>, i32) -> Res,
    sender: mpsc::Sender<std::result::Result<Res, Status>>,
}

impl Kit {
    /// Sends a list as a file, of a region of the tree or of everything, within what the caller may see. That somebody asked for it
    /// stands in the audit log before anything is sent: what can't be told there is not given.
    ///
    /// # Errors
    /// A format or a region that can't be, what the list answers at its beginning, what a write answers, and OVERLOADED when there are as many
    /// exports as there may be.
    pub async fn export<Res: Send + 'static>(
        &self,
        admitted: &Admitted,
        asked: Asked<'_>,
        mut list: List,
        to_message: fn(Vec<u8>, i32) -> Res,
    ) -> std::result::Result<Response<Chunks<Res>>, Status> {
        let mut fields = Fields::new();
        let format = fields.choice::<FileFormat>("format", asked.format);
        let (format,) = fields.all((format,))?;
        let format = if format == FileFormat::Xlsx { ListFormat::Xlsx } else { ListFormat::Csv };
        self.tell_export(admitted, asked).await?;
        let tx = self.database().begin_read().await.map_err(Error::from)?;
        let mut unit = ReadUnit::open(tx, admitted).await?;
        // Who may not have it is told so, and never how much is under way.
        let place = self.exports().try_acquire_owned().map_err(|_| overloaded())?;
        unit.reach = unit.reach.and(Reach::region(asked.region_code));
        // What the list refuses is the call's answer, so its beginning is read before there is one.
        let (unit, first) = (list.read)(unit, String::new()).await?;
        let table = TableStream::begin(format, list.headings).map_err(unpackable)?;
        let (sender, receiver) = mpsc::channel(1);
        let export = Export { unit, list, table, rows: 0, to_message, sender: sender.clone() };
        tokio::spawn(async move {
            let ended = match timeout(EXPORT_TIME_MAX, export.send(first)).await {
                Ok(ended) => ended,
                Err(_) => Err(deadline_exceeded()),
            };
            drop(place);
            if let Err(status) = ended {
                // Whoever has gone does not hear it.
                let _ = timeout(CHUNK_TIME_MAX, sender.send(Err(status))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

impl Kit {
    async fn tell_export(&self, admitted: &Admitted, asked: Asked<'_>) -> Result<()> {
        let accessed = Accessed {
            kind: AuditKind::Export.into(),
            ids: vec![asked.list.to_owned()],
            ..Accessed::default()
        };
        let telling = self.retry(|| {
            let accessed = accessed.clone();
            self.transact(admitted, Origin::of(admitted, "export"), move |mut unit: Unit| async move {
                unit.audit(asked.programme_id, asked.region_code, accessed);
                Ok((unit, ()))
            })
        });
        telling.await.map(drop)
    }
}

impl<Res: Send + 'static> Export<Res> {
    async fn send(mut self, first: Portion) -> std::result::Result<(), Status> {
        let mut portion = first;
        loop {
            let Portion { rows, next } = portion;
            self.rows += i64::try_from(rows.len()).unwrap_or_default();
            let is_last = next.is_empty();
            let (table, bytes) = written(self.table, rows, is_last).await?;
            for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
                let message = (self.to_message)(chunk.to_vec(), to_int32(self.rows));
                match timeout(CHUNK_TIME_MAX, self.sender.send(Ok(message))).await {
                    Ok(Ok(())) => {}
                    // Nobody is there any more.
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => return Err(deadline_exceeded()),
                }
            }
            let Some(table) = table else { break };
            if self.sender.is_closed() {
                return Ok(());
            }
            self.table = table;
            let (unit, read) = (self.list.read)(self.unit, next).await?;
            (self.unit, portion) = (unit, read);
        }
        self.unit.tx.rollback().await.map_err(|error| Error::from(error).into())
    }
}

/// Adds rows to a table, and ends it with the last ones; what can be sent of it. Packing takes a while, so it happens aside.
async fn written(
    mut table: TableStream,
    rows: Vec<Vec<String>>,
    is_last: bool,
) -> Result<(Option<TableStream>, Vec<u8>)> {
    let writing = tokio::task::spawn_blocking(move || {
        for row in &rows {
            table.row(row.iter().map(String::as_str))?;
        }
        let mut bytes = table.take();
        if is_last {
            bytes.extend(table.finish()?);
            return Ok((None, bytes));
        }
        Ok((Some(table), bytes))
    });
    let written = writing.await.map_err(|error| Error::Internal(format!("writing a list: {error}")))?;
    written.map_err(unpackable)
}

fn unpackable(error: std::io::Error) -> Error {
    Error::Internal(format!("writing a list: {error}"))
}
