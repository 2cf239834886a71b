//! Where a member stood as of a time (domain.md: a trainee who changes class, school or county in mid-season keeps what
//! they earned; from then on they count in the new one). Whoever asks for a place says when, so that a fact is answered
//! the same whether it arrives before the transfer or after it.
//!
//! **Decided**: enrolment itself is not dated. A roster is imported when the paper arrives, often after the fact, so a
//! trainee stands in their first place from the beginning of time, and only transfers are dated.

use shipei_rules::history::History;

/// A county, a school and a class; each may be empty, as in the places of those who are no trainees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The county's code; a municipal lead's is the city.
    pub county_code: String,
    /// The school.
    pub school_code: String,
    /// The class.
    pub class_id: String,
}

/// All places of one member.
pub type PlaceHistory = History<Place>;
