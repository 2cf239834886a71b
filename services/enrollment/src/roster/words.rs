//! The words of a roster: its columns and what may stand in them, in English and as offices write it in Chinese.

use icu_normalizer::ComposingNormalizerBorrowed;
use shipei_rules::vocabulary::{DevelopmentStage, EducationStage, Role};
use shipei_tables::{Choices, Column};

/// How many columns a roster may have.
pub(crate) const WIDTH: usize = 11;

/// Places of the columns in [`COLUMNS`].
pub(crate) mod at {
    pub(crate) const PERSON_ID: usize = 0;
    pub(crate) const NAME: usize = 1;
    pub(crate) const ID_NUMBER: usize = 2;
    pub(crate) const ROLE: usize = 3;
    pub(crate) const COUNTY: usize = 4;
    pub(crate) const SCHOOL: usize = 5;
    pub(crate) const EDUCATION_STAGE: usize = 6;
    pub(crate) const SUBJECT: usize = 7;
    pub(crate) const DEVELOPMENT_STAGE: usize = 8;
    pub(crate) const CLASS: usize = 9;
    pub(crate) const SAME_PERSON_AS: usize = 10;
}

const fn code(name: &'static str, zh: &'static [&'static str]) -> Column {
    Column { name, zh, required: true, is_code: true }
}

/// The columns of a roster file.
pub const COLUMNS: [Column; WIDTH] = [
    code("person_id", &["人员编号", "编号", "学员编号", "用户编号", "教师编号", "人员ID", "ID"]),
    Column { is_code: false, ..code("name", &["姓名", "教师姓名", "学员姓名", "名字"]) },
    code(
        "id_number",
        &["身份证号", "身份证号码", "公民身份号码", "身份证", "证件号码", "居民身份证号", "身份证件号"],
    ),
    code("role", &["角色", "人员类别", "身份", "类别", "人员身份"]),
    code(
        "county_code",
        &[
            "县区代码",
            "县区",
            "区县",
            "所属县区",
            "所在县区",
            "县(市、区)",
            "county",
            "区县代码",
            "行政区划代码",
            "所属区县",
        ],
    ),
    code("school_code", &["学校代码", "学校编号", "学校编码", "单位代码", "school"]),
    code("education_stage", &["教育阶段", "学段", "教育类别", "stage"]),
    Column { is_code: false, ..code("subject", &["学科", "任教学科", "科目", "所教学科"]) },
    code("development_stage", &["发展阶段", "教师发展阶段"]),
    code("class_id", &["班级编号", "班级", "班级代码", "所在班级", "班级ID", "class"]),
    Column {
        required: false, ..code("same_person_as", &["同一人编号", "同一人", "与何人为同一人", "计入"])
    },
];

/// What two ways to write a word have in common.
fn key(word: &str) -> String {
    let word = ComposingNormalizerBorrowed::new_nfkc().normalize(word);
    word.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn find<T: Copy>(
    word: &str,
    all: &[T],
    english: impl Fn(T) -> &'static str,
    chinese: &[(&str, T)],
) -> Option<T> {
    let wanted = key(word);
    let in_english = all.iter().copied().find(|value| key(english(*value)) == wanted);
    in_english.or_else(|| chinese.iter().find(|(zh, _)| key(zh) == wanted).map(|(_, value)| *value))
}

/// A role by its word.
pub(crate) fn role(word: &str) -> Option<Role> {
    let chinese = [
        ("参训教师", Role::Trainee),
        ("教师", Role::Trainee),
        ("学员", Role::Trainee),
        ("参训学员", Role::Trainee),
        ("班级辅导教师", Role::ClassTutor),
        ("辅导教师", Role::ClassTutor),
        ("班级辅导老师", Role::ClassTutor),
        ("班级辅导员", Role::ClassTutor),
        ("县区辅导员", Role::CountyCounselor),
        ("区县辅导员", Role::CountyCounselor),
        ("县辅导员", Role::CountyCounselor),
        ("县级辅导员", Role::CountyCounselor),
        ("县市区辅导员", Role::CountyCounselor),
        ("省级专家团队", Role::SubjectExpert),
        ("省级专家", Role::SubjectExpert),
        ("学科专家", Role::SubjectExpert),
        ("市级负责人", Role::MunicipalLead),
        ("远程培训机构", Role::TrainingInstitution),
        ("承培机构", Role::TrainingInstitution),
        ("培训机构", Role::TrainingInstitution),
    ];
    find(word, Role::ALL, Role::as_str, &chinese)
}

/// An education stage by its word.
pub(crate) fn education_stage(word: &str) -> Option<EducationStage> {
    let chinese = [
        ("义务教育", EducationStage::Compulsory),
        ("义务教育阶段", EducationStage::Compulsory),
        ("非义务教育", EducationStage::NonCompulsory),
        ("非义务教育阶段", EducationStage::NonCompulsory),
    ];
    find(word, EducationStage::ALL, EducationStage::as_str, &chinese)
}

/// A development stage by its word.
pub(crate) fn development_stage(word: &str) -> Option<DevelopmentStage> {
    let chinese = [
        ("新手", DevelopmentStage::Novice),
        ("新手型", DevelopmentStage::Novice),
        ("新教师", DevelopmentStage::Novice),
        ("新任教师", DevelopmentStage::Novice),
        ("发展", DevelopmentStage::Developing),
        ("发展型", DevelopmentStage::Developing),
        ("发展中", DevelopmentStage::Developing),
        ("熟练", DevelopmentStage::Proficient),
        ("熟练型", DevelopmentStage::Proficient),
        ("成熟", DevelopmentStage::Proficient),
        ("成熟型", DevelopmentStage::Proficient),
        ("专家", DevelopmentStage::Expert),
        ("专家型", DevelopmentStage::Expert),
    ];
    find(word, DevelopmentStage::ALL, DevelopmentStage::as_str, &chinese)
}

/// The names of roles in Chinese, for messages and drop-downs.
pub(crate) const ROLES_ZH: [&str; 6] =
    ["参训教师", "班级辅导教师", "县区辅导员", "省级专家团队", "市级负责人", "远程培训机构"];

/// What a template says of each column. `counties` are what may be chosen as a county.
pub(crate) fn template_columns(counties: Vec<String>) -> Vec<(Column, Choices)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let meanings: [(&str, &str, Vec<String>); WIDTH] = [
        (
            "编号：字母、数字和 - _ . :，最多 64 个；不得用身份证号 / an id of letters, digits and - _ . :",
            "T000001",
            vec![],
        ),
        ("姓名 / name", "张三", vec![]),
        ("18 位身份证号，单元格须为文本格式 / 18 characters, the cell formatted as text", "", vec![]),
        ("角色 / role", "参训教师", words(&ROLES_ZH)),
        (
            "县区代码或名称；市级负责人填所在市 / county, by code or name; of a municipal lead the city",
            "130302",
            counties,
        ),
        ("参训教师所在学校的代码 / a trainee's school", "130302S001", vec![]),
        ("参训教师必填 / required of a trainee", "义务教育", words(&["义务教育", "非义务教育"])),
        ("任教或负责的学科，多个用、分隔 / the subjects taught or led, with 、 between them", "语文", vec![]),
        ("教师发展阶段 / stage of development", "熟练", words(&["新手", "发展", "熟练", "专家"])),
        ("参训教师所在班级 / a trainee's class", "L0001", vec![]),
        (
            "同一个人以同一角色登记两次时，填另一编号以确认 / the other id, when one person is meant to be there twice",
            "",
            vec![],
        ),
    ];
    let explained = meanings.into_iter().map(|(meaning, example, words)| Choices {
        meaning: meaning.to_owned(),
        example: example.to_owned(),
        words,
    });
    COLUMNS.into_iter().zip(explained).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_known_in_both_languages_and_any_case() {
        for word in ["trainee", "Trainee", "参训教师", " 参训教师 ", "ＴＲＡＩＮＥＥ"] {
            assert_eq!(role(word), Some(Role::Trainee), "{word}");
        }
        assert_eq!(role("县(区)辅导员"), Some(Role::CountyCounselor));
        assert_eq!(role("Class Tutor"), Some(Role::ClassTutor));
        assert_eq!(role("校长"), None);
        assert_eq!(role(""), None);
        assert_eq!(education_stage("非义务教育"), Some(EducationStage::NonCompulsory));
        assert_eq!(education_stage("Non-Compulsory"), Some(EducationStage::NonCompulsory));
        assert_eq!(development_stage("PROFICIENT"), Some(DevelopmentStage::Proficient));
        for (zh, expected) in ROLES_ZH.iter().zip(Role::ALL) {
            assert_eq!(role(zh), Some(*expected), "{zh}");
        }
    }
}
