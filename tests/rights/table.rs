//! docs/rights.md, written from the contracts, so that what people read is what is enforced. `cargo xtask rights` writes it anew.

use std::{collections::BTreeMap, fmt::Write as _};

use shipei_contracts::{
    FILE_DESCRIPTOR_SET,
    common::v1::{Named, Right, Role, Scope},
};
use shipei_service_kit::{
    Policies,
    access::{Policy, scopes_by_role},
};

use crate::documents::page_is_current;

/// The columns of the tables.
const ROLES: [(Role, &str); 8] = [
    (Role::Trainee, "trainee 参训教师"),
    (Role::ClassTutor, "tutor 辅导教师"),
    (Role::CountyCounselor, "counselor 县辅导员"),
    (Role::SubjectExpert, "expert 学科专家"),
    (Role::MunicipalLead, "lead 市级负责人"),
    (Role::TrainingInstitution, "institution 承培机构"),
    (Role::Province, "province 省"),
    (Role::Service, "the suite's services"),
];

const HEAD: &str = "\
# Rights

Who may call which RPC, and on what. This page is written from the contracts (`cargo xtask rights`), which are also what is enforced: the
options `shipei.common.v1.access` of an RPC and `shipei.common.v1.named` of the fields of its request
([access.proto](../proto/shipei/common/v1/access.proto)). A test fails when it is not current.

A caller's token has grants: a role, with a region, a class or a subject, in all or one of the token's programmes. A cell says how far a grant
of that role reaches:

| word | reach |
|---|---|
| programme | everything of the caller's programmes |
| region | what lies in the grant's region by the dated tree: a lead's city, a counselor's county |
| class | the tutor's classes; the class that a trainee is in |
| subject | who teaches the expert's subject, their work, and the tutors of their classes |
| self | what is about the caller, and what they recorded |
| public | what everybody of a programme may read |
| everybody | what whoever asks may read, also without a token: it says nothing but what the caller brings along |
| empty | nothing: NOT_PERMITTED |

**Everything that a request names must lie within one reach of the caller's.** A programme that is none of the caller's, a region outside of theirs, or
another person as the one who acts is refused `NOT_PERMITTED`, whether there is such a thing or not. A person, class, submission, seminar, activity or
fact that is not within reach is `NOT_FOUND`, in the words for one that is not there. What a list may be narrowed by is empty for all that the caller
reaches. Who has several grants sees what they reach together. A write by who does not reach a whole programme must name something. Everybody
who may read about others may read about themself.

A province's grant may name a region: then it reaches what lies in it, and neither the scheme nor what is of no region.

**Whose region and class:** of now for who may act, of its own time for a fact in a list. The county of a trainee who moved sees what they earned elsewhere in
their score and progress, and not in the lists of single facts of that time.

**Who has several roles** is reached in each where they have it: `trainee` names somebody as a trainee and as nothing else, `person` in whatever role.

**A class of a city** may be named by the counties of its trainees, to narrow their own lists; its seminars and bulletins are the city's. What a token says
holds until it ends.

**Reporting for others.** The institution and the province may name another person as the one who acts; everybody else acts in their own name. To say *when*
something happened (`occurred_at`) a grant needs the right `import`; to see identity numbers unmasked, the right `unmasked`.

**Rosters** are judged row by row: a county reports its own people, a city those of its counties; other rows are refused `NOT_PERMITTED`.

**Retractions and corrections:** whoever recorded a fact may take it back; a county's counselors also what another counselor recorded there; the
institution and the province everything. Only they may retract what has not come yet.

**A request id, a page token and a cursor are their caller's own.** The id of another caller's request is `REQUEST_ID_REUSED`, and says nothing of what became of it.

**An open server** (`--open`, for development) lets everybody do everything.
";

fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Unspecified => "?",
        Scope::Programme => "programme",
        Scope::Region => "region",
        Scope::Class => "class",
        Scope::Subject => "subject",
        Scope::Self_ => "self",
        Scope::Public => "public",
    }
}

fn names(policy: &Policy) -> String {
    let shown = policy.named.iter().filter_map(|(field, named)| {
        let word = match named {
            Named::Unspecified | Named::Part | Named::Reference | Named::New => return None,
            Named::Programme => "programme",
            Named::Region => "region",
            Named::Class => "class",
            Named::Person => "person",
            Named::Trainee => "trainee",
            Named::Caller => "caller",
            Named::Submission => "submission",
            Named::Seminar => "seminar",
            Named::Activity => "activity",
            Named::Fact => "fact",
            Named::OwnFact => "own fact",
        };
        Some(format!("`{field}` {word}"))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The page.
fn written() -> String {
    let pool = prost_reflect::DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors");
    let services: Vec<String> = pool
        .services()
        .map(|service| service.full_name().to_owned())
        .filter(|name| name.starts_with("shipei."))
        .collect();
    let names_of: Vec<&str> = services.iter().map(String::as_str).collect();
    let policies = Policies::load(&names_of).expect("every RPC has a policy");
    let mut by_service: BTreeMap<&str, Vec<(&str, &Policy)>> = BTreeMap::new();
    for path in policies.paths() {
        let (service, method) = path.trim_start_matches('/').split_once('/').expect("a path of an RPC");
        by_service.entry(service).or_default().push((method, policies.of(path).expect("its policy")));
    }
    let mut page = HEAD.to_owned();
    for (service, methods) in by_service {
        let heads = ROLES.map(|(_, name)| name).join(" | ");
        let _ = write!(page, "\n## {service}\n\n| RPC | what it names | {heads} |\n|---|---|");
        page.push_str(&"---|".repeat(ROLES.len()));
        page.push('\n');
        for (method, policy) in methods {
            let scopes = scopes_by_role(policy);
            let cells = ROLES.map(|(role, _)| {
                if policy.everybody {
                    return "everybody".to_owned();
                }
                let of_role = scopes.get(&role).into_iter().flatten();
                of_role.map(|scope| word(*scope)).collect::<Vec<_>>().join(", ")
            });
            let kind = if policy.is_read { "" } else { " (writes)" };
            let _ = writeln!(page, "| {method}{kind} | {} | {} |", names(policy), cells.join(" | "));
        }
    }
    page
}

#[test]
fn page_of_rights_is_what_is_enforced() {
    page_is_current("docs/rights.md", &written(), "SHIPEI_RENEW_RIGHTS", "cargo xtask rights");
}

/// Whoever states a time needs the right to, wherever the time stands.
#[test]
fn every_time_that_is_stated_says_which_right_it_needs() {
    let pool = prost_reflect::DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors");
    let needs = pool.get_extension_by_name("shipei.common.v1.needs").expect("the option");
    let mut stated = 0;
    for message in pool.all_messages().filter(|message| message.full_name().starts_with("shipei.")) {
        let is_sent = message.name().ends_with("Request") || message.name() == "Heartbeat";
        for field in message.fields().filter(|field| is_sent && field.name() == "occurred_at") {
            let right = field.options().get_extension(&needs).as_enum_number();
            assert_eq!(right, Some(Right::Import.into()), "{}", field.full_name());
            stated += 1;
        }
    }
    assert!(stated > 20, "{stated}");
}
