//! A roster's rows, judged one by one: pure. What: [`read_row`] takes the cells of a row, [`check_places`] asks
//! whether what it names is there, [`judge`] compares it with who is enrolled already. Why each by itself: a county
//! sends thousands of rows, the good ones are taken and each bad one is named with its first fault. No message repeats
//! a cell: somebody may have put an identity number there. A row is refused for what nothing can be done with, and
//! taken with a warning for what is only odd ([`warnings`]): who is not taken loses the whole season, and with a tutor
//! the whole class does. A new column is a field of [`Cells`] and a step of [`read_row`].

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    identity_number::IdentityNumber,
    ids::{ClassId, PersonId, SchoolCode},
    region::{RegionCode, RegionLevel},
    vocabulary::{DevelopmentStage, EducationStage, Role},
};

use crate::{convert::NAME_CHARACTERS_MAX, domain::Place};

/// The most rows of one import.
pub const MAX_ROSTER_ROWS: usize = 100_000;
/// The most others with one identity number whom a warning names.
const HOLDERS_NAMED_MAX: usize = 3;
/// The columns that a roster file must have.
pub const COLUMNS: [&str; 10] = [
    "person_id",
    "name",
    "id_number",
    "role",
    "county_code",
    "school_code",
    "education_stage",
    "subject",
    "development_stage",
    "class_id",
];

/// One row as it was sent, blanks around its cells removed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Cells {
    /// The line of the file, or the number of the row from 1.
    pub(crate) row: i64,
    /// The cells, in the order of [`COLUMNS`].
    pub(crate) cells: [String; 10],
}

/// A row that can be, whatever is enrolled already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The line of the file, or the number of the row from 1.
    pub(crate) row: i64,
    /// Their id.
    pub(crate) person_id: String,
    /// Their name.
    pub(crate) name: String,
    /// Their identity number, checked.
    pub(crate) identity_number: IdentityNumber,
    /// What they are.
    pub(crate) role: Role,
    /// Where the roster puts them.
    pub(crate) place: Place,
    /// A trainee's education stage.
    pub(crate) education_stage: Option<EducationStage>,
    /// The subject taught or led; empty for none.
    pub(crate) subject: String,
    /// Where a teacher stands in the profession.
    pub(crate) development_stage: Option<DevelopmentStage>,
}

/// Why a row is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The stable reason.
    pub(crate) reason: ErrorReason,
    /// The column.
    pub(crate) field: &'static str,
    /// The cause, without any content of the row.
    pub(crate) message: String,
}

impl Fault {
    /// A fault of a column.
    pub(crate) fn new(reason: ErrorReason, field: &'static str, message: impl Into<String>) -> Self {
        Self { reason, field, message: message.into() }
    }
}

fn invalid<T>(field: &'static str, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(ErrorReason::InvalidField, field, message))
}

fn missing(field: &'static str, message: &str) -> Fault {
    Fault::new(ErrorReason::NotFound, field, message)
}

/// The id in a row's first cell, if it can be shown: an id, and no identity number in the wrong column.
pub(crate) fn showable_person_id(cells: &Cells) -> Option<&str> {
    let [person_id, ..] = &cells.cells;
    if PersonId::parse(person_id).is_err() || IdentityNumber::parse(person_id).is_ok() {
        return None;
    }
    Some(person_id)
}

/// Reads one row. `today` is the programme's calendar day: nobody is born after it.
pub(crate) fn read_row(cells: &Cells, today: NaiveDate) -> Result<Candidate, Fault> {
    let [person_id, name, id_number, role, county, school, stage, subject, development, class] = &cells.cells;
    if let Err(error) = PersonId::parse(person_id) {
        return invalid("person_id", format!("the id {}", error.cause));
    }
    if showable_person_id(cells).is_none() {
        return invalid("person_id", "an identity number must not serve as an id");
    }
    let identity_number = read_identity_number(id_number, today)?;
    let Some(role) = Role::parse(role) else {
        return invalid(
            "role",
            format!("must be one of {}", words(Role::ALL.iter().map(|role| role.as_str()))),
        );
    };
    let place = read_place(role, county, school, class)?;
    let education_stage = match EducationStage::parse(stage) {
        None if !stage.is_empty() => {
            return invalid("education_stage", "must be compulsory or non_compulsory");
        }
        None if role == Role::Trainee => return invalid("education_stage", "required of a trainee"),
        stage => stage,
    };
    let development_stage = match DevelopmentStage::parse(development) {
        None if !development.is_empty() => {
            let stages = words(DevelopmentStage::ALL.iter().map(|stage| stage.as_str()));
            return invalid("development_stage", format!("must be one of {stages}"));
        }
        stage => stage,
    };
    Ok(Candidate {
        row: cells.row,
        person_id: person_id.clone(),
        name: text("name", name)?,
        identity_number,
        role,
        place,
        education_stage,
        subject: text("subject", subject)?,
        development_stage,
    })
}

