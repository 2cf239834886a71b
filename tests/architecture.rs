//! The invariants of ARCHITECTURE.md, read off the tree: who depends on whom, where SQL and statuses may stand, where
//! time and chance come from, and that every RPC, field and reason is accounted for.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use shipei_contracts::COMMENTED_DESCRIPTOR_SET;
use shipei_service_kit::Policies;

const SERVICES: [&str; 6] = shipei_contracts::services::ALL;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                found.push((path, text));
            }
        }
    }
    found
}

/// The same without files of tests.
pub(crate) fn production(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = sources(folder);
    found.retain(|(path, _)| {
        let shown = path.display().to_string();
        let below = shown.rsplit("/../").next().unwrap_or(&shown);
        !(below.contains("/tests/") || below.ends_with("tests.rs"))
    });
    found
}

/// The dependencies that a crate's manifest names.
fn dependencies(crate_folder: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(crate_folder).join("Cargo.toml")).expect("a manifest");
    let section = manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

/// The part of a file before its tests.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[test]
fn rules_depend_on_nothing_that_runs() {
    for crate_name in
        ["tokio", "sqlx", "tonic", "prost", "shipei-store", "shipei-service-kit", "shipei-contracts"]
    {
        assert!(!dependencies("crates/rules").contains(crate_name), "rules depends on {crate_name}");
    }
}

#[test]
fn store_knows_no_grpc_and_no_service() {
    for crate_name in ["tonic", "prost", "shipei-contracts", "shipei-rules", "shipei-service-kit"] {
        assert!(!dependencies("crates/store").contains(crate_name), "store depends on {crate_name}");
    }
    assert!(!dependencies("crates/service-kit").contains("shipei-rules"), "service-kit knows the notice");
}

