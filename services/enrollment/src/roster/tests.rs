//! Rows of rosters by table: all faults of each, and no cell shown.

use chrono::NaiveDate;
use shipei_rules::region::{RegionCode, RegionLevel};

use super::*;

const GOOD: [&str; WIDTH] = [
    "T01",
    "测试",
    "130302198001010118",
    "trainee",
    "130302",
    "130302S0",
    "compulsory",
    "语文",
    "novice",
    "L1",
    "",
];

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2019, 7, 15).unwrap()
}

fn cells(changes: &[(&str, &str)]) -> Cells {
    let mut cells = GOOD.map(str::to_owned);
    for (column, value) in changes {
        let index = COLUMNS.iter().position(|known| known.name == *column).unwrap();
        cells[index] = (*value).to_owned();
    }
    Cells { row: 2, cells, ..Cells::default() }
}

fn tree() -> Tree {
    let region = |code: &str, name: &str, level, parent: &str| TreeRegion {
        code: code.parse().unwrap(),
        name: name.to_owned(),
        level,
        parent_code: RegionCode::parse_optional(parent).unwrap(),
        is_closed: false,
    };
    Tree::new([
        region("130300", "秦皇岛市", RegionLevel::City, ""),
        region("130302", "海港区", RegionLevel::County, "130300"),
        region("130303", "山海关区", RegionLevel::County, "130300"),
    ])
}

fn known() -> Known {
    Known {
        schools: [("130302S0", "130302"), ("130303S0", "130303")]
            .map(|(school, county)| (school.parse().unwrap(), county.parse().unwrap()))
            .into(),
        classes: ["L1", "007"].map(|id| id.parse().unwrap()).into(),
        ..Known::default()
    }
}

fn read(changes: &[(&str, &str)]) -> Candidate {
    read_row(&cells(changes), &tree(), today()).unwrap()
}

/// Everything that is wrong with a row, none of which shows a cell.
fn faults(changes: &[(&str, &str)]) -> Vec<Fault> {
    let row = cells(changes);
    let faults = match read_row(&row, &tree(), today()) {
        Ok(candidate) => check_places(&candidate, &tree(), &known()),
        Err(faults) => faults,
    };
    for fault in &faults {
        assert!(!fault.en.is_empty() && !fault.zh.is_ascii(), "{fault:?}");
        for cell in row.cells.iter().filter(|cell| cell.len() >= 12) {
            assert!(!fault.en.contains(cell.as_str()) && !fault.zh.contains(cell.as_str()), "{fault:?}");
        }
    }
    faults
}

fn fault(changes: &[(&str, &str)]) -> Option<(&'static str, ErrorReason)> {
    let faults = faults(changes);
    assert!(faults.len() <= 1, "{faults:?}");
    faults.first().map(|fault| (fault.field, fault.reason))
}

