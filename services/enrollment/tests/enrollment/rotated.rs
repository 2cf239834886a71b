//! The installation's key is changed while people are enrolled, shown and found; numbers are sealed by either algorithm.

use std::{fs, path::Path};

use shipei_contracts::{
    enrollment::v1 as pb,
    event::v1::{
        CountWrappedKeysRequest, CountWrappedKeysResponse, RewrapKeysRequest,
        key_service_client::KeyServiceClient,
    },
};
use shipei_enrollment::{NAME, migrations};
use shipei_service_kit::testing::TestKit;
use shipei_store::{
    crypto::{Cipher, Keys, add_key, drop_older_keys},
    fetch_all, fetch_one,
    testing::TestDatabase,
};

use crate::world::{PROGRAMME, World, id_number, reason, row};

/// More than one transaction wraps anew.
const MANY: u32 = 2_100;

async fn number_of(world: &World, person_id: &str) -> String {
    let asked =
        pb::UnmaskPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: person_id.to_owned() };
    world.people().unmask_person(asked).await.unwrap().into_inner().identity_number
}

async fn found(world: &World, number: &str) -> Vec<String> {
    let asked = pb::FindPersonsRequest {
        programme_id: PROGRAMME.to_owned(),
        id_number: number.to_owned(),
        ..Default::default()
    };
    let found = world.people().find_persons(asked).await.unwrap().into_inner().persons;
    found.into_iter().map(|person| person.person_id).collect()
}

async fn counted(world: &World) -> CountWrappedKeysResponse {
    let asked = CountWrappedKeysRequest { source: NAME.to_owned() };
    KeyServiceClient::new(world.channel.clone()).count_wrapped_keys(asked).await.unwrap().into_inner()
}

async fn rewrap(world: &World, key_id: &str) -> i64 {
    let mut client = KeyServiceClient::new(world.channel.clone());
    let (mut rewrapped, mut page_token) = (0, String::new());
    loop {
        let asked = RewrapKeysRequest {
            source: NAME.to_owned(),
            key_id: key_id.to_owned(),
            page_token: page_token.clone(),
        };
        let answer = client.rewrap_keys(asked).await.unwrap().into_inner();
        rewrapped += answer.rewrapped;
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return rewrapped;
        }
    }
}

fn correct_number(person: &str, serial: u32) -> pb::CorrectPersonRequest {
    pb::CorrectPersonRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person.to_owned(),
        id_number: Some(id_number(serial)),
        reason: "录入错误".to_owned(),
        ..Default::default()
    }
}

async fn key_is_changed_while_people_come(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shipei.key");
    let (keys, _) = Keys::load_or_create(&file).unwrap();
    let kit = TestKit::with_keys(database, NAME, &migrations(), &keys).await;
    let world = World::over(kit).await;
    world.with_people().await;
    let many: Vec<_> = (0..MANY)
        .map(|number| row(1_000 + number, &format!("N{number:04}"), "trainee", "130302", "S2A", "L1"))
        .collect();
    world.import_rows(many, false).await.unwrap();
    world.people().correct_person(correct_number("T1", 900)).await.unwrap();
    let old = counted(&world).await;
    // Everybody has a key, whatever their roles, and the database has one.
    assert_eq!(old.wrapped.len(), 1);
    assert_eq!((old.wrapped[0].count, &old.wrapped[0].key_id), (i64::from(MANY) + 11, &old.current_key_id));
    let list =
        pb::ListPeopleRequest { programme_id: PROGRAMME.to_owned(), page_size: 5, ..Default::default() };
    let page = world.people().list_people(list.clone()).await.unwrap().into_inner();

    add_key(&file).unwrap();
    let other = Keys::load(&file).unwrap().unwrap();
    let new = other.ids()[0].clone();
    let nobodys = RewrapKeysRequest { source: NAME.to_owned(), key_id: "0".to_owned(), ..Default::default() };
    let mut client = KeyServiceClient::new(world.channel.clone());
    assert_eq!(reason(client.rewrap_keys(nobodys).await), "NOT_CAUGHT_UP");
    // Who is asked to wrap by it looks into the file. What comes meanwhile is wrapped by it too.
    let piece = RewrapKeysRequest { source: NAME.to_owned(), key_id: new.clone(), ..Default::default() };
    let first = client.rewrap_keys(piece).await.unwrap().into_inner();
    assert!(first.rewrapped == 2_001 && !first.next_page_token.is_empty());
    let late = row(5_000, "T4", "trainee", "130302", "S2A", "L1");
    let again = row(5_001, "U1", "trainee", "130302", "S2A", "L1");
    let again = pb::RosterRow { id_number: id_number(4), ..again };
    assert_eq!(world.import_rows(vec![late, again], false).await.unwrap().created, 2);
    // It was broken off; the rest is done, and once more nothing.
    assert_eq!(rewrap(&world, &new).await, i64::from(MANY) + 11 - 2_001);
    assert_eq!(rewrap(&world, &new).await, 0);
    let now = counted(&world).await;
    assert_eq!((now.wrapped.len(), now.wrapped[0].count), (1, i64::from(MANY) + 12));
    assert!(now.wrapped[0].key_id == new && now.current_key_id == new);
    // A page token that the old key made is taken.
    let next = pb::ListPeopleRequest { page_token: page.next_page_token, ..list };
    assert_eq!(world.people().list_people(next).await.unwrap().into_inner().people.len(), 5);

    drop_older_keys(&file, &[]).unwrap();
    keys.look().unwrap();
    for (person, serial) in
        [("T1", 900), ("T2", 12), ("T4", 5_000), ("U1", 4), ("N0000", 1_000), ("N2099", 3_099)]
    {
        assert_eq!(number_of(&world, person).await, id_number(serial), "{person}");
        assert!(found(&world, &id_number(serial)).await.contains(&person.to_owned()), "{person}");
    }
    // The old number of who was corrected stays sealed, and comes back with a retraction only.
    assert!(found(&world, &id_number(11)).await.is_empty());
    let rows = fetch_all!(
        world.kit.kit.database().begin_read().await.unwrap(),
        (Vec<u8>,),
        "SELECT sealed_identity_number FROM person LIMIT 10000"
    );
    assert!(rows.unwrap().iter().all(|(sealed,)| sealed[0] == 1));
    nothing_is_in_its_files(&world, &[id_number(11), id_number(900), id_number(5_000)]);
}