fn text(field: &'static str, value: &str) -> Result<String, Fault> {
    if value.contains('\0') {
        return invalid(field, "has a NUL character");
    }
    if value.chars().count() > NAME_CHARACTERS_MAX {
        let message = format!("longer than {NAME_CHARACTERS_MAX} characters");
        return Err(Fault::new(ErrorReason::TextTooLong, field, message));
    }
    Ok(value.to_owned())
}

fn read_identity_number(text: &str, today: NaiveDate) -> Result<IdentityNumber, Fault> {
    let fault = |message: String| Fault::new(ErrorReason::InvalidIdentityNumber, "id_number", message);
    let number = IdentityNumber::parse(text).map_err(|error| fault(error.to_string()))?;
    if number.birthdate() > today {
        return Err(fault("the birth date in the identity number is not yet".to_owned()));
    }
    Ok(number)
}

fn read_place(role: Role, county: &str, school: &str, class: &str) -> Result<Place, Fault> {
    let needs_region = matches!(role, Role::Trainee | Role::CountyCounselor | Role::MunicipalLead);
    if county.is_empty() && needs_region {
        return invalid("county_code", "required of this role");
    }
    if !county.is_empty() && RegionCode::parse(county).is_err() {
        return invalid("county_code", "a region code has six digits, the first not 0");
    }
    if !school.is_empty() {
        if let Err(error) = SchoolCode::parse(school) {
            return invalid("school_code", format!("the code {}", error.cause));
        }
        if county.is_empty() {
            return invalid("county_code", "required with a school");
        }
    }
    // Only a trainee is a member of a class; lists of staff often name the class that somebody runs.
    let class = if role == Role::Trainee { class } else { "" };
    if !class.is_empty()
        && let Err(error) = ClassId::parse(class)
    {
        return invalid("class_id", format!("the id {}", error.cause));
    }
    Ok(Place { county_code: county.to_owned(), school_code: school.to_owned(), class_id: class.to_owned() })
}

fn words(words: impl Iterator<Item = &'static str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// What there is of what a run of rows names.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The level of each region.
    pub(crate) regions: HashMap<String, RegionLevel>,
    /// The county of each school.
    pub(crate) schools: HashMap<String, String>,
    /// The classes.
    pub(crate) classes: HashSet<String>,
}

/// Something about a row that was taken that is worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The column.
    pub(crate) field: &'static str,
    /// What is odd, without any content of the row but ids.
    pub(crate) message: String,
}

/// What is worth a look in a row that can be taken.
///
/// - A school that nobody has listed, or that is listed under another county: the counties' lists of schools lag behind
///   their rosters (the seasons have such a row), and no score is by school.
/// - Others with the same identity number, by their ids: the law asks that a number be right (GB 11643), nowhere that it
///   be one person's only, and a teacher may be a trainee here and a tutor there under two ids.
pub(crate) fn warnings(
    candidate: &Candidate,
    digest: IdentityDigest,
    known: &Known,
    register: &Register,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let Place { county_code, school_code, .. } = &candidate.place;
    let school = match known.schools.get(school_code) {
        _ if school_code.is_empty() => None,
        None => Some("the list of schools does not have this one"),
        Some(county) if county != county_code => Some("the list of schools has this one in another county"),
        Some(_) => None,
    };
    found.extend(school.map(|message| Warning { field: "school_code", message: message.to_owned() }));
    let others = register.others_with(digest, &candidate.person_id);
    if !others.is_empty() {
        let (id, others) = (&candidate.person_id, others.join(", "));
        let message = format!("{id} has the same identity number as {others}");
        found.push(Warning { field: "id_number", message });
    }
    found
}

/// Whether county and class of a row are there: a trainee's and a counselor's is a county, a municipal lead's is a city,
/// any other's may be any region. A school need not be there ([`warnings`]).
pub(crate) fn check_places(candidate: &Candidate, known: &Known) -> Result<(), Fault> {
    let Place { county_code, class_id, .. } = &candidate.place;
    if !county_code.is_empty() {
        let Some(level) = known.regions.get(county_code) else {
            return Err(missing("county_code", "there is no such region"));
        };
        match candidate.role {
            Role::Trainee | Role::CountyCounselor if *level != RegionLevel::County => {
                return Err(missing("county_code", "this region is not a county"));
            }
            Role::MunicipalLead if *level != RegionLevel::City => {
                return Err(missing("county_code", "this region is not a city"));
            }
            _ => {}
        }
    }
    if !class_id.is_empty() && !known.classes.contains(class_id) {
        return Err(missing("class_id", "there is no such class"));
    }
    Ok(())
}