#[test]
fn row_with_one_fault_is_refused_for_it() {
    use ErrorReason::{InvalidField, InvalidIdentityNumber, NotFound, TextTooLong};
    let long = "师".repeat(501);
    let cases: &[(&str, &str, ErrorReason)] = &[
        ("person_id", "", InvalidField),
        ("person_id", "张三", InvalidField),
        ("person_id", "130302198001010118", InvalidField),
        ("person_id", "T130302198001010118", InvalidField),
        ("person_id", "T\u{200B}01", InvalidField),
        ("person_id", "3月1日", InvalidField),
        ("person_id", "1.3E+17", InvalidField),
        ("name", "a\0b", InvalidField),
        ("name", "张三\n李四", InvalidField),
        ("name", "张三\u{202E}李四", InvalidField),
        ("name", "张三 130302 19800101 0119", InvalidField),
        ("name", "张\u{E000}", InvalidField),
        ("subject", "语文（１３０３０２１９８００１０１０１１８）", InvalidField),
        ("school_code", "130302198001010118", InvalidField),
        ("class_id", "130302198001010118", InvalidField),
        ("same_person_as", "张三", InvalidField),
        ("name", &long, TextTooLong),
        ("id_number", "", InvalidIdentityNumber),
        ("id_number", "130302198001010119", InvalidIdentityNumber),
        ("id_number", "130302198002300118", InvalidIdentityNumber),
        ("id_number", "13030219800101011", InvalidIdentityNumber),
        ("id_number", "1.30302E+17", InvalidIdentityNumber),
        ("id_number", "130302198001010000", InvalidIdentityNumber),
        ("id_number", "130302800101011", InvalidIdentityNumber),
        ("role", "", InvalidField),
        ("role", "teacher", InvalidField),
        ("county_code", "", InvalidField),
        ("county_code", "1303", InvalidField),
        ("county_code", "130399", NotFound),
        ("county_code", "130300", NotFound),
        ("county_code", "秦皇岛市", NotFound),
        ("county_code", "桥西区", NotFound),
        ("school_code", "学校", InvalidField),
        ("education_stage", "", InvalidField),
        ("education_stage", "primary", InvalidField),
        ("subject", &long, TextTooLong),
        ("development_stage", "old", InvalidField),
        ("class_id", "L9", NotFound),
        ("class_id", "7", NotFound),
        ("class_id", "L 9", InvalidField),
    ];
    for (column, value, reason) in cases {
        assert_eq!(fault(&[(column, value)]), Some((*column, *reason)), "{column}");
    }
    assert_eq!(fault(&[]), None);
    assert_eq!(fault(&[("name", "")]), None);
    assert_eq!(fault(&[("school_code", "130302S9")]), None);
    assert_eq!(fault(&[("school_code", "130303S0")]), None);
    assert_eq!(
        fault(&[("school_code", ""), ("class_id", ""), ("subject", ""), ("development_stage", "")]),
        None
    );
}

#[test]
fn all_faults_of_a_row_are_named_at_once() {
    let found = faults(&[
        ("person_id", ""),
        ("id_number", "1"),
        ("role", "教师长"),
        ("education_stage", "小学"),
        ("name", "a\nb"),
    ]);
    let fields: Vec<&str> = found.iter().map(|fault| fault.field).collect();
    assert_eq!(fields, ["person_id", "name", "id_number", "role", "education_stage"]);
    let found = faults(&[("county_code", "130399"), ("class_id", "L9")]);
    assert_eq!(found.len(), 2);
}

#[test]
fn what_a_spreadsheet_ruined_is_named_as_that() {
    for (column, value, part) in [
        ("id_number", "1.30302E+17", "rounded"),
        ("id_number", "130302198001010000", "rounded"),
        ("id_number", "130302800101011", "15 digits"),
        ("person_id", "1.3E+17", "rounded"),
        ("class_id", "3月1日", "date"),
        ("class_id", "7", "zeros"),
        ("school_code", "#N/A", "error"),
    ] {
        let found = faults(&[(column, value)]);
        assert_eq!((found.len(), found[0].field), (1, column), "{column} {value}");
        assert!(found[0].en.contains(part), "{}", found[0].en);
    }
    let mut rounded = cells(&[]);
    rounded.ruins[at::ID_NUMBER] = Some(Ruin::Rounded);
    let found = read_row(&rounded, &tree(), today()).unwrap_err();
    assert_eq!((found.len(), found[0].reason), (1, ErrorReason::InvalidIdentityNumber));
}