/// The files of a database on SQLite hold no number, sealed or not.
fn nothing_is_in_its_files(world: &World, numbers: &[String]) {
    let Some(file) = world.kit.database.url().strip_prefix("sqlite:") else { return };
    let file = Path::new(file.split('?').next().unwrap_or(file));
    let mut read = 0;
    for entry in fs::read_dir(file.parent().unwrap()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        read += bytes.len();
        for number in numbers {
            assert!(!bytes.windows(number.len()).any(|window| window == number.as_bytes()), "{number}");
        }
    }
    assert!(read > 100_000, "nothing was read: {read} bytes of {}", file.display());
}

#[tokio::test]
async fn key_is_changed_while_people_come_on_sqlite() {
    key_is_changed_while_people_come(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn key_is_changed_while_people_come_on_postgres() {
    key_is_changed_while_people_come(TestDatabase::postgres()).await;
}

/// The setting `cipher` changes between two starts: what was sealed is opened and found, what comes is sealed otherwise.
async fn numbers_of_both_algorithms_are_shown_and_found(database: TestDatabase, first: Cipher, then: Cipher) {
    let number = |cipher| if cipher == Cipher::Aes { 1 } else { 2 };
    let keys = Keys::derive(&[3; 32]);
    let kit = TestKit::with_keys(database, NAME, &migrations(), &keys.clone().sealing_by(first)).await;
    let world = World::over(kit).await;
    world.with_people().await;
    let TestKit { kit, clock, database } = world.kit;
    drop((kit, clock));
    let kit = TestKit::with_keys(database, NAME, &migrations(), &keys.sealing_by(then)).await;
    let world = World::over(kit).await;
    world.clock().set("2020-02-01T08:00:00+08:00".parse().unwrap());
    world.people().correct_person(correct_number("T2", 77)).await.unwrap();
    let late = row(78, "T4", "trainee", "130302", "S2A", "L1");
    assert_eq!(world.import_rows(vec![late], false).await.unwrap().created, 1);
    for (person, serial, cipher) in [("T1", 11, first), ("T2", 77, then), ("T4", 78, then)] {
        assert_eq!(number_of(&world, person).await, id_number(serial));
        assert_eq!(found(&world, &id_number(serial)).await, [person]);
        let mut tx = world.kit.kit.database().begin_read().await.unwrap();
        let (sealed,) = fetch_one!(
            tx,
            (Vec<u8>,),
            "SELECT sealed_identity_number FROM person WHERE person_id = $1",
            person
        )
        .unwrap();
        assert_eq!(sealed[0], number(cipher), "{person}");
    }
    // The same roster once more is the same, whatever it would be sealed by now.
    let same = row(11, "T1", "trainee", "130302", "S2A", "L1");
    let again = world.import_rows(vec![same], false).await.unwrap();
    assert_eq!((again.created, again.unchanged), (0, 1), "{:?}", again.results);
}

#[tokio::test]
async fn numbers_of_both_algorithms_are_shown_and_found_on_both() {
    for (first, then) in [(Cipher::Aes, Cipher::Sm4), (Cipher::Sm4, Cipher::Aes), (Cipher::Sm4, Cipher::Sm4)]
    {
        for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
            numbers_of_both_algorithms_are_shown_and_found(database, first, then).await;
        }
    }
}
