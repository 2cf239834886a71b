//! Every RPC of the contracts, called by every role that stands to what is named in every relation: allowed exactly as the contract
//! says, and else refused in the words for what is not there. What is expected is read off the contract and off what lies where
//! (`world.rs`) by another way than the suite takes: a new RPC is walked by itself, and one whose request names something of a
//! kind that this does not know fails it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MethodDescriptor, ReflectMessage as _, Value};
use serde_json::json;
use shipei_contracts::{
    FILE_DESCRIPTOR_SET,
    common::v1::{EducationStage, Named, Role, Scope},
    offline::v1::{SubmitPlanRequest, offline_service_client::OfflineServiceClient},
};
use shipei_service_kit::{Policies, access::Policy, prost::Message as _, status::reason_of};
use tonic::{Code, Request, Status, metadata::MetadataValue};
use tonic_types::StatusExt as _;

use super::{
    wire::{Door, call},
    world::{CLASS_REGIONS, COUNTIES, World, lies_in},
};
use crate::{
    harness::Backend,
    places::{XIONGAN, at, id},
};

/// RPCs whose outcome is not told here, with the reason. It should only ever shrink.
const EXCEPTIONS: [(&str, &str); 0] = [];
/// RPCs whose person is a tutor.
const OF_TUTORS: [&str; 2] = ["/GetTutorScore", "/RecordPreJobTraining"];
/// RPCs that have no snapshot of their own to look things up in: what would be looked up is not permitted.
const WITHOUT_LOOK_UPS: [&str; 2] = ["/RecordHeartbeat", "/StreamHeartbeats"];
/// Long after every move.
const NOW: &str = "2026-01-01T00:00:00Z";
/// The fact that K1 recorded.
const FACT: &str = "plan-of-K1";

/// Who calls.
struct Who {
    name: &'static str,
    role: Role,
    subject: &'static str,
    place: Place,
    /// Whether the programme is theirs.
    of_programme: bool,
    token: Option<String>,
}