#[test]
fn store_and_service_kit_know_no_domain_word() {
    let words = ["trainee", "tutor", "counselor", "seminar", "bulletin", "remittance", "heartbeat"];
    // Roles, and what a request may name, are said by the contract of rights in the words of the field.
    let of_rights = ["call/access.rs", "call/rights.rs", "call/things.rs"];
    for (path, text) in production("crates/store/src").into_iter().chain(production("crates/service-kit/src"))
    {
        let text = without_tests(&text).to_lowercase();
        if of_rights.iter().any(|file| path.ends_with(file)) {
            continue;
        }
        for word in words {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}

#[test]
fn services_depend_on_no_other_service() {
    for service in SERVICES {
        let own = dependencies(&format!("services/{service}"));
        for other in SERVICES.iter().filter(|other| **other != service) {
            assert!(!own.contains(&format!("shipei-{other}")), "{service} depends on {other}");
        }
    }
}

#[test]
fn domain_code_knows_no_tonic_and_no_sql() {
    for service in SERVICES {
        for (path, text) in production(&format!("services/{service}/src")) {
            let shown = path.display().to_string();
            if !shown.contains("/domain") {
                continue;
            }
            for word in ["tonic::", "sqlx::query", "Status", "Clock", "&mut Tx"] {
                assert!(!without_tests(&text).contains(word), "{shown} knows {word}");
            }
        }
    }
}

#[test]
fn sql_stands_in_store_files_and_migrations_only() {
    let folders = SERVICES.iter().map(|service| format!("services/{service}/src"));
    for (path, text) in folders.flat_map(|folder| production(&folder)).chain(production("crates/shipei/src"))
    {
        let shown = path.display().to_string();
        if shown.contains("/store") || shown.contains("/migrations/") {
            continue;
        }
        for word in ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE "] {
            assert!(!without_tests(&text).contains(word), "{shown} has SQL: {word}");
        }
    }
}

/// What reads several rows and is asked by no caller of an RPC: what a service needs to decide or to derive, whoever calls, by
/// the keys that it has. By file, and by function where the file has lists too. It should only ever shrink.
const OWN_READS: [(&str, &str); 58] = [
    // Whether somebody who is to be appointed is barred by another programme, of which nothing but its name is said.
    ("enrollment/src/store/bar.rs", "barred"),
    ("enrollment/src/store/roster.rs", ""),
    ("enrollment/src/store/region.rs", "and_above"),
    ("enrollment/src/store/region.rs", "tree"),
    ("enrollment/src/store/region.rs", "region_moves"),
    ("enrollment/src/store/class.rs", "tutor_changes"),
    // Works that the service compares with each other; who is shown what comes of it is asked for when it is listed.
    ("assignment-grading/src/store/similarity.rs", "next_works"),
    ("assignment-grading/src/store/similarity.rs", "candidates"),
    ("assignment-grading/src/store/similarity.rs", "works_by_id"),
    // What became of places, which says where everything stands.
    ("enrollment/src/store/place.rs", "names"),
    ("enrollment/src/store/place.rs", "endings"),
    ("enrollment/src/store/transfer.rs", "moves"),
    ("enrollment/src/store/person.rs", "absences"),
    ("enrollment/src/store/person_change.rs", "changes"),
    ("enrollment/src/store/person_merge.rs", "merges_of"),
    // Of who is enrolled, and of everybody, to wrap them anew; they open nothing without the installation's key.
    ("enrollment/src/store/person_key.rs", ""),
    // Of one person, who is held.
    ("enrollment/src/store/person_erasure.rs", "roles_ever"),
    // Whether a number is somebody else's.
    ("enrollment/src/store/person_change.rs", "same_person"),
    // The classes of who calls.
    ("enrollment/src/store/things.rs", "classes_of"),
    ("learning-progress/src/store/study.rs", ""),
    ("learning-progress/src/store/session.rs", ""),
    ("learning-progress/src/store/correction.rs", "grants"),
    ("learning-progress/src/store/correction.rs", "voids"),
    ("learning-progress/src/store/course.rs", "courses_since"),
    ("learning-progress/src/store/course.rs", "course"),
    ("learning-progress/src/store/anew.rs", ""),
    ("learning-progress/src/store/united.rs", "due"),
    ("assignment-grading/src/store/submission.rs", "works"),
    ("assignment-grading/src/store/submission.rs", "marks"),
    ("assignment-grading/src/store/marking.rs", "people_of_tutor"),
    ("assignment-grading/src/store/judgement.rs", ""),
    ("offline-activity/src/store/county.rs", "fold_plan"),
    ("offline-activity/src/store/activity.rs", "keep_attendances"),
    ("assessment/src/store/classes.rs", ""),
    ("assessment/src/store/counts.rs", ""),
    ("assessment/src/store/decisions.rs", "unsettled_counties"),
    ("assessment/src/store/due.rs", ""),
    // Of one bearer of duties, who was found within reach, or of the whole programme.
    ("assessment/src/store/duties.rs", ""),
    ("assessment/src/store/honours.rs", "of_classes"),
    ("assessment/src/store/honours.rs", "sizes"),
    ("assessment/src/store/honours.rs", "all_chosen"),
    ("assessment/src/store/load.rs", ""),
    ("assessment/src/store/rescore.rs", ""),
    ("assessment/src/store/scores.rs", ""),
    ("assessment/src/store/lists.rs", "county_among"),
    ("assessment-decisions/src/store/version.rs", "leaves"),
    ("assessment-decisions/src/store/version.rs", "leaves_of_class"),
    ("assessment-decisions/src/store/version.rs", "classes"),
    // Of evidence that was found within reach.
    ("assessment-decisions/src/store/evidence.rs", "sent_back"),
    // Of a class that was found within reach.
    ("assessment-decisions/src/store/change.rs", "changes_of_class"),
    ("mirror/src/lookup.rs", "members"),
    ("mirror/src/lookup.rs", "transfers"),
    ("mirror/src/lookup.rs", "teaching_changes"),
    ("mirror/src/classes.rs", "classes_of"),
    ("mirror/src/classes.rs", "classes_of_tutor"),
    ("mirror/src/classes.rs", "people_ever_in"),
    ("mirror/src/merges.rs", ""),
    ("mirror/src/lookup.rs", "counties_opened_at"),
];

/// The functions of a file: each with its name, its parameters and its body.
fn functions(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for part in text.split("async fn ").skip(1) {
        let Some((head, rest)) = part.split_once(") -> ") else { continue };
        let name: String =
            head.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect();
        let body = rest.split("\n}\n").next().unwrap_or(rest);
        found.push((name, head.split_whitespace().collect::<Vec<_>>().join(" "), body.to_owned()));
    }
    found
}

/// Rights are narrowed in SQL: a list that can't be asked for without a reach can't forget it.
#[test]
fn every_list_of_a_store_takes_a_reach_first() {
    let mut unused: BTreeSet<(&str, &str)> = OWN_READS.into_iter().collect();
    let folders = SERVICES.iter().map(|service| format!("services/{service}/src"));
    let mut lists = 0;
    for (path, text) in folders.chain(["crates/mirror/src".to_owned()]).flat_map(|folder| production(&folder))
    {
        let shown = path.display().to_string();
        let of_mirror = ["lookup", "classes", "merges"].map(|file| format!("crates/mirror/src/{file}"));
        if !shown.contains("/store") && !of_mirror.iter().any(|file| shown.contains(file)) {
            continue;
        }
        for (name, parameters, body) in functions(without_tests(&text)) {
            let reads = ["fetch_all!(", "fetch_list!(", "fetch_page!(", "select_by_keys!("];
            if !reads.iter().any(|read| body.contains(read)) {
                continue;
            }
            let own = OWN_READS
                .iter()
                .find(|(file, function)| shown.ends_with(file) && (function.is_empty() || *function == name));
            if let Some(own) = own {
                unused.remove(own);
                continue;
            }
            let takes_reach = parameters.contains("( tx: &mut Tx, reach: &Reach,");
            assert!(
                takes_reach,
                "{shown}: {name} reads rows without a reach: its second parameter must be `reach: &Reach`"
            );
            assert!(
                body.contains("reach.over("),
                "{shown}: {name} takes a reach and does not put it into its SQL"
            );
            lists += 1;
        }
    }
    assert!(lists >= 45, "only {lists} lists were found");
    assert!(unused.is_empty(), "not needed any more: {unused:?}");
}

#[test]
fn functions_are_read_with_their_parameters() {
    let text = "pub(crate) async fn list(\n    tx: &mut Tx,\n    reach: &Reach,\n    (a, b): (&str, &str),\n) -> Result<()> {\n    fetch_list!(x)\n}\n";
    let expected = "list( tx: &mut Tx, reach: &Reach, (a, b): (&str, &str),";
    assert_eq!(
        functions(text),
        [("list".to_owned(), expected.to_owned(), "Result<()> {\n    fetch_list!(x)".to_owned())]
    );
}

/// Audit, chain and versions are made there once; whoever went round it would have none of them.
#[test]
fn writes_take_one_road() {
    // Emptying what was learned, and the raw limits that are measured, are no writes of a service.
    let outside = ["crates/shipei/src/suite.rs", "crates/shipei/src/bench/"];
    for (path, text) in ["crates/service-kit/src", "crates/mirror/src", "crates/shipei/src", "services"]
        .into_iter()
        .flat_map(production)
    {
        let shown = path.display().to_string();
        let is_road = shown.ends_with("service-kit/src/write/road.rs");
        let is_helper = shown.ends_with("/testing.rs");
        if is_road || is_helper || outside.iter().any(|outside| shown.contains(outside)) {
            continue;
        }
        for word in ["begin_write", "event_log::append", "event_log::conclude", ".commit()", "wake().notify"]
        {
            // What the rooms of writes commit is a transaction of the road.
            let is_of_the_road = word == ".commit()" && shown.contains("/service-kit/src/write/");
            let found = !is_of_the_road && without_tests(&text).contains(word);
            assert!(!found, "{shown} has {word}, which stands in service-kit's write/road.rs only");
        }
    }
}

#[test]
fn time_and_chance_come_from_one_place_each() {
    let everywhere = ["crates", "services"].into_iter().flat_map(production);
    for (path, text) in everywhere {
        let shown = path.display().to_string();
        let text = without_tests(&text);
        let is_clock = shown.ends_with("service-kit/src/clock.rs");
        for word in ["Utc::now", "Local::now", "SystemTime::now"] {
            assert!(is_clock || !text.contains(word), "{shown} reads the system's clock");
        }
        let is_crypto = shown.ends_with("store/src/crypto/random.rs");
        for word in ["getrandom::", "OsRng", "rand::"] {
            assert!(is_crypto || !text.contains(word), "{shown} has a random source of its own");
        }
    }
}

/// What stands in every JSON line of a log: who wrote it, and in the course of which call.
const KEYS_OF_EVERY_LINE: [&str; 5] = ["service", "instance", "method", "trace_id", "span_id"];

#[test]
fn no_log_line_has_a_key_twice() {
    let mut seen = 0;
    for (path, text) in ["crates", "services"].into_iter().flat_map(production) {
        for level in ["error", "warn", "info", "debug", "trace"] {
            for written in without_tests(&text).split(&format!("tracing::{level}!(")).skip(1) {
                // The fields stand before the message.
                let fields = written.split('"').next().unwrap_or_default();
                for field in fields.split(',') {
                    let key =
                        field.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']);
                    let shown = path.display();
                    assert!(!KEYS_OF_EVERY_LINE.contains(&key), "{shown}: a line of its own with `{key}`");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 50, "{seen} fields");
}

#[test]
fn files_stay_under_500_lines() {
    for (path, text) in ["crates", "services", "tests", "xtask"].into_iter().flat_map(sources) {
        let lines = text.lines().count();
        assert!(lines < 500, "{}: {lines} lines", path.display());
    }
}

#[test]
fn no_lint_is_allowed_without_expecting_it() {
    for (path, text) in ["crates", "services", "tests", "xtask"].into_iter().flat_map(sources) {
        let generated = path.ends_with("contracts/src/lib.rs") || path.ends_with("tests/architecture.rs");
        assert!(generated || !text.contains("[allow("), "{} allows a lint", path.display());
        assert!(generated || !text.contains("#[ignore"), "{} ignores a test", path.display());
    }
}

fn pool() -> prost_reflect::DescriptorPool {
    prost_reflect::DescriptorPool::decode(COMMENTED_DESCRIPTOR_SET).expect("our own descriptors")
}

#[test]
fn every_rpc_has_an_access_policy() {
    let pool = pool();
    let names: Vec<String> = pool
        .services()
        .map(|service| service.full_name().to_owned())
        .filter(|name| name.starts_with("shipei."))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(names.len() >= 12, "{names:?}");
    Policies::load(&names).expect("every RPC has a policy");
}

#[test]
fn every_field_and_rpc_has_a_meaning_in_a_comment() {
    let pool = pool();
    for file in pool.files().filter(|file| file.name().starts_with("shipei/")) {
        let info = file.file_descriptor_proto().source_code_info.clone().expect("comments are kept");
        let commented: BTreeSet<Vec<i32>> = info
            .location
            .iter()
            .filter(|location| {
                location.leading_comments.as_deref().is_some_and(|text| !text.trim().is_empty())
            })
            .map(|location| location.path.clone())
            .collect();
        for (at, message) in file.file_descriptor_proto().message_type.iter().enumerate() {
            for (place, field) in message.field.iter().enumerate() {
                let path = vec![4, at as i32, 2, place as i32];
                assert!(commented.contains(&path), "{}.{} says nothing", message.name(), field.name());
            }
        }
        for (at, service) in file.file_descriptor_proto().service.iter().enumerate() {
            for (place, method) in service.method.iter().enumerate() {
                let path = vec![6, at as i32, 2, place as i32];
                assert!(commented.contains(&path), "{}.{} says nothing", service.name(), method.name());
            }
        }
    }
}

/// A row that can't be read takes its own place from a list and not the list, and the answer names it.
#[test]
fn every_list_names_what_it_could_not_show() {
    // What these list is counted or written down, not read row by row.
    let others = [
        "shipei.assessment.v1.ListStatisticsResponse",
        "shipei.enrollment.v1.ListDutiesResponse",
        // A copy with holes would be none.
        "shipei.event.v1.ExportPersonResponse",
        "shipei.event.v1.RewrapKeysResponse",
    ];
    let pool = pool();
    let lists = pool.all_messages().filter(|message| message.get_field_by_name("next_page_token").is_some());
    let silent = lists.filter(|message| message.get_field_by_name("broken").is_none());
    let mut silent: Vec<String> = silent.map(|message| message.full_name().to_owned()).collect();
    silent.sort_unstable();
    assert_eq!(silent, others);
}

/// A reason that no test provokes is a reason that nobody has seen work.
#[test]
fn every_error_reason_is_provoked_by_a_test() {
    let mut tested = String::new();
    for (path, text) in ["crates", "services", "tests"].into_iter().flat_map(sources) {
        let own = path.ends_with("tests/architecture.rs");
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        if own {
            continue;
        }
        if is_test {
            tested.push_str(&text);
        } else if let Some((_, tests)) = text.split_once("#[cfg(test)]") {
            tested.push_str(tests);
        }
    }
    for season in ["edges", "qinhuangdao-2019"] {
        let file = root().join("tests/seasons").join(season).join("expected/rejections.csv");
        tested.push_str(&fs::read_to_string(file).expect("the season's rejections"));
    }
    let reasons = pool().get_enum_by_name("shipei.common.v1.ErrorReason").expect("the enum of reasons");
    for reason in reasons.values().filter(|reason| reason.number() != 0) {
        let name = reason.name().trim_start_matches("ERROR_REASON_").to_owned();
        let camel: String =
            name.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect();
        assert!(tested.contains(&name) || tested.contains(&camel), "no test provokes {name}");
    }
}
