//! A code verifies as it was made and in no other way.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::NaiveDate;
use proptest::prelude::*;
use shipei_certificates::{
    Certificate, CodeError, Grounds, Hash, Number, PublicKey, SigningKey, version::FinalVersion,
};
use shipei_rules::{ids::ProgrammeId, region::RegionCode};

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32]).unwrap()
}

fn certificate() -> Certificate {
    Certificate {
        number: "qinhuangdao-2019-130302-000123".parse().unwrap(),
        name: "𬱟䶮".to_owned(),
        school: "秦皇岛市海港区文化里小学".to_owned(),
        county: "海港区".to_owned(),
        programme_title: "秦皇岛市2019年中小学校及幼儿园教师全员远程培训".to_owned(),
        year: 2019,
        education_stage: "义务教育".to_owned(),
        subject: "数学".to_owned(),
        credit_hours: None,
        total: 86,
        issued_on: NaiveDate::from_ymd_opt(2019, 12, 28).unwrap(),
        grounds: Grounds { version: 1, leaf_index: 4_711, leaf: Hash([3; 32]), root: Hash([9; 32]) },
    }
}

#[test]
fn a_code_gives_every_field_back_and_fits_a_qr_code() {
    let code = key().code(&certificate()).unwrap();
    assert_eq!(key().public().verify(&code), Ok(certificate()));
    // Version 22 of a QR code with 15% of correction has room for 779 characters.
    assert!(code.len() < 560, "{}", code.len());
    let published: PublicKey = key().public().to_string().parse().unwrap();
    assert_eq!(published, key().public());
}

#[test]
fn each_changed_field_is_another_text_that_was_not_signed() {
    let original = certificate();
    let signature = {
        let code = URL_SAFE_NO_PAD.decode(key().code(&original).unwrap()).unwrap();
        code[code.len() - 64..].to_vec()
    };
    let changes: [fn(&mut Certificate); 15] = [
        |it| it.number.serial = 124,
        |it| it.number.county_code = RegionCode::parse("130303").unwrap(),
        |it| it.number.programme_id = ProgrammeId::parse("qinhuangdao-2018").unwrap(),
        |it| it.name = "䶮𬱟".to_owned(),
        |it| std::mem::swap(&mut it.school, &mut it.county),
        |it| std::mem::swap(&mut it.education_stage, &mut it.subject),
        |it| it.programme_title.push(' '),
        |it| it.year = 2018,
        |it| it.credit_hours = Some(0),
        |it| it.total = 87,
        |it| it.issued_on = it.issued_on.succ_opt().unwrap(),
        |it| it.grounds.version = 2,
        |it| it.grounds.leaf_index = 4_712,
        |it| it.grounds.leaf.0[31] ^= 1,
        |it| it.grounds.root.0[0] ^= 1,
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut changed = original.clone();
        change(&mut changed);
        let mut bytes = vec![1];
        bytes.extend(key().public().id());
        bytes.extend(changed.to_bytes().unwrap());
        bytes.extend(&signature);
        let verified = key().public().verify(&URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(verified, Err(CodeError::Signature), "change {at}");
    }
}

#[test]
fn another_key_and_no_code_are_told_apart() {
    let code = key().code(&certificate()).unwrap();
    let other = SigningKey::from_seed(&[8; 32]).unwrap().public();
    assert_eq!(other.verify(&code), Err(CodeError::OtherKey));
    for text in ["", "A", "not a code", "AQ", &"A".repeat(20_000)] {
        assert_eq!(key().public().verify(text), Err(CodeError::Malformed), "{text:.20}");
    }
}

#[test]
fn a_signature_of_one_kind_is_none_of_another() {
    let signature = key().sign("version", b"x");
    assert!(key().public().holds("version", b"x", &signature));
    assert!(!key().public().holds("certificate", b"x", &signature));
    assert!(!key().public().holds("version", b"y", &signature));
}

#[test]
fn a_version_is_signed_with_all_that_it_says() {
    let version = FinalVersion {
        programme_id: "qinhuangdao-2019".parse().unwrap(),
        number: 1,
        as_of: "2019-12-30T16:00:00Z".parse().unwrap(),
        scheme_version: 1,
        scores: 39_000,
        scores_digest: "ab".repeat(32),
        root: Hash([9; 32]),
    };
    let (signature, public) = (version.sign(&key()), key().public());
    assert!(version.is_signed(&public, &signature));
    let changes: [fn(&mut FinalVersion); 7] = [
        |it| it.programme_id = "qinhuangdao-2018".parse().unwrap(),
        |it| it.number = 2,
        |it| it.as_of = "2019-12-30T16:00:01Z".parse().unwrap(),
        |it| it.scheme_version = 2,
        |it| it.scores -= 1,
        |it| it.scores_digest = "ac".repeat(32),
        |it| it.root.0[0] ^= 1,
    ];
    for change in changes {
        let mut changed = version.clone();
        change(&mut changed);
        assert!(!changed.is_signed(&public, &signature), "{changed:?}");
    }
}

#[test]
fn a_number_is_written_in_one_way() {
    let number: Number = "a-b-130302-000001".parse().unwrap();
    assert_eq!((number.programme_id.as_str(), number.serial), ("a-b", 1));
    for text in [
        "",
        "a-130302-1",
        "a-130302-0000001",
        "a-130302-000000",
        "a-13030-000001",
        "130302-000001",
        "a b-130302-000001",
    ] {
        assert!(text.parse::<Number>().is_err(), "{text}");
    }
    let many: Number = "a-130302-1234567".parse().unwrap();
    assert_eq!(many.serial, 1_234_567);
}

proptest! {
    #[test]
    fn a_code_with_any_byte_changed_does_not_verify(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let code = key().code(&certificate()).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&code).unwrap();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(key().public().verify(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = key().public().verify(&URL_SAFE_NO_PAD.encode(&bytes));
        let _ = Certificate::from_bytes(&bytes);
    }

    #[test]
    fn any_fields_come_back(name in "\\PC{0,90}", school in "\\PC{0,60}", total in any::<i32>(), hours in any::<Option<u32>>()) {
        let it = Certificate { name, school, total, credit_hours: hours, ..certificate() };
        let code = key().code(&it).unwrap();
        prop_assert_eq!(key().public().verify(&code), Ok(it));
    }
}
