//! What a season says of decisions by hand and of courses: lines of many fields, most of which may be left out.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::values::{Stage, optional_instant};

/// The end of a window moved: for a region, a class, a person, or for all where none is named.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct ExtensionGranted {
    pub extension: String,
    pub window: String,
    pub last_day: String,
    #[serde(default)]
    pub region: String,
    #[serde(default)]
    pub class: String,
    #[serde(default)]
    pub person: String,
    pub reason: String,
}

/// Study time granted by hand.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct TimeGranted {
    pub person: String,
    pub course: String,
    pub grant: String,
    pub seconds: i32,
    pub reason: String,
    pub evidence: String,
}

/// What an item of a score counts as.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct ItemAdjusted {
    pub person: String,
    pub item: String,
    pub points: i32,
    pub kind: Kind,
    pub reason: String,
    /// From when on the computed value counts again.
    #[serde(default, deserialize_with = "optional_instant")]
    pub expires: Option<DateTime<Utc>>,
}

/// That a duty was done, as its bearer tells it: a person, a region, or with neither the training institution.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct EvidenceSubmitted {
    pub duty: String,
    #[serde(default)]
    pub person: String,
    #[serde(default)]
    pub region: String,
    pub text: String,
    #[serde(default)]
    pub about: Vec<String>,
}

/// Evidence that does not do.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct EvidenceSentBack {
    /// What the evidence's line is called.
    pub evidence: String,
    #[serde(default)]
    pub person: String,
    #[serde(default)]
    pub region: String,
    pub reason: String,
}

/// Of what kind a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the season format's own words")]
pub enum Kind {
    Excuse,
    Appeal,
    LateMedicalLeave,
}

/// What is right of a course; what is left out stays.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct CourseCorrected {
    pub course: String,
    /// From when it is so; always, where it is left out.
    #[serde(default, deserialize_with = "optional_instant")]
    pub since: Option<DateTime<Utc>>,
    pub title: Option<String>,
    pub category: Option<Category>,
    pub main_line: Option<bool>,
    pub seconds: Option<i32>,
    pub subject: Option<String>,
    pub education_stage: Option<StageOrBoth>,
    pub reason: String,
}

/// The three categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the season format's own words")]
pub enum Category {
    Public,
    Professional,
    ItIntegration,
}

/// An education stage, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum StageOrBoth {
    /// One of them.
    One(Stage),
    /// Both: an empty text.
    Both(Empty),
}

/// An empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Empty {
    /// It.
    #[serde(rename = "")]
    Empty,
}

/// A course that is retired.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct CourseRetired {
    pub course: String,
    /// From when on; from when it happened, where it is left out.
    #[serde(default, deserialize_with = "optional_instant")]
    pub since: Option<DateTime<Utc>>,
    pub reason: String,
}

/// What a line about a place is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the season format's own words")]
pub enum PlaceKind {
    Region,
    School,
    Class,
}

/// A region, a school or a class that is called otherwise.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct PlaceRenamed {
    pub kind: PlaceKind,
    pub code: String,
    pub name: String,
    pub reason: String,
}

/// A county, a school or a class that becomes part of another one.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct PlaceMerged {
    pub kind: PlaceKind,
    pub code: String,
    pub into: String,
    pub reason: String,
}

/// A region, a school or a class that ends.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the season format's own words")]
pub struct PlaceClosed {
    pub kind: PlaceKind,
    pub code: String,
    pub reason: String,
}
