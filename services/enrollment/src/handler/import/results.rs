//! What became of the rows of an import: counted, listed as far as one answer holds, and handed back as a file.

use std::collections::HashMap;

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::ids::PersonId;
use shipei_service_kit::{Error, Result, to_int32};
use shipei_tables::{Note, Rejected};

use super::{
    part::{Judgement, RosterPart},
    source::Source,
};
use crate::roster::{Cells, Fault, Verdict, Warning, same_number_warning, showable_person_id};

/// The most bytes that the results of an answer take, about.
const RESULTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most bytes of cells in the file of rejected rows.
const REJECTED_BYTES_MAX: usize = 3 * 1024 * 1024;
/// What a result takes beside its texts, bytes.
const RESULT_BYTES: usize = 32;

/// The results of an import under way.
pub(super) struct Results {
    listed: Vec<pb::RosterRowResult>,
    bytes: usize,
    lists_all: bool,
    rejected_file: Option<Rejected>,
    /// The first row of each identity number that was taken, by the head of its digest.
    first_rows: HashMap<[u8; 8], (i64, Verdict)>,
    answer: pb::ImportRosterResponse,
}

impl Results {
    pub(super) fn of(source: &Source, header: &pb::RosterHeader) -> Result<Self> {
        let mut answer = pb::ImportRosterResponse { dry_run: header.dry_run, ..Default::default() };
        let mut rejected_file = None;
        if let Some(table) = source.table() {
            answer.ignored_columns = table.ignored_columns().to_vec();
            answer.notes = table.notes.iter().map(note_of).collect();
            if header.return_rejected {
                rejected_file = Some(Rejected::of(table, REJECTED_BYTES_MAX).map_err(unwritable)?);
            }
        }
        let lists_all = source.is_short();
        Ok(Self {
            listed: Vec::new(),
            bytes: 0,
            lists_all,
            rejected_file,
            first_rows: HashMap::new(),
            answer,
        })
    }

    /// Adds the rows of a part, in their order.
    pub(super) fn add_part(
        &mut self,
        rows: &[Cells],
        part: &RosterPart,
        judgements: Vec<Judgement>,
        faulty: Vec<Option<Vec<Fault>>>,
    ) -> Result<()> {
        let mut judged = part.candidates.iter().zip(&part.digests).zip(judgements);
        for (cells, faults) in rows.iter().zip(faulty) {
            if let Some(faults) = faults {
                self.reject(cells, showable_person_id(cells), faults)?;
                continue;
            }
            let Some(((candidate, digest), judgement)) = judged.next() else {
                return Err(Error::Internal("a row of a roster has no judgement".into()));
            };
            match judgement.verdict {
                Err(faults) => self.reject(cells, Some(candidate.person_id.clone()), faults)?,
                Ok(verdict) => {
                    let head = head_of(digest);
                    self.tell_first(&head, &candidate.person_id, &judgement.sharers);
                    self.first_rows.entry(head).or_insert((candidate.row, verdict));
                    self.take(candidate.row, &candidate.person_id, verdict, &judgement.warnings);
                }
            }
        }
        Ok(())
    }

    fn reject(&mut self, cells: &Cells, person_id: Option<PersonId>, faults: Vec<Fault>) -> Result<()> {
        self.answer.rejected += 1;
        if let Some(file) = &mut self.rejected_file {
            let zh: Vec<String> = faults.iter().map(|fault| in_words(fault.field, &fault.zh)).collect();
            let en: Vec<String> = faults.iter().map(|fault| in_words(fault.field, &fault.en)).collect();
            let cause = format!("{} / {}", zh.join("；"), en.join("; "));
            let line = u64::try_from(cells.row).unwrap_or_default();
            file.add(line, &cells.texts, &cause).map_err(unwritable)?;
        }
        let mut result = pb::RosterRowResult {
            row: to_int32(cells.row),
            person_id: person_id.map(String::from).unwrap_or_default(),
            ..Default::default()
        };
        result.set_outcome(pb::RosterRowOutcome::Rejected);
        if let [first, ..] = faults.as_slice() {
            result.set_reason(first.reason);
            result.field = first.field.to_owned();
            result.message = first.en.clone();
            result.message_zh = first.zh.clone();
        }
        result.faults = faults.into_iter().map(fault_to).collect();
        self.list(result);
        Ok(())
    }

