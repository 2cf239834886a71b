//! What became of regions, schools and classes: one is merged into another or closed, from an instant on. What stood in it then, and
//! whatever is said to stand in it later, stands in its successor from then on; what happened before stays where it was.
//!
//! What follows is a fold over the endings that stand, by their times, so the order in which they and everything else become known
//! decides nothing: a person who turns out to have stood there stands in the successor, too, and an ending that falls leaves
//! no trace.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// What may be renamed, merged and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceKind {
    /// A province, a city or a county.
    Region,
    /// A school.
    School,
    /// A class.
    Class,
}

impl PlaceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Region, Self::School, Self::Class];

    /// Its word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::School => "school",
            Self::Class => "class",
        }
    }

    /// Reads its word; `None` for any other text.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// That a place is no more, from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// From when on.
    pub at: DateTime<Utc>,
    /// Of two at one instant the one with the larger number is the later one; no two of a kind in a programme have the same.
    pub number: i64,
    /// What ends.
    pub code: String,
    /// What it is merged into; `None` when it is closed.
    pub into: Option<String>,
}

/// What took a place's place, from an instant on until another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Succession {
    /// What had ended.
    pub code: String,
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until when; `None` for good.
    pub until: Option<DateTime<Utc>>,
    /// What stands for it then; `None` for nothing.
    pub successor: Option<String>,
}

/// Everything that follows from the endings of one kind of places, in any order. What has ended already does not end again, and
/// what is merged into something that had ended goes where that went.
pub fn successions(mut endings: Vec<Ending>) -> Vec<Succession> {
    endings.sort_by_key(|ending| (ending.at, ending.number));
    let mut current: BTreeMap<String, (DateTime<Utc>, Option<String>)> = BTreeMap::new();
    let mut over = Vec::new();
    for ending in endings {
        if current.contains_key(&ending.code) {
            continue;
        }
        let successor = match ending.into {
            Some(into) => current.get(&into).map_or(Some(into), |(_, successor)| successor.clone()),
            None => None,
        };
        if successor.as_ref() == Some(&ending.code) {
            continue;
        }
        // Whoever had come here goes on with it.
        for (code, (since, went_to)) in &mut current {
            if went_to.as_ref() != Some(&ending.code) {
                continue;
            }
            let before = (code.clone(), *since, std::mem::replace(went_to, successor.clone()));
            *since = ending.at;
            let (code, from, successor) = before;
            // Of two at one instant the first was never.
            if from < ending.at {
                over.push(Succession { code, from, until: Some(ending.at), successor });
            }
        }
        current.insert(ending.code, (ending.at, successor));
    }
    over.extend(current.into_iter().map(|(code, (from, successor))| Succession {
        code,
        from,
        until: None,
        successor,
    }));
    over.sort();
    over
}

/// Looks up what stands for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Successors(BTreeMap<(PlaceKind, String), Vec<Succession>>);

impl Successors {
    /// From successions, each with its kind.
    pub fn new(rows: impl IntoIterator<Item = (PlaceKind, Succession)>) -> Self {
        let mut by_code: BTreeMap<_, Vec<Succession>> = BTreeMap::new();
        for (kind, row) in rows {
            by_code.entry((kind, row.code.clone())).or_default().push(row);
        }
        by_code.values_mut().for_each(|rows| rows.sort());
        Self(by_code)
    }

