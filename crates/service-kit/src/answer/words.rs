//! Words for people in an error: in the language that the caller asked for, with the figures that it was refused for. What is
//! said stands in the contract (`ReasonText`); here its places are filled in.

use std::collections::HashMap;

use chrono::{Datelike as _, NaiveDate};
use http::{HeaderMap, header::ACCEPT_LANGUAGE};

/// The languages that reasons are said in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// 简体中文, when the caller asks for nothing else.
    #[default]
    Chinese,
    /// English.
    English,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

tokio::task_local! {
    /// Of the call that this task answers.
    static LANGUAGE: Language;
}

/// Errors that come of this work are said in this language.
pub(crate) async fn said_in<Work: Future>(language: Language, work: Work) -> Work::Output {
    LANGUAGE.scope(language, work).await
}

impl Language {
    /// Of the call that is being answered; outside of one, and in tasks of their own, it is the default.
    pub(crate) fn current() -> Self {
        LANGUAGE.try_with(|language| *language).unwrap_or_default()
    }

    /// What the metadata `accept-language` prefers: the first of the languages with the highest weight that is spoken here.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(accepted) = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) else {
            return Self::default();
        };
        let mut best: Option<(u32, Self)> = None;
        for item in accepted.split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let name = name.trim().to_ascii_lowercase();
            let language = match name.split('-').next() {
                Some("zh") => Self::Chinese,
                Some("en") => Self::English,
                _ => continue,
            };
            let weight = weight_of(parameters);
            if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, language));
            }
        }
        best.map_or(Self::default(), |(_, language)| language)
    }

    /// Its name, as a locale.
    pub const fn locale(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    fn day(self, day: NaiveDate) -> String {
        match self {
            Self::Chinese => format!("{}月{}日", day.month(), day.day()),
            Self::English => format!("{} {}", day.day(), MONTHS[day.month0() as usize]),
        }
    }
}

/// The weight `q=0.8` in thousandths; 1000 where there is none.
fn weight_of(parameters: &str) -> u32 {
    let Some(text) = parameters.trim().strip_prefix("q=") else { return 1_000 };
    let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let thousandths = format!("{decimals:0<3}");
    let thousandths: u32 = thousandths.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    whole.parse::<u32>().unwrap_or(0).saturating_mul(1_000).saturating_add(thousandths).min(1_000)
}

/// Fills a text: `{key}` becomes the value, and what is in square brackets is left out unless all of its values are there.
pub(crate) fn fill(text: &str, values: &HashMap<String, String>, language: Language) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let Some(close) = rest[open..].find(']') else { break };
        filled.push_str(&filled_whole(&rest[..open], values, language).unwrap_or_default());
        let optional = &rest[open + 1..open + close];
        filled.push_str(&filled_whole(optional, values, language).unwrap_or_default());
        rest = &rest[open + close + 1..];
    }
    filled.push_str(&filled_whole(rest, values, language).unwrap_or_else(|| rest.to_owned()));
    filled
}

/// The text with all its places filled; None when a value is missing.
fn filled_whole(text: &str, values: &HashMap<String, String>, language: Language) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, behind) = after.split_once('}')?;
        let value = values.get(key)?;
        filled.push_str(before);
        match value.parse::<NaiveDate>() {
            Ok(day) => filled.push_str(&language.day(day)),
            Err(_) => filled.push_str(value),
        }
        rest = behind;
    }
    filled.push_str(rest);
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(accepted: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, accepted.parse().unwrap());
        Language::of(&headers)
    }

    #[test]
    fn language_is_the_one_that_the_caller_prefers_of_those_that_are_spoken() {
        assert_eq!(Language::of(&HeaderMap::new()), Language::Chinese);
        for (accepted, expected) in [
            ("en", Language::English),
            ("en-GB,en;q=0.9", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("fr, en;q=0.5, zh;q=0.7", Language::Chinese),
            ("en;q=0", Language::Chinese),
            ("ja", Language::Chinese),
            ("en;q=x, zh", Language::Chinese),
        ] {
            assert_eq!(language(accepted), expected, "{accepted}");
        }
    }

    #[test]
    fn places_are_filled_and_left_out_where_a_value_is_missing() {
        let values = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let short = values(&[("characters", "299"), ("characters_min", "300")]);
        let text = "字数不足[：{characters}/{characters_min}]";
        assert_eq!(fill(text, &short, Language::Chinese), "字数不足：299/300");
        assert_eq!(fill(text, &values(&[("characters", "299")]), Language::Chinese), "字数不足");
        let days = values(&[("first_day", "2019-09-15"), ("last_day", "2019-10-30")]);
        let text = "x[: {first_day} to {last_day}]";
        assert_eq!(fill(text, &days, Language::English), "x: 15 September to 30 October");
        assert_eq!(fill("[{first_day}至{last_day}]", &days, Language::Chinese), "9月15日至10月30日");
        assert_eq!(fill("plain", &days, Language::Chinese), "plain");
    }
}
