//! Where a member stood as of a time (domain.md: a trainee who changes class, school or county in mid-season keeps what
//! they earned; from then on they count in the new one). Whoever asks for a place says when, so that a fact is answered
//! the same whether it arrives before the transfer or after it.
//!
//! **Decided**: enrolment itself is not dated. A roster is imported when the paper arrives, often after the fact, so a
//! trainee stands in their first place from the beginning of time, and only transfers are dated.

use shipei_rules::{
    history::History,
    ids::{ClassId, SchoolCode, text_of},
    region::RegionCode,
};

/// A county, a school and a class; each may be absent, as in the places of those who are no trainees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The county's code; a municipal lead's is the city.
    pub county_code: Option<RegionCode>,
    /// The school.
    pub school_code: Option<SchoolCode>,
    /// The class.
    pub class_id: Option<ClassId>,
}

impl Place {
    /// The county as messages and events have it; empty when there is none.
    pub fn county_text(&self) -> &str {
        text_of(self.county_code.as_ref())
    }

    /// The school as messages and events have it; empty when there is none.
    pub fn school_text(&self) -> &str {
        text_of(self.school_code.as_ref())
    }

    /// The class as messages and events have it; empty when there is none.
    pub fn class_text(&self) -> &str {
        text_of(self.class_id.as_ref())
    }
}

/// All places of one member.
pub type PlaceHistory = History<Place>;