    fn take(&mut self, row: i64, person_id: &PersonId, verdict: Verdict, warnings: &[Warning]) {
        match verdict {
            Verdict::New => self.answer.created += 1,
            Verdict::Same => self.answer.unchanged += 1,
        }
        if self.lists_all || !warnings.is_empty() {
            self.list(taken(row, person_id, verdict, warnings));
        } else {
            self.answer.results_left_out += 1;
        }
    }

    /// Says of an earlier row of this import too that its number is another's, since either may be mistyped.
    fn tell_first(&mut self, head: &[u8; 8], person_id: &PersonId, sharers: &[PersonId]) {
        let Some((row, verdict)) = self.first_rows.get(head).copied() else { return };
        let [first, ..] = sharers else { return };
        let place = self.listed.binary_search_by_key(&to_int32(row), |result| result.row);
        match place {
            Ok(place) => {
                if let Some(result) = self.listed.get_mut(place)
                    && result.person_id != person_id.as_str()
                    && result.field.is_empty()
                {
                    let warning = same_number_warning(&result.person_id, &[person_id]);
                    say(result, &[warning]);
                    self.bytes += size_of(result);
                }
            }
            Err(place) if !self.lists_all && self.bytes < RESULTS_BYTES_MAX => {
                let warning = same_number_warning(first.as_str(), &[person_id]);
                let result = taken(row, first, verdict, &[warning]);
                self.bytes += size_of(&result);
                self.listed.insert(place, result);
                self.answer.results_left_out -= 1;
            }
            Err(_) => {}
        }
    }

    fn list(&mut self, result: pb::RosterRowResult) {
        let bytes = size_of(&result);
        if self.bytes + bytes > RESULTS_BYTES_MAX {
            self.answer.results_left_out += 1;
            return;
        }
        self.bytes += bytes;
        self.listed.push(result);
    }

    /// The answer.
    pub(super) fn answer(self) -> Result<pb::ImportRosterResponse> {
        let mut answer = self.answer;
        answer.results = self.listed;
        if let Some(file) = self.rejected_file.filter(|file| file.rows > 0) {
            answer.rejected_rows_left_out = i32::try_from(file.left_out).unwrap_or(i32::MAX);
            answer.rejected_file = file.finish().map_err(unwritable)?;
        }
        Ok(answer)
    }
}

fn head_of(digest: &[u8; 32]) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    head
}

fn size_of(result: &pb::RosterRowResult) -> usize {
    let texts = result.person_id.len() + result.field.len() + result.message.len() + result.message_zh.len();
    let faults = result
        .faults
        .iter()
        .map(|fault| RESULT_BYTES + fault.field.len() + fault.message.len() + fault.message_zh.len());
    RESULT_BYTES + texts + faults.sum::<usize>()
}

/// The result of a row that was taken. What is odd is pointed out, since it may be a slip.
fn taken(row: i64, person_id: &PersonId, verdict: Verdict, warnings: &[Warning]) -> pb::RosterRowResult {
    let mut result =
        pb::RosterRowResult { row: to_int32(row), person_id: person_id.to_string(), ..Default::default() };
    result.set_outcome(match verdict {
        Verdict::New => pb::RosterRowOutcome::Created,
        Verdict::Same => pb::RosterRowOutcome::Unchanged,
    });
    say(&mut result, warnings);
    result
}

fn say(result: &mut pb::RosterRowResult, warnings: &[Warning]) {
    let [first, ..] = warnings else { return };
    let en: Vec<&str> = warnings.iter().map(|warning| warning.en.as_str()).collect();
    let zh: Vec<&str> = warnings.iter().map(|warning| warning.zh.as_str()).collect();
    result.field = first.field.to_owned();
    result.message = format!("taken, but {}", en.join("; "));
    result.message_zh = format!("已收，但{}", zh.join("；"));
}

fn in_words(field: &str, message: &str) -> String {
    if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") }
}

fn fault_to(fault: Fault) -> pb::RosterFault {
    let mut message = pb::RosterFault {
        field: fault.field.to_owned(),
        message: fault.en,
        message_zh: fault.zh,
        ..Default::default()
    };
    message.set_reason(fault.reason);
    message
}

fn note_of(note: &Note) -> pb::FileNote {
    pb::FileNote { message: note.en.clone(), message_zh: note.zh.clone() }
}

fn unwritable(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the file of rejected rows: {error}"))
}
