//! Rows of rosters by table: one fault each, and none of them shown.

use super::*;

const GOOD: [&str; 10] = [
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
];

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2019, 7, 15).unwrap()
}

fn cells(changes: &[(&str, &str)]) -> Cells {
    let mut cells = GOOD.map(str::to_owned);
    for (column, value) in changes {
        let index = COLUMNS.iter().position(|name| name == column).unwrap();
        cells[index] = (*value).to_owned();
    }
    Cells { row: 2, cells }
}

fn known() -> Known {
    let regions =
        [("130300", RegionLevel::City), ("130302", RegionLevel::County), ("130303", RegionLevel::County)];
    Known {
        regions: regions.map(|(code, level)| (code.to_owned(), level)).into(),
        schools: [("130302S0", "130302"), ("130303S0", "130303")]
            .map(|(school, county)| (school.to_owned(), county.to_owned()))
            .into(),
        classes: ["L1".to_owned()].into(),
    }
}

fn fault(changes: &[(&str, &str)]) -> Option<(&'static str, ErrorReason)> {
    let row = cells(changes);
    let checked = read_row(&row, today()).and_then(|candidate| check_places(&candidate, &known()));
    let fault = checked.err()?;
    for cell in &row.cells {
        assert!(
            cell.len() < 12 || !fault.message.contains(cell.as_str()),
            "a cell is shown: {}",
            fault.message
        );
    }
    Some((fault.field, fault.reason))
}

#[test]
fn row_with_one_fault_is_refused_for_it() {
    use ErrorReason::{InvalidField, InvalidIdentityNumber, NotFound, TextTooLong};
    let long = "师".repeat(501);
    let cases: &[(&str, &str, ErrorReason)] = &[
        ("person_id", "", InvalidField),
        ("person_id", "张三", InvalidField),
        ("person_id", "130302198001010118", InvalidField),
        ("name", "a\0b", InvalidField),
        ("name", &long, TextTooLong),
        ("id_number", "", InvalidIdentityNumber),
        ("id_number", "130302198001010119", InvalidIdentityNumber),
        ("id_number", "130302198002300118", InvalidIdentityNumber),
        ("id_number", "13030219800101011", InvalidIdentityNumber),
        ("role", "", InvalidField),
        ("role", "teacher", InvalidField),
        ("county_code", "", InvalidField),
        ("county_code", "1303", InvalidField),
        ("county_code", "130399", NotFound),
        ("county_code", "130300", NotFound),
        ("school_code", "学校", InvalidField),
        ("education_stage", "", InvalidField),
        ("education_stage", "primary", InvalidField),
        ("subject", &long, TextTooLong),
        ("development_stage", "old", InvalidField),
        ("class_id", "L9", NotFound),
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
            let row = cells(&[("role", role.as_str()), ("class_id", class)]);
            assert_eq!(read_row(&row, today()).unwrap().place.class_id, "", "{role} {class}");
        }
    }
}

#[test]
fn odd_row_that_is_taken_is_pointed_out() {
    let read = |changes: &[(&str, &str)]| read_row(&cells(changes), today()).unwrap();
    let digest = [1; 32];
    let mut register = Register::default();
    register.add_holder([2; 32], "T09".to_owned());
    let found = |changes: &[(&str, &str)], register: &Register| -> Vec<(&'static str, String)> {
        let found = warnings(&read(changes), digest, &known(), register);
        found.into_iter().map(|warning| (warning.field, warning.message)).collect()
    };
    assert_eq!(found(&[], &register), []);
    assert_eq!(found(&[("school_code", "")], &register), []);
    for (school, part) in [("130302S9", "does not have this one"), ("130303S0", "in another county")] {
        let odd = found(&[("school_code", school)], &register);
        assert_eq!((odd.len(), odd[0].0), (1, "school_code"));
        assert!(odd[0].1.contains(part) && !odd[0].1.contains(school), "{}", odd[0].1);
    }
    for person_id in ["T01", "T07", "T03", "T05", "T04"] {
        register.add_holder(digest, person_id.to_owned());
    }
    let same_number = "T01 has the same identity number as T03, T04, T05".to_owned();
    assert_eq!(found(&[], &register), [("id_number", same_number)]);
    assert_eq!(found(&[("school_code", "130302S9")], &register).len(), 2);
}

#[test]
fn same_row_again_is_unchanged_and_another_is_named() {
    let read = |changes: &[(&str, &str)]| read_row(&cells(changes), today()).unwrap();
    let (digest, other_digest) = ([1; 32], [2; 32]);
    let mut register = Register::default();
    let mut enrolled = Enrolled::of(&read(&[]), digest);
    enrolled.place.class_id = "L2".to_owned();
    register.add("T01".to_owned(), enrolled);

    assert_eq!(judge(&read(&[]), digest, &register), Ok(Verdict::Same));
    assert_eq!(judge(&read(&[("class_id", "L2")]), digest, &register), Ok(Verdict::Same));
    assert_eq!(judge(&read(&[("person_id", "T02")]), other_digest, &register), Ok(Verdict::New));

    assert_eq!(judge(&read(&[("person_id", "T02")]), digest, &register), Ok(Verdict::New));
    let changed = judge(&read(&[("class_id", "L3"), ("name", "改名")]), other_digest, &register).unwrap_err();
    assert_eq!((changed.reason, changed.field), (ErrorReason::AlreadyExists, "person_id"));
    assert!(changed.message.ends_with("name, id_number, class_id"), "{}", changed.message);
}
