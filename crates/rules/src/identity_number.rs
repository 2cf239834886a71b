//! The citizen identity number (GB 11643): read, checked, and kept from prying eyes.
//!
//! Eighteen characters: a region, a birth date, three serial digits, and a check digit (ISO 7064 MOD 11-2). Nothing here
//! shows a number unasked: `Debug` and [`IdentityNumber::masked`] show five characters, errors show none, and the whole
//! is had from [`IdentityNumber::reveal`] only, which is easy to search for. To add another kind of paper (a passport),
//! give it its own module and type: its checks and its region differ.

use std::fmt;

use chrono::{Datelike, NaiveDate};

use crate::region::RegionCode;

/// The earliest birth year that is believed.
const BIRTH_YEAR_MIN: i32 = 1900;
/// The latest birth year that is believed. The crate has no clock, so "not in the future" is the caller's to say.
const BIRTH_YEAR_MAX: i32 = 2099;

/// Weights of the first seventeen digits, and the check digit for each remainder (ISO 7064 MOD 11-2, GB 11643).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_DIGITS: &[u8; 11] = b"10X98765432";

/// Why a text is no identity number, by the first check that failed. Never shows the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityNumberError {
    /// Not eighteen characters.
    #[error("an identity number has 18 characters")]
    Length,
    /// A character that its place doesn't allow: digits, the first not 0, and a digit or X at the end.
    #[error("an identity number is 17 digits, the first not 0, and a digit or X")]
    Character,
    /// Characters 7 to 14 are no date, or none of the years 1900 to 2099.
    #[error("the birth date in the identity number is no date of the years 1900 to 2099")]
    Birthdate,
    /// The last character is not the check digit of the others.
    #[error("the identity number's check digit is wrong")]
    CheckDigit,
}

/// A checked identity number, its X in upper case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityNumber {
    text: String,
    region: RegionCode,
    birthdate: NaiveDate,
}

impl IdentityNumber {
    /// Reads and checks an identity number; a lower-case x is taken and made upper-case. Surrounding blanks are an error:
    /// who reads files trims them. Errors in the order length, characters, birth date, check digit.
    pub fn parse(text: &str) -> Result<Self, IdentityNumberError> {
        if text.chars().count() != 18 {
            return Err(IdentityNumberError::Length);
        }
        if !text.is_ascii() {
            return Err(IdentityNumberError::Character);
        }
        let text = text.to_ascii_uppercase();
        let (digits, check) = text.as_bytes().split_at(17);
        if !digits.iter().all(u8::is_ascii_digit) || !(check[0].is_ascii_digit() || check[0] == b'X') {
            return Err(IdentityNumberError::Character);
        }
        let region = RegionCode::parse(&text[..6]).map_err(|_| IdentityNumberError::Character)?;
        let birthdate = birthdate_of(&text[6..14]).ok_or(IdentityNumberError::Birthdate)?;
        if check_digit(digits) != check[0] {
            return Err(IdentityNumberError::CheckDigit);
        }
        Ok(Self { text, region, birthdate })
    }

    /// The whole number, for those who must report it. Never log it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The first three and the last two characters, stars between: `130*************2X`.
    pub fn masked(&self) -> String {
        format!("{}{}{}", &self.text[..3], "*".repeat(13), &self.text[16..])
    }

    /// The region in the number: where it was first issued, not where its holder works.
    pub fn region_code(&self) -> RegionCode {
        self.region
    }

    /// The birth date in the number.
    pub fn birthdate(&self) -> NaiveDate {
        self.birthdate
    }
}

impl fmt::Debug for IdentityNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "IdentityNumber({})", self.masked())
    }
}

fn birthdate_of(digits: &str) -> Option<NaiveDate> {
    let year = digits[..4].parse().ok()?;
    let birthdate = NaiveDate::from_ymd_opt(year, digits[4..6].parse().ok()?, digits[6..].parse().ok()?)?;
    (BIRTH_YEAR_MIN..=BIRTH_YEAR_MAX).contains(&birthdate.year()).then_some(birthdate)
}

fn check_digit(digits: &[u8]) -> u8 {
    let mut sum = 0_u32;
    for (digit, weight) in digits.iter().zip(WEIGHTS) {
        sum += u32::from(digit - b'0') * weight;
    }
    CHECK_DIGITS[(sum % 11) as usize]
}

/// The identity number of seventeen digits with the check digit added, for makers of synthetic people. Errors as
/// [`IdentityNumber::parse`] does.
pub fn complete(seventeen_digits: &str) -> Result<IdentityNumber, IdentityNumberError> {
    if seventeen_digits.chars().count() != 17 {
        return Err(IdentityNumberError::Length);
    }
    if !seventeen_digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IdentityNumberError::Character);
    }
    let check = char::from(check_digit(seventeen_digits.as_bytes()));
    IdentityNumber::parse(&format!("{seventeen_digits}{check}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_number_of_the_standard_is_taken_apart() {
        let number = IdentityNumber::parse("11010519491231002x").unwrap();
        assert_eq!(number.reveal(), "11010519491231002X");
        assert_eq!(number.region_code().as_str(), "110105");
        assert_eq!(number.birthdate(), NaiveDate::from_ymd_opt(1949, 12, 31).unwrap());
        assert_eq!(number.masked(), "110*************2X");
        assert_eq!(format!("{number:?}"), "IdentityNumber(110*************2X)");
    }

    #[test]
    fn identity_number_with_one_fault_is_refused_for_that_fault() {
        for (text, error) in [
            ("", IdentityNumberError::Length),
            ("1101051949123100", IdentityNumberError::Length),
            (" 11010519491231002X", IdentityNumberError::Length),
            ("1101051949123100２X", IdentityNumberError::Character),
            ("1101O519491231002X", IdentityNumberError::Character),
            ("X10105194912310021", IdentityNumberError::Character),
            ("010105194912310021", IdentityNumberError::Character),
            ("11010519490229002X", IdentityNumberError::Birthdate),
            ("110105189912310021", IdentityNumberError::Birthdate),
            ("110105194913310021", IdentityNumberError::Birthdate),
            ("110105194912310021", IdentityNumberError::CheckDigit),
        ] {
            assert_eq!(IdentityNumber::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn identity_number_completed_is_valid() {
        assert_eq!(complete("13030219800101011").unwrap().reveal(), "130302198001010118");
        assert!(complete("1303021980010101").is_err());
    }
}
