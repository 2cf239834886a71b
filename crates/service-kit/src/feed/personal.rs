//! PersonalDataService: one contract with a `source`, as the event feed is. Which tables have rows about people a service says itself
//! (`write/people.rs`), and all of their columns are shown, so that nothing that is added later is forgotten.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{self as proto, Accessed, AuditKind, personal_data_service_server::PersonalDataService},
};
use shipei_store::rows::{self, Cell, Row, Wanted};
use tonic::{Request, Response, Status};

use crate::{
    answer::{
        convert::Fields,
        error::{Error, Refusal, Result},
        page::PAGE_BYTES_MAX,
    },
    feed::event_feed::EventFeeds,
    write::{
        facts::{self, FACT_ID_BYTES_MAX},
        kit::Kit,
        people::{Bytes, PersonTable, Readable},
        unit::Unit,
    },
};

/// The most rows of one piece: commands wait behind it.
const ROWS_PER_PIECE: i64 = 500;
/// How many of them are asked for at once.
const ROWS_AT_ONCE: i64 = 50;

/// Shows what is kept of people by the services whose logs are served here. Clones are the same one.
#[derive(Debug, Clone)]
pub struct PersonalData {
    logs: EventFeeds,
}

impl PersonalData {
    /// Of the services whose logs these are.
    pub fn new(logs: &EventFeeds) -> Self {
        Self { logs: logs.clone() }
    }
}

#[tonic::async_trait]
impl PersonalDataService for PersonalData {
    async fn export_person(
        &self,
        request: Request<proto::ExportPersonRequest>,
    ) -> std::result::Result<Response<proto::ExportPersonResponse>, Status> {
        let kit = self.logs.kit(&request, &request.get_ref().source)?;
        let person_id = request.get_ref().person_id.clone();
        kit.show_to(&kit, request, export, |admitted| {
            admitted.may_unmask() || admitted.call().caller.subject == person_id
        })
        .await
    }
}

async fn export(
    kit: Kit,
    mut unit: Unit,
    request: proto::ExportPersonRequest,
) -> Result<(Unit, proto::ExportPersonResponse)> {
    let mut fields = Fields::new();
    let programme = facts::id(&mut fields, "programme_id", &request.programme_id, FACT_ID_BYTES_MAX);
    let person = facts::id(&mut fields, "person_id", &request.person_id, FACT_ID_BYTES_MAX);
    let (programme, person) = fields.all((programme, person))?;
    let (programme, person) = (programme.as_str(), person.as_str());
    let filter = [kit.source(), programme, person];
    let page = kit.page::<proto::ExportPersonRequest>(&filter, 0, &request.page_token)?;
    let bad_token = || Refusal::new(ErrorReason::InvalidPageToken).field("page_token");
    let (mut place, mut offset) = match page.is_first() {
        true => (0, 0),
        false => {
            let number = |part| page.after(part).parse::<i64>().map_err(|_| bad_token());
            (usize::try_from(number(0)?).map_err(|_| bad_token())?, number(1)?)
        }
    };
    if page.is_first() {
        let accessed = Accessed {
            kind: AuditKind::PersonExported.into(),
            ids: vec![person.to_owned()],
            ..Accessed::default()
        };
        unit.audit(programme, "", accessed);
    }
    let tables: Vec<&PersonTable> = kit.people().collect();
    let mut answer = proto::ExportPersonResponse::default();
    let mut bytes = 0;
    while let Some(table) = tables.get(place) {
        let room = ROWS_PER_PIECE - i64::try_from(answer.rows.len()).unwrap_or(ROWS_PER_PIECE);
        if room <= 0 || bytes > PAGE_BYTES_MAX / 2 {
            answer.next_page_token = page.token_after(&[place.to_string(), offset.to_string()]);
            break;
        }
        let PersonTable { table: name, people: columns, condition, .. } = **table;
        let wanted = Wanted { table: name, columns, condition, programme_id: programme, id: person };
        let found = rows::of(&mut unit.tx, wanted, offset, room.min(ROWS_AT_ONCE)).await?;
        if found.is_empty() {
            (place, offset) = (place + 1, 0);
            continue;
        }
        for row in found {
            let json = readable(&kit, &mut unit, (programme, person), name, &row).await?;
            bytes += json.len();
            answer.rows.push(proto::PersonalRow { table: name.to_owned(), json });
            offset += 1;
        }
    }
    Ok((unit, answer))
}

/// A row as JSON.
async fn readable(
    kit: &Kit,
    unit: &mut Unit,
    whose: (&str, &str),
    table: &'static str,
    row: &Row,
) -> Result<String> {
    let mut object = Map::new();
    for (column, cell) in row {
        let value = match cell {
            Cell::Absent => Value::Null,
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Integer(number) => Value::from(*number),
            Cell::Boolean(is_so) => Value::from(*is_so),
            Cell::Bytes(bytes) => {
                let shown = Bytes { table, column, row, bytes };
                let readable = match kit.revealing() {
                    Some(reveals) => reveals.readable(&mut unit.tx, kit.keys(), whose, shown).await?,
                    None => Readable::AsTheyAre,
                };
                match readable {
                    Readable::Text(text) => Value::from(text),
                    Readable::AsTheyAre => Value::from(STANDARD.encode(bytes)),
                    Readable::LeftOut => continue,
                }
            }
        };
        object.insert(column.clone(), value);
    }
    serde_json::to_string(&object).map_err(|error| Error::Internal(format!("a row as JSON: {error}")))
}