/// The place of a grant.
#[derive(Clone, Copy)]
enum Place {
    Whole,
    Region(&'static str),
    Class(&'static str),
    Subject(&'static str),
    Person,
}

/// What everything that is named is a part of: the first county's, or nothing's; or of nothing but the places.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Things {
    First,
    Missing,
    MissingInItsPlace,
}

/// What must come of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Allowed,
    /// What the request says is refused.
    NotPermitted,
    /// What it names is not there.
    NotFound,
    /// Both are wrong; which is told first is open.
    Either,
}

fn people(world: &World) -> Result<Vec<Who>> {
    let mut all = Vec::new();
    let mut add = |name, role, subject, place: Place, programme: &str| -> Result<()> {
        let role_name = match role {
            Role::Trainee => "trainee",
            Role::ClassTutor => "class_tutor",
            Role::CountyCounselor => "county_counselor",
            Role::SubjectExpert => "subject_expert",
            Role::MunicipalLead => "municipal_lead",
            Role::TrainingInstitution => "training_institution",
            Role::Province => "province",
            Role::Service => "service",
            Role::Unspecified => bail!("no role"),
        };
        let mut grant = json!({ "role": role_name, "import": true, "unmasked": true });
        match place {
            Place::Whole | Place::Person => {}
            Place::Region(code) => grant["region"] = code.into(),
            Place::Class(class) => grant["class"] = class.into(),
            Place::Subject(subject) => grant["subject"] = subject.into(),
        }
        let token = Some(world.token(subject, &[programme], &[grant])?);
        all.push(Who { name, role, subject, place, of_programme: programme == id(), token });
        Ok(())
    };
    let own = id();
    for (name, programme) in [("own", own.as_str()), ("of another programme", "another")] {
        add(name, Role::Trainee, "T1", Place::Person, programme)?;
        add(name, Role::ClassTutor, "U1", Place::Class("L1"), programme)?;
        add(name, Role::CountyCounselor, "K1", Place::Region(COUNTIES[0]), programme)?;
        add(name, Role::SubjectExpert, "X1", Place::Subject("语文"), programme)?;
        add(name, Role::MunicipalLead, "M1", Place::Region(XIONGAN), programme)?;
        add(name, Role::TrainingInstitution, "I1", Place::Whole, programme)?;
        add(name, Role::Province, "P1", Place::Whole, programme)?;
        add(name, Role::Service, "platform", Place::Whole, programme)?;
    }
    for (name, role, subject, place) in [
        ("sibling", Role::Trainee, "T3", Place::Person),
        ("sibling", Role::ClassTutor, "U3", Place::Class("L3")),
        ("sibling", Role::CountyCounselor, "K3", Place::Region(COUNTIES[2])),
        ("sibling", Role::SubjectExpert, "X2", Place::Subject("数学")),
        ("sibling", Role::MunicipalLead, "M3", Place::Region("130300")),
        // By the digits 保定 holds 容城; by the tree it does not.
        ("by digits", Role::MunicipalLead, "M2", Place::Region("130600")),
        ("parent", Role::MunicipalLead, "M0", Place::Region("130000")),
        ("parent", Role::CountyCounselor, "K0", Place::Region(XIONGAN)),
        ("child", Role::MunicipalLead, "M4", Place::Region(COUNTIES[0])),
        ("of one region", Role::Province, "P2", Place::Region("130300")),
    ] {
        add(name, role, subject, place, &own)?;
    }
    let token = Some(world.token("N1", &[&own], &[])?);
    for (name, token) in [("without a grant", token), ("without a token", None)] {
        let (role, subject, place) = (Role::Unspecified, "N1", Place::Whole);
        all.push(Who { name, role, subject, place, of_programme: true, token });
    }
    Ok(all)
}

/// The value of a field that names something of this kind.
fn value(named: Named, field: &str, path: &str, who: &Who, things: Things) -> Option<String> {
    let first = things == Things::First || things == Things::MissingInItsPlace && named == Named::Region;
    let pick = |there: &str, missing: &str| Some(if first { there.to_owned() } else { missing.to_owned() });
    match named {
        Named::Programme => Some(id()),
        Named::Region if field == "city_code" => pick(XIONGAN, "139900"),
        Named::Region => pick(COUNTIES[0], "139999"),
        Named::Class => pick("L1", "L9"),
        Named::Person if field == "tutor_id" || OF_TUTORS.iter().any(|rpc| path.ends_with(rpc)) => {
            pick("U1", "U9")
        }
        Named::Person | Named::Trainee => pick("T1", "T9"),
        Named::Caller => Some(who.subject.to_owned()),
        Named::Submission => pick("A1", "A9"),
        Named::Seminar => pick("M1", "M9"),
        Named::Activity => pick("V1", "V9"),
        Named::Fact | Named::OwnFact => pick(FACT, "no-such-fact"),
        Named::Unspecified | Named::Part | Named::Reference | Named::New => None,
    }
}

/// Corrections are told of elsewhere: a request that has one would undo what is walked over.
fn is_walked(field: &str) -> bool {
    !field.starts_with("correction.")
}

/// A request that names all that it can, and is nothing but that: what writes is refused behind its rights.
fn request(
    method: &MethodDescriptor,
    policy: &Policy,
    path: &str,
    who: &Who,
    things: Things,
) -> Result<Vec<u8>> {
    let mut message = DynamicMessage::new(method.input());
    if message.descriptor().get_field_by_name("source").is_some() {
        message.set_field_by_name("source", Value::String("offline-activity".to_owned()));
    }
    // Of a file, the first of its lists and forms.
    for choice in ["list", "format"] {
        if message.descriptor().get_field_by_name(choice).is_some() {
            message.set_field_by_name(choice, Value::EnumNumber(1));
        }
    }
    for (field, named) in policy.named.iter().filter(|(field, _)| is_walked(field)) {
        let last = field.rsplit('.').next().unwrap_or(field);
        if let Some(value) = value(*named, last, path, who, things) {
            set(&mut message, field, value).with_context(|| format!("{path}: {field}"))?;
        }
    }
    Ok(message.encode_to_vec())
}

fn set(message: &mut DynamicMessage, path: &str, value: String) -> Result<()> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = message.descriptor().get_field_by_name(name).context("the field")?;
    let stored = message.get_field_mut(&field);
    match (rest, stored) {
        (None, Value::List(list)) => list.push(Value::String(value)),
        (None, stored) => *stored = Value::String(value),
        (Some(rest), Value::List(list)) => {
            let Kind::Message(inner) = field.kind() else { bail!("no message") };
            if list.is_empty() {
                list.push(Value::Message(DynamicMessage::new(inner)));
            }
            let Some(Value::Message(inner)) = list.last_mut() else { bail!("no message") };
            set(inner, rest, value)?;
        }
        (Some(rest), Value::Message(inner)) => set(inner, rest, value)?,
        _ => bail!("no message"),
    }
    Ok(())
}

/// Whether a region of now lies in the place of a grant.
fn in_region(code: &str, place: Place) -> bool {
    matches!(place, Place::Region(within) if lies_in(code, within, NOW))
}

