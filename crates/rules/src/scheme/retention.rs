//! `[retention]`: for how many years behind a programme's end it is kept who the people in each role were. Then names and numbers may
//! be erased; what was done stays, under ids.

use chrono::{Months, NaiveDate};

use super::{Role, SchemeError, reader::Section};

/// The most years that a scheme may keep personal data: longer than anybody teaches.
const YEARS_MAX: i64 = 100;
/// Of trainees, where a scheme does not say: a teacher is registered anew every five years, by the training of those years
/// (中小学教师资格定期注册), so the last of it must be provable that long. From knowledge of the rule, not from the notice, which has no figure.
const TRAINEE_YEARS: i64 = 5;
/// Of everybody else, where a scheme does not say: within three years claims lapse, as to what was paid or owed for the work
/// (民法典 188). From knowledge, likewise.
const STAFF_YEARS: i64 = 3;
/// Months of a year.
const MONTHS: u32 = 12;

/// For how many years behind the programme's end it is kept who people were, by their role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    years: [i64; Role::ALL.len()],
}

impl Default for Retention {
    fn default() -> Self {
        let years_of = |role: Role| if role == Role::Trainee { TRAINEE_YEARS } else { STAFF_YEARS };
        let mut years = [0; Role::ALL.len()];
        for (years, role) in years.iter_mut().zip(Role::ALL) {
            *years = years_of(*role);
        }
        Self { years }
    }
}

impl Retention {
    /// Reads `[retention]`, of which everything may be left out: a key for each role, in years.
    pub(super) fn read(root: &Section<'_>) -> Result<Self, SchemeError> {
        let mut retention = Self::default();
        let Some(value) = root.optional("retention") else { return Ok(retention) };
        let keys: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        let section = value.section(&keys)?;
        for (years, key) in retention.years.iter_mut().zip(keys) {
            if let Some(value) = section.optional(key) {
                *years = value.integer(0..=YEARS_MAX)?;
            }
        }
        Ok(retention)
    }

    /// Of a role.
    pub fn years(&self, role: Role) -> i64 {
        let place = Role::ALL.iter().position(|known| *known == role);
        place.and_then(|place| self.years.get(place)).copied().unwrap_or(YEARS_MAX)
    }

    /// The first day on which that many years have passed since a day.
    pub(super) fn passed_from(&self, role: Role, day: NaiveDate) -> NaiveDate {
        let years = u32::try_from(self.years(role)).unwrap_or(u32::MAX);
        // At the end of the calendar nobody is due.
        day.checked_add_months(Months::new(years.saturating_mul(MONTHS))).unwrap_or(NaiveDate::MAX)
    }
}
