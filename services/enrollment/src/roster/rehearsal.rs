//! Whom the earlier parts of a dry run would have added, so that later rows get the answer that they would get. Why not a
//! [`Register`] that is kept: it holds everybody as the comparisons want them, about 1.5 kB each, and a roster has
//! hundreds of thousands. Here each is one text and a few numbers, and a part takes out only those whom its rows meet.

use std::collections::HashMap;

use shipei_rules::{
    ids::{ClassId, PersonId, SchoolCode, text_of},
    region::RegionCode,
    vocabulary::{DevelopmentStage, EducationStage, Role},
};

use super::{Candidate, Enrolled, IdentityDigest, Register, Written};
use crate::domain::Place;

/// What stands between the texts of one person; no id and no name can hold it.
const BETWEEN: char = '\n';

/// Everybody whom a dry run would have added.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal {
    people: Vec<Remembered>,
    /// The last one of each id.
    by_id: HashMap<PersonId, u32>,
    /// The last one of each identity number, by the head of its digest.
    last_with: HashMap<[u8; 8], u32>,
}

#[derive(Debug)]
struct Remembered {
    /// Id, name, county, school, class, subject.
    texts: Box<str>,
    digest: IdentityDigest,
    role: Role,
    education_stage: Option<EducationStage>,
    development_stage: Option<DevelopmentStage>,
    /// The one before with the same id, in another role.
    before_of_id: Option<u32>,
    /// The one before with the same head of the digest.
    before: Option<u32>,
}

impl Rehearsal {
    /// Remembers somebody who would be added.
    pub(crate) fn remember(&mut self, candidate: &Candidate, digest: IdentityDigest) {
        let Ok(place) = u32::try_from(self.people.len()) else { return };
        let Place { county_code, school_code, class_id } = &candidate.place;
        let texts = [
            candidate.person_id.as_str(),
            candidate.name.as_str(),
            text_of(county_code.as_ref()),
            text_of(school_code.as_ref()),
            text_of(class_id.as_ref()),
            candidate.subject.as_str(),
        ];
        let texts = texts.join("\n");
        let before_of_id = self.by_id.insert(candidate.person_id.clone(), place);
        self.people.push(Remembered {
            texts: texts.into(),
            digest,
            role: candidate.role,
            education_stage: candidate.education_stage,
            development_stage: candidate.development_stage,
            before_of_id,
            before: self.last_with.insert(head_of(digest), place),
        });
    }

    /// Adds to the register everybody who has one of the candidates' ids or identity numbers.
    pub(crate) fn add_met(
        &self,
        candidates: &[Candidate],
        digests: &[IdentityDigest],
        register: &mut Register,
    ) {
        let by_id = candidates.iter().filter_map(|candidate| self.by_id.get(&candidate.person_id));
        for last in by_id {
            let mut next = Some(*last);
            while let Some(place) = next {
                next = self.add(place, register).and_then(|remembered| remembered.before_of_id);
            }
        }
        for digest in digests {
            let mut next = self.last_with.get(&head_of(*digest)).copied();
            while let Some(place) = next {
                next = self.add(place, register).and_then(|remembered| remembered.before);
            }
        }
    }

    /// Adds one.
    fn add(&self, place: u32, register: &mut Register) -> Option<&Remembered> {
        let remembered = self.people.get(place as usize)?;
        let mut texts = remembered.texts.split(BETWEEN);
        let mut text = || texts.next().unwrap_or_default();
        // All of them were ids when they were remembered.
        let (person_id, name) = (PersonId::parse(text()).ok()?, text().to_owned());
        let place = Place {
            county_code: RegionCode::parse_optional(text()).ok()?,
            school_code: SchoolCode::parse_optional(text()).ok()?,
            class_id: ClassId::parse_optional(text()).ok()?,
        };
        let written = Written {
            digest: remembered.digest,
            name,
            education_stage: remembered.education_stage,
            subject: text().to_owned(),
            development_stage: remembered.development_stage,
        };
        let roster_place = place.clone();
        let enrolled = Enrolled {
            written,
            before_corrections: None,
            is_there: true,
            is_erased: false,
            role: remembered.role,
            roster_place,
            place,
        };
        register.add(person_id, enrolled);
        Some(remembered)
    }
}

fn head_of(digest: IdentityDigest) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    head
}