#[test]
fn row_is_understood_however_it_is_written() {
    let plain = read(&[]);
    for changes in [
        &[("person_id", "'T01"), ("id_number", "\u{FEFF}130302198001010118")][..],
        &[
            ("person_id", "Ｔ０１"),
            ("id_number", "１３０３０２１９８００１０１０１１８"),
            ("school_code", "１３０３０２Ｓ０"),
        ],
        &[
            ("person_id", "T01\u{200B}"),
            ("id_number", "130302 19800101 0118"),
            ("county_code", "\u{202D}130302"),
        ],
        &[
            ("role", "参训教师"),
            ("education_stage", "义务教育"),
            ("development_stage", "新手"),
            ("county_code", "海港区"),
        ],
        &[
            ("role", "Trainee"),
            ("education_stage", "COMPULSORY"),
            ("county_code", "秦皇岛市海港区"),
            ("class_id", " L1\u{A0}"),
        ],
        &[("name", " 测\u{200B}试\u{3000}"), ("subject", "语文\u{FEFF}")],
    ] {
        assert_eq!(read(changes), plain, "{changes:?}");
    }
    let capital = read(&[("id_number", "13030219800101109X")]).identity_number;
    for number in ["13030219800101109x", "13030219800101109×", "13030219800101109Ⅹ"] {
        assert_eq!(read(&[("id_number", number)]).identity_number, capital, "{number}");
    }
}

#[test]
fn nobody_is_born_tomorrow() {
    let number = shipei_rules::identity_number::complete("13030220190716011").unwrap();
    let found = fault(&[("id_number", number.reveal())]);
    assert_eq!(found, Some(("id_number", ErrorReason::InvalidIdentityNumber)));
}

#[test]
fn region_is_that_of_the_role() {
    let without = [("school_code", ""), ("class_id", ""), ("education_stage", "")];
    for (role, county, refused) in [
        ("class_tutor", "130302", false),
        ("class_tutor", "", false),
        ("county_counselor", "130302", false),
        ("county_counselor", "", true),
        ("county_counselor", "130300", true),
        ("municipal_lead", "130300", false),
        ("municipal_lead", "130302", true),
        ("subject_expert", "", false),
        ("training_institution", "", false),
    ] {
        let changes = [&without[..], &[("role", role), ("county_code", county)]].concat();
        assert_eq!(fault(&changes).is_some(), refused, "{role} {county}");
    }
}

#[test]
fn class_of_somebody_who_is_no_trainee_is_ignored() {
    for role in Role::ALL.iter().filter(|role| **role != Role::Trainee) {
        for class in ["L1", "L9", "一班"] {
            let candidate = read(
                &[("role", role.as_str()), ("class_id", class), ("county_code", ""), ("school_code", "")]
                    .map(|change| match change {
                        ("county_code", _) if *role == Role::MunicipalLead => ("county_code", "130300"),
                        ("county_code", _) => ("county_code", "130302"),
                        other => other,
                    }),
            );
            assert_eq!(candidate.place.class_id, None, "{role} {class}");
        }
    }
}

#[test]
fn odd_row_that_is_taken_is_pointed_out() {
    let digest = [1; 32];
    let mut register = Register::default();
    let holder = || Holder::new(Role::Trainee, "别人");
    register.add_holder([2; 32], "T09".parse().unwrap(), holder());
    let found = |changes: &[(&str, &str)], register: &Register| -> Vec<(&'static str, String)> {
        let found = warnings(&read(changes), digest, &known(), register);
        found.into_iter().map(|warning| (warning.field, warning.en)).collect()
    };
    assert_eq!(found(&[], &register), []);
    assert_eq!(found(&[("school_code", "")], &register), []);
    for (school, part) in [("130302S9", "does not have this one"), ("130303S0", "in another county")] {
        let odd = found(&[("school_code", school)], &register);
        assert_eq!((odd.len(), odd[0].0), (1, "school_code"));
        assert!(odd[0].1.contains(part) && !odd[0].1.contains(school), "{}", odd[0].1);
    }
    for person_id in ["T01", "T07", "T03", "T05", "T04"] {
        register.add_holder(digest, person_id.parse().unwrap(), holder());
    }
    let same_number = "T01 has the same identity number as T03, T04, T05".to_owned();
    assert_eq!(found(&[], &register), [("id_number", same_number)]);
    assert_eq!(found(&[("school_code", "130302S9")], &register).len(), 2);
    let lost = found(&[("name", "张?")], &Register::default());
    assert_eq!((lost.len(), lost[0].0), (1, "name"));
    // A check digit that is right by accident.
    let round = shipei_rules::identity_number::complete("13030219800101700").unwrap();
    assert_eq!(
        round.reveal().ends_with("000"),
        !found(&[("id_number", round.reveal())], &Register::default()).is_empty()
    );
}