/// Whether a role in a scope covers one thing of the first county; and whether that is told by what the request says.
fn covers(who: &Who, scope: Scope, is_read: bool, named: Named, value: &str) -> (bool, bool) {
    let Who { place, subject, .. } = who;
    let is_self = value == *subject;
    let whole = matches!((scope, place), (Scope::Programme, Place::Whole)) || scope == Scope::Public;
    let of_self = scope == Scope::Self_;
    let by_place = |region: &str, class: &str, taught: bool| match (scope, place) {
        (Scope::Programme | Scope::Region, Place::Region(_)) => in_region(region, *place),
        (Scope::Class, Place::Class(mine)) => *mine == class,
        (Scope::Class, Place::Person) => *subject == "T1" && class == "L1",
        (Scope::Subject, Place::Subject(mine)) => taught && *mine == "语文",
        _ => false,
    };
    match named {
        Named::Programme => (who.of_programme, true),
        Named::Caller => (true, true),
        _ if whole => (true, true),
        // A region narrows a list of who reaches none.
        Named::Region => {
            let reaches_regions = matches!(place, Place::Region(_)) && !of_self;
            (if reaches_regions { in_region(value, *place) } else { is_read }, true)
        }
        Named::Person | Named::Trainee if is_self && (is_read || of_self) => (true, true),
        Named::Person | Named::Trainee => (by_place(COUNTIES[0], "L1", true), of_self),
        Named::Class if of_self => (*subject == "T1", false),
        // A class of a city concerns the counties of its trainees.
        Named::Class => (
            by_place(CLASS_REGIONS[0], "L1", true) || by_place(COUNTIES[0], "L1", true),
            scope == Scope::Class && matches!(place, Place::Class(_)),
        ),
        Named::Submission => (of_self && *subject == "T1" || by_place(COUNTIES[0], "L1", true), false),
        Named::Seminar => (of_self && *subject == "T1" || by_place(CLASS_REGIONS[0], "L1", false), false),
        Named::Activity => (by_place(COUNTIES[0], "", false), false),
        Named::Fact | Named::OwnFact => (*subject == "K1" || by_place(COUNTIES[0], "", false), false),
        Named::Unspecified | Named::Part | Named::Reference | Named::New => (true, true),
    }
}

/// What must come of a call that names things of the first county, by its contract.
fn expected(policy: &Policy, path: &str, who: &Who) -> Outcome {
    if policy.everybody {
        return Outcome::Allowed;
    }
    let mut best = Outcome::NotPermitted;
    for (_, scope) in policy.rules.iter().filter(|(role, _)| *role == who.role) {
        let has_place = matches!(
            (scope, who.place),
            (Scope::Programme, Place::Whole | Place::Region(_))
                | (Scope::Public | Scope::Self_, _)
                | (Scope::Region, Place::Region(_))
                | (Scope::Subject, Place::Subject(_))
                | (Scope::Class, Place::Class(_) | Place::Person)
        );
        if !has_place {
            continue;
        }
        let walked = policy.named.iter().filter(|(field, _)| is_walked(field));
        let told: Vec<(bool, bool)> = walked
            .filter_map(|(field, named)| {
                let last = field.rsplit('.').next().unwrap_or(field);
                let value = value(*named, last, path, who, Things::First)?;
                Some(covers(who, *scope, policy.is_read, *named, &value))
            })
            .collect();
        let things = policy.named.iter().filter(|(field, named)| {
            let is_thing = !matches!(
                named,
                Named::Programme | Named::Caller | Named::Part | Named::Reference | Named::New
            );
            is_walked(field) && is_thing
        });
        // A province of one region reaches less than a programme.
        let is_narrow = !matches!((scope, who.place), (Scope::Programme, Place::Whole));
        let too_wide = !policy.is_read && !policy.is_streamed && is_narrow && things.count() == 0;
        let said = told.iter().any(|(covered, is_said)| !covered && *is_said) || too_wide;
        let looked_up = told.iter().any(|(covered, is_said)| !covered && !is_said);
        let said = said || looked_up && WITHOUT_LOOK_UPS.iter().any(|rpc| path.ends_with(rpc));
        let looked_up = looked_up && !WITHOUT_LOOK_UPS.iter().any(|rpc| path.ends_with(rpc));
        let outcome = match (said, looked_up) {
            (false, false) => Outcome::Allowed,
            (false, true) => Outcome::NotFound,
            (true, false) => Outcome::NotPermitted,
            (true, true) => Outcome::Either,
        };
        let rank = |outcome: Outcome| match outcome {
            Outcome::Allowed => 0,
            Outcome::NotFound => 1,
            Outcome::Either => 2,
            Outcome::NotPermitted => 3,
        };
        if rank(outcome) < rank(best) {
            best = outcome;
        }
    }
    best
}

