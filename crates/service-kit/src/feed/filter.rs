//! Which events a consumer wants, and what its cursor is bound to: the log and the caller, and to say of which filter it is.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ring::digest::{Context, SHA256};
use shipei_contracts::event::v1::{Start, SubscribeRequest};
use shipei_store::{PARTITIONS, Partition, Tx, tree};

use crate::{
    answer::{convert::Fields, error::Result},
    call::consistency::partition_number,
};

/// The most event types of one filter.
pub const FILTER_TYPES_MAX: usize = 100;
/// The most regions of one filter.
pub const FILTER_REGIONS_MAX: usize = 400;
/// The most programmes of one filter.
pub const FILTER_PROGRAMMES_MAX: usize = 100;
/// Enough that nobody meets two filters with one digest by chance; what a cursor says can't be made up.
const FILTER_DIGEST_BYTES: usize = 8;
const PROGRAMME_ID_BYTES_MAX: usize = 64;
const EVENT_TYPE_BYTES_MAX: usize = 200;
const REGION_CODE_DIGITS: usize = 6;

/// Which events a consumer wants, and from where on if it has no cursor.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(super) start: Start,
    /// Where it begins instead, by when events were recorded.
    pub(super) start_time: Option<DateTime<Utc>>,
    pub(super) types: Vec<String>,
    pub(super) regions: Vec<String>,
    pub(super) programmes: Vec<String>,
    pub(super) partitions: Vec<Partition>,
    /// What its cursors are bound to: the log, and the caller whose they are.
    pub(super) binding: String,
    /// What a cursor says of the filter that it was given for.
    pub(super) digest: [u8; FILTER_DIGEST_BYTES],
    /// The regions as they were asked for, by which faults are named.
    regions_asked: Vec<String>,
}

impl Filter {
    /// Reads and checks the filter of a request.
    ///
    /// `known` are the types of the log's events; a type that is none of them would be waited for without end.
    pub(crate) fn of(request: &SubscribeRequest, known: Option<&BTreeSet<String>>) -> Result<Self> {
        let mut fields = Fields::new();
        let types = fields.optional_list("types", request.types.clone(), FILTER_TYPES_MAX, |fields, kind| {
            if let Some(fault) = shipei_text::fault_of_id(&kind, EVENT_TYPE_BYTES_MAX) {
                return fields.fault("", fault);
            }
            match known {
                Some(known) if !known.contains(&kind) => {
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    let source = &request.source;
                    fields.fault("", &format!("no event of {source}; there are {}", known.join(", ")))
                }
                _ => Some(kind),
            }
        });
        let start = fields.optional_choice::<Start>("start", request.start);
        let start = start.map(Option::unwrap_or_default);
        if start == Some(Start::Now) && !request.cursor.is_empty() {
            let _: Option<()> = fields.fault("start", "a cursor says already where to go on");
        }
        let start_time = fields.optional_timestamp("start_time", request.start_time);
        if request.start_time.is_some()
            && (!request.cursor.is_empty() || !matches!(start, Some(Start::Unspecified)))
        {
            let _: Option<()> = fields.fault("start_time", "a cursor or a start says already where to begin");
        }
        let regions = request.region_codes.clone();
        let regions = fields.optional_list("region_codes", regions, FILTER_REGIONS_MAX, |fields, code| {
            if code.len() != REGION_CODE_DIGITS || !code.bytes().all(|byte| byte.is_ascii_digit()) {
                return fields.fault("", "must be a GB/T 2260 code of six digits");
            }
            Some(code)
        });
        let most = usize::from(PARTITIONS);
        let partitions = request.partitions.clone();
        let partitions = fields.optional_list("partitions", partitions, most, |fields, number| {
            let Some(partition) = Partition::from_number(i64::from(number)) else {
                return fields.fault("", "must be from 0 to 63");
            };
            Some(partition)
        });
        let programmes = request.programme_ids.clone();
        let programmes =
            fields.optional_list("programme_ids", programmes, FILTER_PROGRAMMES_MAX, |fields, id| {
                match shipei_text::fault_of_id(&id, PROGRAMME_ID_BYTES_MAX) {
                    Some(fault) => fields.fault("", fault),
                    None => Some(id),
                }
            });
        let (start, start_time, mut types, mut regions, mut partitions, mut programmes) =
            fields.all((start, start_time, types, regions, partitions, programmes))?;
        programmes.sort();
        programmes.dedup();
        types.sort();
        types.dedup();
        regions.sort();
        regions.dedup();
        partitions.sort();
        partitions.dedup();
        let numbers: Vec<String> =
            partitions.iter().map(|partition| partition_number(*partition).to_string()).collect();
        let binding = format!("cursor|{}:{}", request.source.len(), request.source);
        let digest = digest([&types, &regions, &numbers, &programmes]);
        let partitions = if partitions.is_empty() { Partition::all().collect() } else { partitions };
        let regions_asked = request.region_codes.clone();
        Ok(Self { start, start_time, types, regions, programmes, partitions, binding, digest, regions_asked })
    }

