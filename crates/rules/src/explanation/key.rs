//! The items that a score has, by key. A key's word goes into files, events and answers and must never change; its title
//! is for people.

use std::fmt;
use std::str::FromStr;

use super::Text;
use crate::vocabulary::{EducationStage, OfflineItem};

/// What an item of a score is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKey {
    /// `login`: the first login of a county's trainees.
    Login,
    /// `phase_1` and so on: the entry at this index (from 0) of the scheme's online study.
    Phase(usize),
    /// `assignment`.
    Assignment,
    /// `seminar`: the class seminar.
    Seminar,
    /// `offline`: a trainee's offline score.
    Offline,
    /// `marking`.
    Marking,
    /// `bulletin_1` and so on, by the bulletin's own number.
    Bulletin(i64),
    /// `plan:compulsory` and so on: what a county does offline for an education stage.
    County(OfflineItem, EducationStage),
}

impl ItemKey {
    /// What it is called.
    pub fn title(self) -> Text {
        match self {
            Self::Login => Text::new("登录", "log-in"),
            Self::Phase(index) => {
                let number = index + 1;
                Text::new(format!("网络研修第{number}阶段"), format!("online study, phase {number}"))
            }
            Self::Assignment => Text::new("提交实践性作业", "practical assignment"),
            Self::Seminar => Text::new("班级研修活动", "class seminar"),
            Self::Offline => Text::new("线下研修活动", "offline activity"),
            Self::Marking => Text::new("批阅实践性作业", "marking of assignments"),
            Self::Bulletin(number) => {
                Text::new(format!("第{number}期班级简报"), format!("class bulletin {number}"))
            }
            Self::County(item, stage) => {
                let (item, stage) = (offline_title(item), stage_title(stage));
                Text::new(format!("{}（{}）", item.0, stage.0), format!("{} ({})", item.1, stage.1))
            }
        }
    }
}

fn offline_title(item: OfflineItem) -> (&'static str, &'static str) {
    match item {
        OfflineItem::Plan => ("线下研修活动方案", "offline plan"),
        OfflineItem::Activity => ("线下研修活动", "offline activity"),
        OfflineItem::Scoring => ("线下研修活动成绩评定", "scoring of the offline activity"),
        OfflineItem::Results => ("线下研修活动成果", "offline results"),
    }
}

fn stage_title(stage: EducationStage) -> (&'static str, &'static str) {
    match stage {
        EducationStage::Compulsory => ("义务教育", "compulsory education"),
        EducationStage::NonCompulsory => ("非义务教育", "non-compulsory education"),
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => formatter.write_str("login"),
            Self::Phase(index) => write!(formatter, "phase_{}", index + 1),
            Self::Assignment => formatter.write_str("assignment"),
            Self::Seminar => formatter.write_str("seminar"),
            Self::Offline => formatter.write_str("offline"),
            Self::Marking => formatter.write_str("marking"),
            Self::Bulletin(number) => write!(formatter, "bulletin_{number}"),
            Self::County(item, stage) => write!(formatter, "{item}:{stage}"),
        }
    }
}

/// A text that is no item's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such item")]
pub struct UnknownItem;

impl FromStr for ItemKey {
    type Err = UnknownItem;

    fn from_str(word: &str) -> Result<Self, UnknownItem> {
        let key = match word {
            "login" => Some(Self::Login),
            "assignment" => Some(Self::Assignment),
            "seminar" => Some(Self::Seminar),
            "offline" => Some(Self::Offline),
            "marking" => Some(Self::Marking),
            _ => numbered(word).or_else(|| of_county(word)),
        };
        // Only the one spelling: no sign, no leading zero.
        key.filter(|key| key.to_string() == word).ok_or(UnknownItem)
    }
}

fn numbered(word: &str) -> Option<ItemKey> {
    if let Some(number) = word.strip_prefix("phase_") {
        let number: usize = number.parse().ok()?;
        return number.checked_sub(1).map(ItemKey::Phase);
    }
    word.strip_prefix("bulletin_")?.parse().ok().map(ItemKey::Bulletin)
}

fn of_county(word: &str) -> Option<ItemKey> {
    let (item, stage) = word.split_once(':')?;
    Some(ItemKey::County(OfflineItem::parse(item)?, EducationStage::parse(stage)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_of_a_key_reads_back_and_its_title_has_both_languages() {
        for (key, word, zh, en) in [
            (ItemKey::Login, "login", "登录", "log-in"),
            (ItemKey::Phase(0), "phase_1", "网络研修第1阶段", "online study, phase 1"),
            (ItemKey::Phase(11), "phase_12", "网络研修第12阶段", "online study, phase 12"),
            (ItemKey::Assignment, "assignment", "提交实践性作业", "practical assignment"),
            (ItemKey::Seminar, "seminar", "班级研修活动", "class seminar"),
            (ItemKey::Offline, "offline", "线下研修活动", "offline activity"),
            (ItemKey::Marking, "marking", "批阅实践性作业", "marking of assignments"),
            (ItemKey::Bulletin(0), "bulletin_0", "第0期班级简报", "class bulletin 0"),
            (
                ItemKey::County(OfflineItem::Scoring, EducationStage::NonCompulsory),
                "scoring:non_compulsory",
                "线下研修活动成绩评定（非义务教育）",
                "scoring of the offline activity (non-compulsory education)",
            ),
            (
                ItemKey::County(OfflineItem::Results, EducationStage::Compulsory),
                "results:compulsory",
                "线下研修活动成果（义务教育）",
                "offline results (compulsory education)",
            ),
        ] {
            assert_eq!((key.to_string().as_str(), word.parse()), (word, Ok(key)));
            assert_eq!(key.title(), Text::new(zh, en));
        }
    }

    #[test]
    fn word_in_another_spelling_is_no_key() {
        for word in [
            "",
            "phase_0",
            "phase_01",
            "phase_+1",
            "phase_",
            "bulletin_-0",
            "bulletin_x",
            "plan",
            "plan:x",
            "x:compulsory",
            "Login",
        ] {
            assert_eq!(word.parse::<ItemKey>(), Err(UnknownItem), "{word}");
        }
    }
}
