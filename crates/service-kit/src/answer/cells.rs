//! What the cells of exported lists say, in Chinese as the templates of imports have it.

use chrono::{DateTime, FixedOffset};
use prost_types::Timestamp;
use shipei_contracts::common::v1::{BrokenRow, DevelopmentStage, EducationStage};

/// East of Greenwich, seconds: the one time of China.
const OFFSET_SECONDS: i32 = 8 * 3600;

/// What stands beside the key of a row that can't be read.
const UNREADABLE: &str = "【记录已损坏，无法读取】";

/// Rows that can't be read, by their keys: nobody and nothing is left out in silence.
pub fn broken(rows: Vec<BrokenRow>) -> impl Iterator<Item = Vec<String>> {
    rows.into_iter().map(|row| vec![row.key, UNREADABLE.to_owned()])
}

/// An education stage; empty for none.
pub fn education_stage(stage: EducationStage) -> String {
    let word = match stage {
        EducationStage::Compulsory => "义务教育",
        EducationStage::NonCompulsory => "非义务教育",
        EducationStage::Unspecified => "",
    };
    word.to_owned()
}

/// A development stage; empty for none.
pub fn development_stage(stage: DevelopmentStage) -> String {
    let word = match stage {
        DevelopmentStage::Novice => "新手",
        DevelopmentStage::Developing => "发展",
        DevelopmentStage::Proficient => "熟练",
        DevelopmentStage::Expert => "专家",
        DevelopmentStage::Unspecified => "",
    };
    word.to_owned()
}

/// Yes or no.
pub fn truth(is_so: bool) -> String {
    (if is_so { "是" } else { "否" }).to_owned()
}

/// Hundredths of a point as points: `9.50`.
pub fn points(hundredths: i32) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

/// An instant, to the microsecond where it has any: `2019-09-11 07:00:00+08:00`; empty for none.
pub fn instant(time: Option<Timestamp>) -> String {
    let nanos = |time: &Timestamp| u32::try_from(time.nanos).unwrap_or_default();
    let instant = time.and_then(|time| DateTime::from_timestamp(time.seconds, nanos(&time)));
    let Some((instant, offset)) = instant.zip(FixedOffset::east_opt(OFFSET_SECONDS)) else {
        return String::new();
    };
    instant.with_timezone(&offset).format("%Y-%m-%d %H:%M:%S%.f%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_points_are_written_for_people() {
        let at = |seconds, nanos| instant(Some(Timestamp { seconds, nanos }));
        assert_eq!(at(1_568_156_400, 0), "2019-09-11 07:00:00+08:00");
        assert_eq!(at(1_568_156_400, 500_000_000), "2019-09-11 07:00:00.500+08:00");
        assert_eq!(instant(None), "");
        assert_eq!([points(950), points(5), points(-150)], ["9.50", "0.05", "-1.50"]);
    }
}