/// A keyed digest of an identity number.
pub(crate) type IdentityDigest = [u8; 32];

/// Who is enrolled, as far as a row can be compared with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolled {
    /// The digest of their identity number.
    pub(crate) digest: IdentityDigest,
    /// Their name.
    pub(crate) name: String,
    /// What they are.
    pub(crate) role: Role,
    /// Where the roster put them.
    pub(crate) roster_place: Place,
    /// Where they stand now.
    pub(crate) place: Place,
    /// Their education stage.
    pub(crate) education_stage: Option<EducationStage>,
    /// The subject.
    pub(crate) subject: String,
    /// Where they stand in the profession.
    pub(crate) development_stage: Option<DevelopmentStage>,
}

impl Enrolled {
    /// The candidate, once taken.
    fn of(candidate: &Candidate, digest: IdentityDigest) -> Self {
        Self {
            digest,
            name: candidate.name.clone(),
            role: candidate.role,
            roster_place: candidate.place.clone(),
            place: candidate.place.clone(),
            education_stage: candidate.education_stage,
            subject: candidate.subject.clone(),
            development_stage: candidate.development_stage,
        }
    }
}

/// Everybody who is enrolled and whom a run of rows may meet.
#[derive(Debug, Default)]
pub(crate) struct Register {
    people: HashMap<String, Enrolled>,
    /// Who holds an identity number, by id; more than one may.
    holders: HashMap<IdentityDigest, BTreeSet<String>>,
}

impl Register {
    /// Adds somebody.
    pub(crate) fn add(&mut self, person_id: String, enrolled: Enrolled) {
        self.add_holder(enrolled.digest, person_id.clone());
        self.people.insert(person_id, enrolled);
    }

    /// Adds a candidate who is taken, for the rows after theirs.
    pub(crate) fn add_candidate(&mut self, candidate: &Candidate, digest: IdentityDigest) {
        self.add(candidate.person_id.clone(), Enrolled::of(candidate, digest));
    }

    /// Adds who holds an identity number.
    pub(crate) fn add_holder(&mut self, digest: IdentityDigest, person_id: String) {
        self.holders.entry(digest).or_default().insert(person_id);
    }

    /// The others who hold an identity number, by id; of many, the first [`HOLDERS_NAMED_MAX`].
    fn others_with(&self, digest: IdentityDigest, person_id: &str) -> Vec<&str> {
        let holders = self.holders.get(&digest).into_iter().flatten().map(String::as_str);
        holders.filter(|holder| *holder != person_id).take(HOLDERS_NAMED_MAX).collect()
    }
}

/// What becomes of a row that can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody new.
    New,
    /// Already there with the same content.
    Same,
}

/// Compares a row with who is enrolled. A trainee who was transferred is the same in the old roster and in a new one.
pub(crate) fn judge(
    candidate: &Candidate,
    digest: IdentityDigest,
    register: &Register,
) -> Result<Verdict, Fault> {
    let Some(enrolled) = register.people.get(&candidate.person_id) else { return Ok(Verdict::New) };
    let place_is_known = candidate.place == enrolled.roster_place || candidate.place == enrolled.place;
    let mut different = Vec::new();
    let comparisons = [
        ("name", candidate.name == enrolled.name),
        ("id_number", digest == enrolled.digest),
        ("role", candidate.role == enrolled.role),
        ("county_code", place_is_known || candidate.place.county_code == enrolled.place.county_code),
        ("school_code", place_is_known || candidate.place.school_code == enrolled.place.school_code),
        ("education_stage", candidate.education_stage == enrolled.education_stage),
        ("subject", candidate.subject == enrolled.subject),
        ("development_stage", candidate.development_stage == enrolled.development_stage),
        ("class_id", place_is_known || candidate.place.class_id == enrolled.place.class_id),
    ];
    for (column, same) in comparisons {
        if !same {
            different.push(column);
        }
    }
    if different.is_empty() {
        return Ok(Verdict::Same);
    }
    let message = format!("this person is enrolled with other content: {}", different.join(", "));
    Err(Fault::new(ErrorReason::AlreadyExists, "person_id", message))
}

#[cfg(test)]
mod tests;
