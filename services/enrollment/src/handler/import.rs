//! ImportRoster: a stream of a header and then a file in chunks, or rows. All of it is received first, so that a
//! roster that is too long is refused before anything is taken; then it is carried out in parts of
//! [`ROWS_PER_PART`] rows, each one transaction with its events. A call that breaks off half way has taken whole
//! parts, and sent again it finds them UNCHANGED. A dry run does the same over snapshots and writes nothing.

use chrono::NaiveDate;
use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, import_roster_request::Part},
};
use shipei_rules::ids::ProgrammeId;
use shipei_service_kit::{
    Error, Parts, Refusal, Result, Unit,
    table::{ROW_ERRORS_MAX, TABLE_BYTES_MAX, Table, TableError},
    to_int32,
};
use shipei_store::Tx;
use tonic::{Request, Status, Streaming};

use super::{Answer, Handler, programme_head};
use crate::{
    convert,
    roster::{
        COLUMNS, Candidate, Cells, Fault, IdentityDigest, MAX_ROSTER_ROWS, Register, Verdict, Warning,
        check_places, judge, read_row, showable_person_id, warnings,
    },
    store::{
        Stamp,
        programme::{ProgrammeHead, lock_programme},
        roster::{self, NewPerson},
    },
};

/// Rows of one transaction.
pub(crate) const ROWS_PER_PART: usize = 1_000;
/// The most rows in one message.
pub(crate) const ROWS_PER_MESSAGE_MAX: usize = 1_000;
/// The most rows whose cause is said in words; further ones have reason and field only, so that the answer stays
/// within the size of a message.
pub(crate) const ROWS_IN_WORDS_MAX: usize = 20_000;
/// What the events of an import are caused by.
const CAUSE: &str = "shipei.enrollment.v1.ImportRosterRequest";

/// What was received.
#[derive(Default)]
struct Received {
    file: Option<Vec<u8>>,
    rows: Vec<Cells>,
}

/// A roster that could be read: its rows, and what was wrong with the file.
#[derive(Default)]
struct Roster {
    rows: Vec<Cells>,
    results: Vec<pb::RosterRowResult>,
    ignored_columns: Vec<String>,
}

/// For whom rows are judged.
struct Import<'a> {
    handler: &'a Handler,
    head: ProgrammeHead,
    today: NaiveDate,
}

/// What becomes of a row, and what is worth a look in it if it is taken.
#[derive(Debug)]
struct Judgement {
    verdict: std::result::Result<Verdict, Fault>,
    warnings: Vec<Warning>,
}

/// Rows that can be, with the digests of their identity numbers.
struct RosterPart {
    candidates: Vec<Candidate>,
    digests: Vec<IdentityDigest>,
}

pub(super) async fn import_roster(
    handler: &Handler,
    request: Request<Streaming<pb::ImportRosterRequest>>,
) -> Answer<pb::ImportRosterResponse> {
    let mut parts = handler.kit.begin_parts(&request, CAUSE).await?;
    let mut stream = request.into_inner();
    let header = match stream.message().await? {
        Some(pb::ImportRosterRequest { part: Some(Part::Header(header)) }) => header,
        _ => return Err(Error::invalid("header", "required in the first message").into()),
    };
    let import = Import::begin(handler, &header, &parts).await?;
    let received = receive(&mut stream).await?;
    let roster = read_roster(received).await?;
    let mut results = roster.results;
    let mut register = Register::default();
    for rows in roster.rows.chunks(ROWS_PER_PART) {
        let part = import.read_part(rows, &mut results);
        let judgements = if header.dry_run {
            import.rehearse(&part, &mut register).await?
        } else {
            parts.write(|unit| import.take(unit, &part)).await?
        };
        for (candidate, judgement) in part.candidates.iter().zip(judgements) {
            results.push(judgement.into_result(candidate));
        }
    }
    Ok(parts.answer(summary(results, roster.ignored_columns, header.dry_run)))
}

/// Receives everything after the header.
async fn receive(stream: &mut Streaming<pb::ImportRosterRequest>) -> std::result::Result<Received, Status> {
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
        if self.rows.len() + rows.len() > MAX_ROSTER_ROWS {
            return Err(too_many("rows", "rows_max", MAX_ROSTER_ROWS));
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
    ];
    Cells { row: number, cells: cells.map(|cell| cell.trim().to_owned()) }
}

/// The rows of what was received. Reading a large file takes a while, so it happens aside.
async fn read_roster(received: Received) -> Result<Roster> {
    let Some(file) = received.file else {
        return Ok(Roster { rows: received.rows, ..Roster::default() });
    };
    let reading = tokio::task::spawn_blocking(move || read_file(&file));
    reading.await.map_err(|error| Error::Internal(format!("reading a roster: {error}")))?
}

