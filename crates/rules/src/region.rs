//! Region codes (GB/T 2260) and the months that their meaning is dated by; what a code names is in [`crate::divisions`].

use std::fmt;

/// Where a region stands: the province holds cities, a city holds counties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegionLevel {
    /// 省.
    Province,
    /// 地级市.
    City,
    /// 县, 区, 县级市, 开发区.
    County,
}

impl RegionLevel {
    /// Reads `province`, `city`, `county`; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "province" => Some(Self::Province),
            "city" => Some(Self::City),
            "county" => Some(Self::County),
            _ => None,
        }
    }

    /// The word that rosters use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Province => "province",
            Self::City => "city",
            Self::County => "county",
        }
    }
}

/// A text is no region code: six ASCII digits, the first not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a region code is six digits, the first not 0 (GB/T 2260)")]
pub struct InvalidRegionCode;

/// A six-digit region code of GB/T 2260.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionCode([u8; 6]);

impl RegionCode {
    /// Reads six ASCII digits, the first not 0. Whether such a region exists is for [`crate::divisions`] to say.
    pub fn parse(text: &str) -> Result<Self, InvalidRegionCode> {
        let digits: [u8; 6] = text.as_bytes().try_into().map_err(|_| InvalidRegionCode)?;
        if digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
            return Err(InvalidRegionCode);
        }
        Ok(Self(digits))
    }

    /// Reads a code where an empty text says that there is none.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, InvalidRegionCode> {
        if text.is_empty() { Ok(None) } else { Self::parse(text).map(Some) }
    }

    /// The six digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("parse let only ASCII digits in")
    }

    /// The level that the digits suggest: `xx0000` a province, `xxyy00` a city, anything else a county. A fallback for
    /// regions that no roster and no tree knows.
    pub fn level(&self) -> RegionLevel {
        if self.0[2..] == *b"0000" {
            return RegionLevel::Province;
        }
        if self.0[4..] == *b"00" {
            return RegionLevel::City;
        }
        RegionLevel::County
    }

    /// The city's code by digits (`xxyy00`); of a province, the province's own.
    pub fn city(&self) -> Self {
        let mut digits = self.0;
        digits[4..].copy_from_slice(b"00");
        Self(digits)
    }

    /// The province's code by digits (`xx0000`).
    pub fn province(&self) -> Self {
        let mut digits = self.0;
        digits[2..].copy_from_slice(b"0000");
        Self(digits)
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for RegionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RegionCode({})", self.as_str())
    }
}

impl AsRef<str> for RegionCode {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl TryFrom<String> for RegionCode {
    type Error = InvalidRegionCode;

    fn try_from(text: String) -> Result<Self, InvalidRegionCode> {
        Self::parse(&text)
    }
}

impl From<RegionCode> for String {
    fn from(code: RegionCode) -> String {
        code.as_str().to_owned()
    }
}

impl std::str::FromStr for RegionCode {
    type Err = InvalidRegionCode;

    fn from_str(text: &str) -> Result<Self, InvalidRegionCode> {
        Self::parse(text)
    }
}

/// A month of the calendar, as divisions are dated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct YearMonth {
    year: u16,
    month: u8,
}

impl YearMonth {
    /// A month 1 to 12 of a year; `None` for any other month.
    pub const fn new(year: u16, month: u8) -> Option<Self> {
        if month == 0 || month > 12 {
            return None;
        }
        Some(Self { year, month })
    }

    /// Reads `YYYYMM`, as the table of divisions writes a month.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::new(text[..4].parse().ok()?, text[4..].parse().ok()?)
    }

    /// The month that a day lies in; `None` before year 0 and after year 65535.
    pub fn of(day: chrono::NaiveDate) -> Option<Self> {
        use chrono::Datelike;
        Self::new(u16::try_from(day.year()).ok()?, u8::try_from(day.month()).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> RegionCode {
        RegionCode::parse(text).unwrap()
    }

    #[test]
    fn region_code_of_six_digits_tells_level_city_and_province() {
        assert_eq!(code("130302").level(), RegionLevel::County);
        assert_eq!(code("130302").city(), code("130300"));
        assert_eq!(code("130302").province(), code("130000"));
        assert_eq!(code("130300").level(), RegionLevel::City);
        assert_eq!(code("130000").level(), RegionLevel::Province);
    }

    #[test]
    fn level_is_known_by_its_words_and_written_by_one() {
        for (word, level, written) in [
            ("province", Some(RegionLevel::Province), "province"),
            ("city", Some(RegionLevel::City), "city"),
            ("county", Some(RegionLevel::County), "county"),
            ("district", None, ""),
        ] {
            assert_eq!(RegionLevel::parse(word), level, "{word}");
            assert_eq!(level.map_or("", RegionLevel::as_str), written, "{word}");
        }
    }

    #[test]
    fn region_code_is_shown_as_its_digits() {
        assert_eq!(format!("{} {:?}", code("130302"), code("130302")), "130302 RegionCode(130302)");
        assert_eq!("130302".parse::<RegionCode>(), Ok(code("130302")));
        assert!("1303".parse::<RegionCode>().is_err());
    }

    #[test]
    fn month_is_six_digits_with_a_month_of_the_year() {
        assert_eq!(YearMonth::parse("201912"), YearMonth::new(2019, 12));
        assert_eq!(YearMonth::parse("201901"), YearMonth::new(2019, 1));
        for text in ["201913", "201900", "20191", "2019012", "2019ab"] {
            assert_eq!(YearMonth::parse(text), None, "{text}");
        }
        assert_eq!((YearMonth::new(2019, 0), YearMonth::new(2019, 13)), (None, None));
        let day = |text: &str| text.parse::<chrono::NaiveDate>().unwrap();
        assert_eq!(YearMonth::of(day("2019-09-30")), YearMonth::new(2019, 9));
        assert_eq!(YearMonth::of(day("-0001-09-30")), None);
    }

    #[test]
    fn region_code_of_another_shape_is_refused() {
        for text in ["", "13030", "1303021", "13030a", "030302", "１３０３０２", "13 302"] {
            assert!(RegionCode::parse(text).is_err(), "{text}");
            assert_eq!(RegionCode::parse_optional(text).is_ok(), text.is_empty(), "{text}");
        }
    }
}
