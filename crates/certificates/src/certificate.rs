//! A certificate: what is printed, and of which final version it says so. Everything here is signed, and everything that is
//! printed is here, so that no digit on the paper can be changed without the signature falling.

use chrono::NaiveDate;
use shipei_rules::{ids::ProgrammeId, region::RegionCode};

use crate::tree::Hash;

/// The most bytes that a text of a certificate may have.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// What precedes the fields where they are signed, so that a signature of anything else is none of a certificate.
pub(crate) const FORM: &[u8] = b"shipei certificate 1\0";
const FIELDS: usize = 15;

/// What a certificate is called: programme, county, and its number among the county's. `qinhuangdao-2019-130302-000123`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// The programme.
    pub programme_id: ProgrammeId,
    /// The county that issued it.
    pub county_code: RegionCode,
    /// From 1.
    pub serial: u32,
}

impl std::fmt::Display for Number {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}-{:06}", self.programme_id, self.county_code.as_str(), self.serial)
    }
}

impl std::str::FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let mut parts = text.rsplitn(3, '-');
        let (serial, county, programme) = (parts.next(), parts.next(), parts.next());
        let digits = serial.filter(|serial| serial.len() >= 6).ok_or(NotANumber)?;
        let serial: u32 = digits.parse().map_err(|_| NotANumber)?;
        let county_code = RegionCode::parse(county.ok_or(NotANumber)?).map_err(|_| NotANumber)?;
        let programme_id = ProgrammeId::parse(programme.ok_or(NotANumber)?).map_err(|_| NotANumber)?;
        let number = Self { programme_id, county_code, serial };
        // One number is written in one way.
        if number.serial == 0 || number.to_string() != text { Err(NotANumber) } else { Ok(number) }
    }
}

/// A text that is no number of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate's number is a programme, a county and six digits, e.g. qinhuangdao-2019-130302-000123"
)]
pub struct NotANumber;

/// What a certificate rests on: one leaf of one final version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grounds {
    /// The final version's number.
    pub version: u32,
    /// Which leaf of it, by city, county, class and person, from 0.
    pub leaf_index: u32,
    /// The hash of that leaf: of the score in its canonical form.
    pub leaf: Hash,
    /// The version's root.
    pub root: Hash,
}

/// What stands on a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What it is called.
    pub number: Number,
    /// Who passed, as the roster writes them.
    pub name: String,
    /// Their school's name.
    pub school: String,
    /// Their county's name.
    pub county: String,
    /// What the programme is called.
    pub programme_title: String,
    /// The year of training.
    pub year: i32,
    /// The education stage, in Chinese; empty when the roster does not say.
    pub education_stage: String,
    /// The subject taught; empty when the roster does not say.
    pub subject: String,
    /// 学时, where the scheme counts them.
    pub credit_hours: Option<u32>,
    /// The total, in points.
    pub total: i32,
    /// The day of issue, of the programme's time zone.
    pub issued_on: NaiveDate,
    /// What it rests on.
    pub grounds: Grounds,
}

/// Why fields are no certificate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A text is too long.
    #[error("a text of a certificate has at most {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// The bytes are not in the canonical form.
    #[error("the bytes are not those of a certificate")]
    Malformed,
}

impl Certificate {
    /// The canonical form: each field in its order, its length in two bytes before it. What has one value has one form.
    ///
    /// # Errors
    /// [`FieldError::TooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, FieldError> {
        let grounds = &self.grounds;
        let hours = self.credit_hours.map_or(Vec::new(), |hours| hours.to_be_bytes().to_vec());
        let fields: [&[u8]; FIELDS] = [
            self.number.programme_id.as_str().as_bytes(),
            self.number.county_code.as_str().as_bytes(),
            &self.number.serial.to_be_bytes(),
            self.name.as_bytes(),
            self.school.as_bytes(),
            self.county.as_bytes(),
            self.programme_title.as_bytes(),
            &self.year.to_be_bytes(),
            self.education_stage.as_bytes(),
            self.subject.as_bytes(),
            &hours,
            &self.total.to_be_bytes(),
            &chrono::Datelike::num_days_from_ce(&self.issued_on).to_be_bytes(),
            &[&grounds.version.to_be_bytes()[..], &grounds.leaf_index.to_be_bytes()].concat(),
            &[&grounds.leaf.0[..], &grounds.root.0].concat(),
        ];
        let mut bytes = Vec::with_capacity(512);
        for field in fields {
            let length = u16::try_from(field.len()).map_err(|_| FieldError::TooLong)?;
            if field.len() > TEXT_BYTES_MAX {
                return Err(FieldError::TooLong);
            }
            bytes.extend(length.to_be_bytes());
            bytes.extend(field);
        }
        Ok(bytes)
    }

    /// The certificate of its canonical form.
    ///
    /// # Errors
    /// [`FieldError::Malformed`] for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FieldError> {
        read(bytes)
            .filter(|read| read.to_bytes().is_ok_and(|again| again == bytes))
            .ok_or(FieldError::Malformed)
    }
}

fn read(bytes: &[u8]) -> Option<Certificate> {
    let mut rest = bytes;
    let mut next = || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (field, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some(field)
    };
    let programme_id = ProgrammeId::parse(&text(next()?)?).ok()?;
    let county_code = RegionCode::parse(&text(next()?)?).ok()?;
    let serial = u32::from_be_bytes(next()?.try_into().ok()?);
    let (name, school, county, programme_title) =
        (text(next()?)?, text(next()?)?, text(next()?)?, text(next()?)?);
    let year = i32::from_be_bytes(next()?.try_into().ok()?);
    let (education_stage, subject) = (text(next()?)?, text(next()?)?);
    let credit_hours = match next()? {
        [] => None,
        hours => Some(u32::from_be_bytes(hours.try_into().ok()?)),
    };
    let total = i32::from_be_bytes(next()?.try_into().ok()?);
    let issued_on = NaiveDate::from_num_days_from_ce_opt(i32::from_be_bytes(next()?.try_into().ok()?))?;
    let (version, leaf_index) = next()?.split_at_checked(4)?;
    let (leaf, root) = next()?.split_at_checked(32)?;
    if !rest.is_empty() {
        return None;
    }
    let grounds = Grounds {
        version: u32::from_be_bytes(version.try_into().ok()?),
        leaf_index: u32::from_be_bytes(leaf_index.try_into().ok()?),
        leaf: Hash::from_bytes(leaf)?,
        root: Hash::from_bytes(root)?,
    };
    let number = Number { programme_id, county_code, serial };
    Some(Certificate {
        number,
        name,
        school,
        county,
        programme_title,
        year,
        education_stage,
        subject,
        credit_hours,
        total,
        issued_on,
        grounds,
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