fn read_file(file: &[u8]) -> Result<Roster> {
    let table = Table::parse(file, &COLUMNS).map_err(invalid_file)?;
    if table.row_errors.len() >= ROW_ERRORS_MAX {
        let cause = format!("{ROW_ERRORS_MAX} rows or more have not as many cells as the header");
        return Err(Refusal::new(ErrorReason::InvalidFile).field("csv_chunk").because(cause).into());
    }
    if table.rows().len() + table.row_errors.len() > MAX_ROSTER_ROWS {
        return Err(too_many("csv_chunk", "rows_max", MAX_ROSTER_ROWS));
    }
    let mut roster = Roster::default();
    for row in table.rows() {
        let cells = COLUMNS.map(|column| row.get(column).to_owned());
        roster.rows.push(Cells { row: line_number(row.line), cells });
    }
    for error in &table.row_errors {
        let message = format!("{} cell(s) where the header has {}", error.cells, error.columns);
        let fault = Fault::new(ErrorReason::InvalidField, "", message);
        roster.results.push(result_of(line_number(error.line), "", Err(fault)));
    }
    roster.ignored_columns = table.ignored_columns;
    Ok(roster)
}

fn line_number(line: u64) -> i64 {
    i64::try_from(line).unwrap_or(i64::MAX)
}

/// Names columns of ours only: a file without a header has somebody's data in its first line.
fn invalid_file(error: TableError) -> Error {
    let refusal = Refusal::new(ErrorReason::InvalidFile).field("csv_chunk");
    match &error {
        TableError::TooLarge { .. } => too_many("csv_chunk", "bytes_max", TABLE_BYTES_MAX),
        TableError::MissingColumns(columns) => {
            refusal.because(error.to_string()).with("columns", columns.join(",")).into()
        }
        TableError::DuplicateColumn(column) if !COLUMNS.contains(&column.as_str()) => {
            refusal.because("a column stands twice in the header").into()
        }
        _ => refusal.because(error.to_string()).into(),
    }
}

impl<'a> Import<'a> {
    async fn begin(handler: &'a Handler, header: &pb::RosterHeader, parts: &Parts) -> Result<Self> {
        let Ok(id) = ProgrammeId::parse(&header.programme_id) else {
            return Err(Error::invalid("header.programme_id", "required, and an id"));
        };
        let mut tx = handler.kit.database().begin_read().await?;
        let head = programme_head(&mut tx, id.as_str()).await?;
        let scheme = handler.scheme(&mut tx, &head).await?;
        tx.rollback().await?;
        let today = scheme.zone.day_of(parts.now());
        Ok(Self { handler, head, today })
    }

    /// The rows that can be; the others get their results.
    fn read_part(&self, rows: &[Cells], results: &mut Vec<pb::RosterRowResult>) -> RosterPart {
        let context = format!("enrollment.identity_number/{}", self.head.programme_id);
        let lookup = self.handler.kit.keys().lookup();
        let mut part = RosterPart { candidates: Vec::new(), digests: Vec::new() };
        for cells in rows {
            match read_row(cells, self.today) {
                Ok(candidate) => {
                    let number = candidate.identity_number.reveal();
                    part.digests.push(lookup.digest(context.as_bytes(), number.as_bytes()));
                    part.candidates.push(candidate);
                }
                Err(fault) => {
                    let person_id = showable_person_id(cells).unwrap_or_default();
                    results.push(result_of(cells.row, person_id, Err(fault)));
                }
            }
        }
        part
    }

    /// Judges one part over a snapshot. `register` remembers whom earlier parts would have added.
    async fn rehearse(&self, part: &RosterPart, register: &mut Register) -> Result<Vec<Judgement>> {
        let mut tx = self.handler.kit.database().begin_read().await?;
        let judgements = self.judge_part(&mut tx, part, register).await?;
        tx.rollback().await?;
        Ok(judgements)
    }

    /// Takes the good rows of one part. The programme is held, so that two imports at once don't add one person
    /// twice.
    async fn take(&self, mut unit: Unit, part: &RosterPart) -> Result<(Unit, Vec<Judgement>)> {
        lock_programme(&mut unit.tx, &self.head.programme_id).await?;
        let mut register = Register::default();
        let judgements = self.judge_part(&mut unit.tx, part, &mut register).await?;
        let mut people = Vec::new();
        for ((candidate, digest), judgement) in part.candidates.iter().zip(&part.digests).zip(&judgements) {
            if judgement.verdict == Ok(Verdict::New) {
                people.push(self.seal(candidate, *digest)?);
            }
        }
        let stamp = Stamp::of(&unit);
        roster::insert_people(&mut unit.tx, &self.head.programme_id, &people, &stamp).await?;
        for person in people {
            self.tell(&mut unit, person.candidate);
        }
        Ok((unit, judgements))
    }

