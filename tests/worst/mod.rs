//! The longest texts that are taken, as many as there may be: every answer that can hold them can be sent, and what would
//! make one too large is refused before it is kept. The contracts say which answers those are, so one that is added is missed here.
//!
//! A list whose longest row is so short that a full page of them is no message too large is asked for one such row; one whose rows
//! are longer is walked with more of them than a message holds. Assessment's answers are tried beside its other tests.

mod assignment;
mod decisions;
mod enrollment;
mod learning;
mod offline;
mod similarity;

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;
use shipei::services::service_of;
use shipei_contracts::FILE_DESCRIPTOR_SET;
use shipei_mirror::testing::World;
use shipei_service_kit::{prost::Message, testing::TestKit};

/// The most bytes of a message, and the most rows of a page.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
pub(crate) const PAGE_SIZE_MAX: i32 = 1_000;

/// A text of so many characters, three bytes each.
pub(crate) fn long(characters: usize) -> String {
    "研".repeat(characters)
}

/// The service on SQLite, knowing what enrollment told: what is kept is cut the same on both databases.
pub(crate) async fn world(service: &str, told: &[shipei_contracts::event::v1::Event]) -> World {
    let service = service_of(service).unwrap();
    let kit = TestKit::sqlite(service.name, &(service.migrations)()).await;
    World::over(kit, service.serve, told).await
}

/// Which answers were tried.
#[derive(Debug, Default)]
pub(crate) struct Tried(BTreeSet<String>);

impl Tried {
    /// One answer, which could be sent.
    pub(crate) fn answer(&mut self, method: &str) {
        self.0.insert(method.to_owned());
    }

    /// A list of one longest row: a full page of them can be sent too.
    pub(crate) fn row(&mut self, method: &str, rows: usize, answer: &impl Message) {
        assert_eq!(rows, 1, "{method}");
        let page = answer.encoded_len() * usize::try_from(PAGE_SIZE_MAX).unwrap();
        assert!(page < MESSAGE_BYTES_MAX, "a page of {method} takes {page} bytes");
        self.answer(method);
    }

    /// Every answer that the contracts of the service have was tried.
    pub(crate) fn is_all_of(&self, service: &str) {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        let names = service_of(service).unwrap().grpc_services.iter();
        let services = names.map(|name| pool.get_service_by_name(name).unwrap());
        let methods = services
            .flat_map(|service| service.methods().map(|method| method.name().to_owned()).collect::<Vec<_>>());
        let questions = methods.filter(|name| name.starts_with("Get") || name.starts_with("List"));
        assert_eq!(self.0, questions.collect(), "an answer of the contracts was not tried");
    }
}

/// Asks for a list until its end with the largest pages, each of which can be sent; gives the number of its rows and of its pages.
macro_rules! walk {
    ($client:expr, $method:ident, $request:expr, $rows:ident) => {{
        let mut request = $request;
        request.page_size = $crate::worst::PAGE_SIZE_MAX;
        let (mut rows, mut pages) = (0_usize, 0_usize);
        loop {
            let answer = $client.$method(request.clone()).await.unwrap().into_inner();
            rows += answer.$rows.len();
            pages += 1;
            if answer.next_page_token.is_empty() {
                break (rows, pages);
            }
            assert!(!answer.$rows.is_empty(), "an empty page");
            request.page_token = answer.next_page_token;
        }
    }};
}
pub(crate) use walk;