#[test]
fn same_person_under_two_ids_of_one_role_is_refused_unless_the_row_says_so() {
    let digest = [1; 32];
    let mut register = Register::default();
    register.add("T01".parse().unwrap(), Enrolled::of(&read(&[]), digest, None));
    let again = |changes: &[(&str, &str)]| {
        let changes = [&[("person_id", "T02")], changes].concat();
        judge(&read(&changes), digest, &register)
    };
    let refused = again(&[]).unwrap_err();
    assert_eq!((refused.reason, refused.field), (ErrorReason::AlreadyExists, "id_number"));
    assert!(refused.en.contains("T01") && refused.zh.contains("T01"));
    assert!(again(&[("name", "测 试")]).is_err() && again(&[("same_person_as", "T09")]).is_err());
    assert_eq!(again(&[("same_person_as", "T01")]), Ok(Verdict::New));
    assert_eq!(again(&[("name", "改名")]), Ok(Verdict::New));
    assert_eq!(again(&[("role", "class_tutor")]), Ok(Verdict::New));
}

#[test]
fn same_row_again_is_unchanged_and_another_is_named() {
    let (digest, other_digest) = ([1; 32], [2; 32]);
    let mut register = Register::default();
    let mut enrolled = Enrolled::of(&read(&[]), digest, None);
    enrolled.place.class_id = Some("L2".parse().unwrap());
    register.add("T01".parse().unwrap(), enrolled);

    assert_eq!(judge(&read(&[]), digest, &register), Ok(Verdict::Same));
    assert_eq!(judge(&read(&[("class_id", "L2")]), digest, &register), Ok(Verdict::Same));
    assert_eq!(judge(&read(&[("person_id", "T02")]), other_digest, &register), Ok(Verdict::New));

    assert_eq!(judge(&read(&[("name", "测　试")]), digest, &register), Ok(Verdict::Same));
    let changed = judge(&read(&[("class_id", "L3"), ("name", "改名")]), other_digest, &register).unwrap_err();
    assert_eq!((changed.reason, changed.field), (ErrorReason::AlreadyExists, "person_id"));
    assert!(changed.en.ends_with("name, id_number, class_id"), "{}", changed.en);
}

#[test]
fn who_was_removed_is_not_taken_again_and_holds_no_number() {
    let digest = [1; 32];
    let mut register = Register::default();
    register
        .add("T01".parse().unwrap(), Enrolled { is_there: false, ..Enrolled::of(&read(&[]), digest, None) });
    let refused = judge(&read(&[]), digest, &register).unwrap_err();
    assert_eq!((refused.reason, refused.field), (ErrorReason::AlreadyExists, "person_id"));
    assert!(refused.zh.contains("移除"));
    assert_eq!(judge(&read(&[("person_id", "T02")]), digest, &register), Ok(Verdict::New));
    assert_eq!(warnings(&read(&[("person_id", "T02")]), digest, &known(), &register), []);
}

#[test]
fn who_was_put_right_is_the_same_in_the_old_roster_and_in_a_new_one() {
    let (digest, other_digest) = ([1; 32], [2; 32]);
    let mut register = Register::default();
    let mut enrolled = Enrolled::of(&read(&[]), digest, None);
    let new = [("name", "改名"), ("subject", "数学"), ("development_stage", "expert")];
    let now = Enrolled::of(&read(&new), other_digest, None).written;
    enrolled.before_corrections = Some(std::mem::replace(&mut enrolled.written, now));
    register.add("T01".parse().unwrap(), enrolled);

    assert_eq!(judge(&read(&[]), digest, &register), Ok(Verdict::Same));
    assert_eq!(judge(&read(&new), other_digest, &register), Ok(Verdict::Same));
    let third = judge(&read(&[("name", "又改")]), [3; 32], &register).unwrap_err();
    assert!(third.en.ends_with("name, id_number"), "{}", third.en);
}