/// What came of it, and its words. A service may miss more than what is looked up for rights: who acts, a number.
fn told(policy: &Policy, answer: &Result<Vec<u8>, Status>) -> (Outcome, String) {
    let Err(status) = answer else { return (Outcome::Allowed, "OK".to_owned()) };
    let reason = reason_of(status).unwrap_or_default();
    let faults = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    let fields: Vec<String> = faults.into_iter().map(|fault| fault.field).collect();
    let is_thing = |field: &String| {
        let named = policy.named.get(field);
        named.is_some_and(|named| {
            !matches!(named, Named::Caller | Named::Part | Named::Reference | Named::New)
        })
    };
    let outcome = match (status.code(), reason.as_str()) {
        (Code::PermissionDenied, "NOT_PERMITTED") | (Code::Unauthenticated, _) => Outcome::NotPermitted,
        (Code::NotFound, _) if fields.iter().any(is_thing) => Outcome::NotFound,
        _ => Outcome::Allowed,
    };
    (outcome, format!("{:?} {reason} {} {fields:?}", status.code(), status.message()))
}

async fn walk(backend: Backend, door: Door) -> Result<()> {
    let world = World::begin(backend).await?;
    let callers = people(&world)?;
    record_fact(&world, &callers).await?;
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let services: Vec<String> = pool
        .services()
        .map(|service| service.full_name().to_owned())
        .filter(|name| name.starts_with("shipei."))
        .collect();
    let names: Vec<&str> = services.iter().map(String::as_str).collect();
    let policies = Policies::load(&names)?;
    let seen = world.clients.unary(()).metadata().clone();
    let mut faults = Vec::new();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for path in policies.paths() {
        if EXCEPTIONS.iter().any(|(exception, _)| *exception == path) {
            continue;
        }
        let policy = policies.of(path).context("its policy")?;
        let (service, method) = path.trim_start_matches('/').split_once('/').context("a path")?;
        let service = pool.get_service_by_name(service).context("the service")?;
        let method = service.methods().find(|known| known.name() == method).context("the method")?;
        for who in &callers {
            let expected = expected(policy, path, who);
            let first = request(&method, policy, path, who, Things::First)?;
            let answer = call(&world.channel, door, &method, (who.token.as_deref(), &seen), first).await?;
            let (came, words) = told(policy, &answer);
            *outcomes.entry(format!("{expected:?}")).or_default() += 1;
            let shown = format!("{path} by {:?} {} ({})", who.role, who.subject, who.name);
            let is_so = came == expected || expected == Outcome::Either && came != Outcome::Allowed;
            if !is_so {
                faults.push(format!("{shown}: {expected:?} is expected, and it came to {words}"));
                continue;
            }
            if expected == Outcome::Allowed {
                continue;
            }
            // What is looked up is looked up in a place that is reached; else the place may be missing too.
            let things = match came {
                Outcome::NotFound => Things::MissingInItsPlace,
                _ => Things::Missing,
            };
            let missing = request(&method, policy, path, who, things)?;
            let caller = (who.token.as_deref(), &seen);
            let (_, of_missing) = told(policy, &call(&world.channel, door, &method, caller, missing).await?);
            if of_missing != words {
                faults.push(format!("{shown}: hidden is {words}, and missing {of_missing}"));
            }
        }
    }
    println!("{outcomes:?}");
    ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    ensure!(outcomes.len() >= 3 && outcomes.values().sum::<usize>() > 1_500, "{outcomes:?}");
    world.suite.stop().await;
    Ok(())
}

/// What K1 records, by their own token.
async fn record_fact(world: &World, callers: &[Who]) -> Result<()> {
    let token = callers.iter().find(|who| who.subject == "K1").and_then(|who| who.token.as_deref());
    let bearer: MetadataValue<_> = format!("Bearer {}", token.context("K1's token")?).parse()?;
    let mut request = Request::new(SubmitPlanRequest {
        programme_id: id(),
        counselor_id: "K1".to_owned(),
        county_code: COUNTIES[0].to_owned(),
        education_stage: EducationStage::NonCompulsory.into(),
        title: "方案".to_owned(),
        request_id: FACT.to_owned(),
        occurred_at: at("2019-11-20T00:00:00Z"),
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", bearer);
    let response = OfflineServiceClient::new(world.channel.clone()).submit_plan(request).await?;
    world.clients.note(&response);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_open_to_whom_its_contract_says_and_to_nobody_else() -> Result<()> {
    walk(Backend::Sqlite, Door::Grpc).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_open_to_whom_its_contract_says_on_postgres() -> Result<()> {
    walk(Backend::Postgres, Door::Grpc).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_open_to_whom_its_contract_says_over_grpc_web() -> Result<()> {
    walk(Backend::Sqlite, Door::GrpcWeb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_open_to_whom_its_contract_says_over_json() -> Result<()> {
    walk(Backend::Sqlite, Door::Json).await
}