    /// The same, for a caller whose cursors are nobody else's.
    #[must_use]
    pub(super) fn of_caller(mut self, asker: &str) -> Self {
        if !asker.is_empty() {
            self.binding.push_str(&format!("|{}:{asker}", asker.len()));
        }
        self
    }

    /// Refuses codes that are no region of any programme: nothing would ever come, and nobody would say so.
    pub(super) async fn check_regions(&self, tx: &mut Tx) -> Result<()> {
        let unknown = tree::unknown(tx, &self.regions).await?;
        let mut fields = Fields::new();
        for (place, code) in self.regions_asked.iter().enumerate().filter(|(_, code)| unknown.contains(code))
        {
            fields
                .fault::<()>(&format!("region_codes[{place}]"), &format!("no programme has a region {code}"));
        }
        fields.finish()
    }
}

/// What tells filters apart. Lengths keep lists apart that read alike.
fn digest(lists: [&[String]; 4]) -> [u8; FILTER_DIGEST_BYTES] {
    let mut digest = Context::new(&SHA256);
    for list in lists {
        digest.update(format!("|{}", list.len()).as_bytes());
        for text in list {
            digest.update(format!(",{}:{text}", text.len()).as_bytes());
        }
    }
    let mut short = [0; FILTER_DIGEST_BYTES];
    short.copy_from_slice(&digest.finish().as_ref()[..FILTER_DIGEST_BYTES]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::error::Error;

    #[test]
    fn filter_names_what_cannot_be() {
        let request = SubscribeRequest {
            region_codes: vec!["130302".into(), "13".into()],
            partitions: vec![63, 64],
            ..Default::default()
        };
        let Err(Error::Invalid(violations)) = Filter::of(&request, None) else { panic!("must be invalid") };
        let names: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(names, ["region_codes[1]", "partitions[1]"]);
    }

    #[test]
    fn filter_refuses_a_type_that_never_comes_and_a_start_beside_a_cursor() {
        let known = BTreeSet::from(["a.v1.Made".to_owned(), "a.v1.Gone".to_owned()]);
        let request = SubscribeRequest {
            cursor: "c".to_owned(),
            types: vec!["a.v1.Made".into(), "a.v1.Mde".into()],
            start: Start::Now.into(),
            ..Default::default()
        };
        let Err(Error::Invalid(violations)) = Filter::of(&request, Some(&known)) else {
            panic!("must be invalid")
        };
        let names: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(names, ["types[1]", "start"]);
        assert!(violations[0].description.contains("there are a.v1.Gone, a.v1.Made"));
    }

    #[test]
    fn filters_are_told_apart_whatever_their_order() {
        let of = |types: [&str; 2]| {
            let types = types.map(str::to_owned).to_vec();
            Filter::of(&SubscribeRequest { types, ..Default::default() }, None).unwrap().digest
        };
        assert_eq!(of(["a", "b"]), of(["b", "a"]));
        assert_ne!(of(["a", "b"]), of(["a", "c"]));
        let lists = |types: &[&str]| {
            let types: Vec<String> = types.iter().map(|kind| (*kind).to_owned()).collect();
            digest([&types, &[], &[], &[]])
        };
        assert_ne!(lists(&["A,B"]), lists(&["A", "B"]));
        assert_ne!(lists(&["A", "B"]), lists(&["A|1,1:B"]));
    }
}
