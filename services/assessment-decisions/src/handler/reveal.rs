//! What decisions keep as bytes of people, as it is shown to themselves.

use shipei_rules::{ids::ProgrammeId, region::RegionCode};
use shipei_service_kit::{
    Result,
    people::{Bytes, Readable, Reveals},
};
use shipei_store::{DataKeys, Tx, rows::Cell};

use super::certificate::opened_code;

/// How it is shown.
#[derive(Debug)]
pub(crate) struct Revealing;

#[tonic::async_trait]
impl Reveals for Revealing {
    /// The code of a certificate is what was handed out; a frozen score is bytes that were signed, with its figures beside them.
    async fn readable(
        &self,
        _: &mut Tx,
        keys: &DataKeys,
        (programme_id, _): (&str, &str),
        shown: Bytes<'_>,
    ) -> Result<Readable> {
        if shown.column != "sealed_code" {
            return Ok(Readable::AsTheyAre);
        }
        let (Some(Cell::Text(county)), Some(Cell::Integer(serial))) =
            (shown.row.get("county_code"), shown.row.get("serial"))
        else {
            return Ok(Readable::LeftOut);
        };
        let place = ProgrammeId::parse(programme_id).ok().zip(RegionCode::parse(county).ok());
        let code = place.and_then(|(id, county)| opened_code(keys, &id, county, *serial, shown.bytes));
        Ok(code.map_or(Readable::LeftOut, Readable::Text))
    }
}
