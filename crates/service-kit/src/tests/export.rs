//! Lists as files: one snapshot, and bounds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::StreamExt as _;
use shipei_contracts::common::v1::FileFormat;
use shipei_store::fetch_one;
use shipei_tables::Heading;
use tonic::{Request, Status};

use super::notes::{ListNotesRequest, NoteService as _, Notes, put, test_kit, test_kit_on_postgres};
use crate::{
    answer::status::reason_of,
    testing::TestKit,
    write::{
        export::{Asked, Chunks, List, Portion},
        kit::EXPORTS_MAX,
    },
};

const HEADINGS: [Heading; 2] = [Heading::text("portion", 10), Heading::number("notes")];

/// A list of so many portions, each of which says how many notes its snapshot has, and long enough to be sent by itself.
fn counted(portions: usize, read: &Arc<AtomicUsize>) -> List {
    let read = read.clone();
    List::new(&HEADINGS, move |mut unit, place| {
        let read = read.clone();
        async move {
            let (notes,): (i64,) = fetch_one!(&mut unit.tx, (i64,), "SELECT COUNT(*) FROM note")?;
            let number = place.len();
            read.fetch_add(1, Ordering::SeqCst);
            let next = if number + 1 < portions { "x".repeat(number + 1) } else { String::new() };
            Ok((unit, Portion { rows: vec![vec![number.to_string(), notes.to_string()]], next }))
        }
    })
}

async fn begin(test: &TestKit, format: FileFormat, list: List) -> Result<Chunks<Vec<u8>>, Status> {
    let admitted = test.kit.admit(&Request::new(ListNotesRequest::default())).await?;
    let asked = Asked { programme_id: "P", list: "NOTES", format: format.into(), region_code: "" };
    let chunks = test.kit.export(&admitted, asked, list, |chunk, _| chunk).await?;
    Ok(chunks.into_inner())
}

async fn is_of_one_snapshot(test: TestKit) {
    let notes = Notes::new(&test.kit);
    notes.put_note(put("", "before")).await.unwrap();
    let read = Arc::default();
    let mut chunks = begin(&test, FileFormat::Csv, counted(8, &read)).await.unwrap();
    let mut text = Vec::new();
    let mut number = 0;
    while let Some(chunk) = chunks.next().await {
        text.extend(chunk.unwrap());
        number += 1;
        // Nobody reads ahead of a slow caller by more than a piece that waits and one that is being made.
        assert!(read.load(Ordering::SeqCst) <= number + 3);
        notes.put_note(put("", "meanwhile")).await.unwrap();
    }
    let text = String::from_utf8(text).unwrap();
    let expected: Vec<String> = (0..8).map(|number| format!("{number},1")).collect();
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn export_shows_one_moment_on_sqlite() {
    is_of_one_snapshot(test_kit().await).await;
}

#[tokio::test]
async fn export_shows_one_moment_on_postgres() {
    is_of_one_snapshot(test_kit_on_postgres("notes").await).await;
}

#[tokio::test]
async fn exports_at_once_are_few_and_make_room_when_their_callers_go() {
    let test = test_kit().await;
    let read = Arc::default();
    let mut open = Vec::new();
    for _ in 0..EXPORTS_MAX {
        open.push(begin(&test, FileFormat::Xlsx, counted(1_000, &read)).await.unwrap());
    }
    let Err(status) = begin(&test, FileFormat::Csv, counted(1, &read)).await else { panic!("one too many") };
    assert_eq!(reason_of(&status).as_deref(), Some("OVERLOADED"));
    drop(open);
    // Their tasks end when they see that nobody takes what they made.
    let room = async {
        while begin(&test, FileFormat::Csv, counted(1, &read)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), room).await.unwrap();
}

#[tokio::test]
async fn format_must_be_said() {
    let test = test_kit().await;
    let Err(status) = begin(&test, FileFormat::Unspecified, counted(1, &Arc::default())).await else {
        panic!("no format")
    };
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
}