    /// Whether nothing was ever merged or closed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What became of a place, by time.
    pub fn of(&self, kind: PlaceKind, code: &str) -> &[Succession] {
        self.0.get(&(kind, code.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// What stands for a place as of an instant: itself while it has not ended, `None` when nothing does.
    pub fn at<'a>(&'a self, kind: PlaceKind, code: &'a str, instant: DateTime<Utc>) -> Option<&'a str> {
        let rows = self.of(kind, code);
        match rows.iter().rfind(|row| row.from <= instant) {
            None => Some(code),
            Some(row) => row.successor.as_deref(),
        }
    }

    /// What stands for a place behind everything.
    pub fn last<'a>(&'a self, kind: PlaceKind, code: &'a str) -> Option<&'a str> {
        self.of(kind, code).last().map_or(Some(code), |row| row.successor.as_deref())
    }

    /// From when on a place is no more.
    pub fn ended_at(&self, kind: PlaceKind, code: &str) -> Option<DateTime<Utc>> {
        self.of(kind, code).first().map(|row| row.from)
    }

    /// The instants at which something else comes to stand for a place.
    pub fn turns(&self, kind: PlaceKind, code: &str) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        self.of(kind, code).iter().map(|row| row.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// `10 A>B` merges at 10, `10 A>` closes; the numbers are those of the list.
    fn endings(text: &str) -> Vec<Ending> {
        let mut endings = Vec::new();
        for (number, part) in text.split(", ").filter(|part| !part.is_empty()).enumerate() {
            let (seconds, what) = part.split_once(' ').unwrap();
            let (code, into) = what.split_once('>').unwrap();
            endings.push(Ending {
                at: at(seconds.parse().unwrap()),
                number: i64::try_from(number).unwrap(),
                code: code.to_owned(),
                into: Some(into.to_owned()).filter(|into| !into.is_empty()),
            });
        }
        endings
    }

    fn said(rows: &[Succession]) -> String {
        let row = |row: &Succession| {
            let until = row.until.map_or(String::new(), |until| until.timestamp().to_string());
            let successor = row.successor.clone().unwrap_or_default();
            format!("{} {}-{until} {successor}", row.code, row.from.timestamp())
        };
        rows.iter().map(row).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_stood_there_stands_in_the_successor_from_then_on() {
        for (told, expected) in [
            ("", ""),
            ("10 A>B", "A 10- B"),
            ("10 A>", "A 10- "),
            // Who had come from A goes on to C with B.
            ("10 A>B, 20 B>C", "A 10-20 B, A 20- C, B 20- C"),
            ("10 A>B, 20 B>", "A 10-20 B, A 20- , B 20- "),
            // B had ended when A came to it.
            ("20 A>B, 10 B>C", "A 20- C, B 10- C"),
            // At one instant the number decides what was first: A came to B, which then went to C.
            ("10 A>B, 10 B>C", "A 10- C, B 10- C"),
            ("10 B>C, 10 A>B", "A 10- C, B 10- C"),
            // What has ended does not end again.
            ("10 A>B, 20 A>C", "A 10- B"),
            ("20 A>C, 10 A>B", "A 10- B"),
            // Nothing comes to stand in what stands for it.
            ("10 A>B, 20 B>A", "A 10- B"),
            ("10 A>A", ""),
            (
                "10 A>B, 11 C>B, 12 B>D, 13 D>E",
                "A 10-12 B, A 12-13 D, A 13- E, B 12-13 D, B 13- E, C 11-12 B, \
              C 12-13 D, C 13- E, D 13- E",
            ),
        ] {
            assert_eq!(said(&successions(endings(told))), expected, "{told}");
        }
    }

    #[test]
    fn order_in_which_endings_become_known_decides_nothing() {
        let all = endings("30 A>B, 10 C>A, 20 B>D, 20 E>C, 40 D>");
        let expected = successions(all.clone());
        for turn in 0..all.len() {
            let mut told = all.clone();
            told.rotate_left(turn);
            assert_eq!(successions(told.clone()), expected);
            told.reverse();
            assert_eq!(successions(told), expected);
        }
    }

    #[test]
    fn successor_is_that_of_the_time() {
        let rows = successions(endings("10 A>B, 20 B>C, 30 C>"));
        let kind = PlaceKind::Class;
        let successors = Successors::new(rows.into_iter().map(|row| (kind, row)));
        for (code, seconds, expected) in [
            ("A", 9, Some("A")),
            ("A", 10, Some("B")),
            ("A", 20, Some("C")),
            ("A", 30, None),
            ("B", 19, Some("B")),
            ("C", 29, Some("C")),
            ("C", 31, None),
            ("X", 31, Some("X")),
        ] {
            assert_eq!(successors.at(kind, code, at(seconds)), expected, "{code} {seconds}");
        }
        assert_eq!(successors.at(PlaceKind::School, "A", at(99)), Some("A"), "a school of the same code");
        assert_eq!((successors.last(kind, "A"), successors.last(kind, "X")), (None, Some("X")));
        assert_eq!((successors.ended_at(kind, "B"), successors.ended_at(kind, "X")), (Some(at(20)), None));
        assert_eq!(successors.turns(kind, "A").collect::<Vec<_>>(), [at(10), at(20), at(30)]);
        assert!(!successors.is_empty() && Successors::default().is_empty());
    }

    #[test]
    fn kinds_are_read_by_their_words() {
        for kind in PlaceKind::ALL {
            assert_eq!(PlaceKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(PlaceKind::parse("county"), None);
    }
}