    async fn judge_part(
        &self,
        tx: &mut Tx,
        part: &RosterPart,
        register: &mut Register,
    ) -> Result<Vec<Judgement>> {
        let id = self.head.programme_id.as_str();
        let known = roster::known(tx, id, &part.candidates).await?;
        roster::add_enrolled(tx, id, &part.candidates, &part.digests, register).await?;
        let mut judgements = Vec::with_capacity(part.candidates.len());
        for (candidate, digest) in part.candidates.iter().zip(&part.digests) {
            let checked = check_places(candidate, &known);
            let verdict = checked.and_then(|()| judge(candidate, *digest, register));
            if verdict == Ok(Verdict::New) {
                register.add_candidate(candidate, *digest);
            }
            let warnings = warnings(candidate, *digest, &known, register);
            judgements.push(Judgement { verdict, warnings });
        }
        Ok(judgements)
    }

    fn seal<'c>(&self, candidate: &'c Candidate, digest: IdentityDigest) -> Result<NewPerson<'c>> {
        let context = convert::identity_context(&self.head.programme_id, &candidate.person_id);
        let number = candidate.identity_number.reveal();
        let sealed_identity_number = self.handler.kit.keys().vault().seal(&context, number.as_bytes())?;
        Ok(NewPerson { candidate, sealed_identity_number, digest })
    }

    fn tell(&self, unit: &mut Unit, candidate: &Candidate) {
        let place = &candidate.place;
        let registered = pb::PersonRegistered {
            programme_id: self.head.programme_id.clone(),
            person_id: candidate.person_id.clone(),
            role: convert::role_to(candidate.role).into(),
            county_code: place.county_code.clone(),
            school_code: place.school_code.clone(),
            education_stage: convert::education_stage_to(candidate.education_stage).into(),
            subject: candidate.subject.clone(),
            development_stage: convert::development_stage_to(candidate.development_stage).into(),
            class_id: place.class_id.clone(),
        };
        let region = if place.county_code.is_empty() { &self.head.region_code } else { &place.county_code };
        unit.emit(region, &candidate.person_id, &registered);
    }
}

impl Judgement {
    /// The result of the row. In one that is taken, what is odd is pointed out, since it may be a slip.
    fn into_result(self, candidate: &Candidate) -> pb::RosterRowResult {
        let taken = self.verdict.is_ok();
        let mut result = result_of(candidate.row, &candidate.person_id, self.verdict);
        if taken && let [first, ..] = self.warnings.as_slice() {
            let messages: Vec<&str> = self.warnings.iter().map(|warning| warning.message.as_str()).collect();
            result.field = first.field.to_owned();
            result.message = format!("taken, but {}", messages.join("; "));
        }
        result
    }
}

fn result_of(row: i64, person_id: &str, verdict: std::result::Result<Verdict, Fault>) -> pb::RosterRowResult {
    let outcome = match &verdict {
        Ok(Verdict::New) => pb::RosterRowOutcome::Created,
        Ok(Verdict::Same) => pb::RosterRowOutcome::Unchanged,
        Err(_) => pb::RosterRowOutcome::Rejected,
    };
    let mut result =
        pb::RosterRowResult { row: to_int32(row), person_id: person_id.to_owned(), ..Default::default() };
    result.set_outcome(outcome);
    if let Err(fault) = verdict {
        result.set_reason(fault.reason);
        result.field = fault.field.to_owned();
        result.message = fault.message;
    }
    result
}

/// The answer: the results in the order of the rows, counted.
fn summary(
    mut results: Vec<pb::RosterRowResult>,
    ignored_columns: Vec<String>,
    dry_run: bool,
) -> pb::ImportRosterResponse {
    results.sort_by_key(|result| result.row);
    let (mut created, mut unchanged, mut rejected, mut in_words) = (0, 0, 0, 0);
    for result in &mut results {
        if !result.message.is_empty() {
            in_words += 1;
            if in_words > ROWS_IN_WORDS_MAX {
                result.message = String::new();
            }
        }
        match result.outcome() {
            pb::RosterRowOutcome::Created => created += 1,
            pb::RosterRowOutcome::Unchanged => unchanged += 1,
            pb::RosterRowOutcome::Rejected | pb::RosterRowOutcome::Unspecified => rejected += 1,
        }
    }
    pb::ImportRosterResponse { results, created, unchanged, rejected, ignored_columns, dry_run }
}
