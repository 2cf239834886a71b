//! Who may call. What: [`Policies`], the access rules that every RPC declares as the method option
//! `shipei.common.v1.access`, and what its request names (`shipei.common.v1.named`). Why: an RPC that nobody thought about
//! must not be open by accident, so a server with one does not start, and neither does one whose request has an id that
//! says nothing. The rules are read and checked here; `rights.rs` decides by them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use prost::Message as _;
use prost_reflect::{DescriptorPool, ExtensionDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use shipei_contracts::common::v1::{AccessPolicy, AccessRule, Named, Role, Scope};

use crate::descriptors;

const ACCESS_OPTION: &str = "shipei.common.v1.access";
const NAMED_OPTION: &str = "shipei.common.v1.named";
/// How the names of fields end that name something.
const ID_ENDINGS: [&str; 6] = ["_id", "_ids", "_code", "_codes", "_ref", "_refs"];
/// Ids of the call itself.
const IDS_OF_THE_CALL: [&str; 1] = ["request_id"];
/// How deep messages may lie in each other.
const DEPTH_MAX: usize = 8;

/// Why a server with these RPCs does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The contracts don't know the service.
    #[error("service {0} is not in the descriptor set")]
    UnknownService(String),
    /// The descriptor set has no access option at all.
    #[error("the descriptor set does not define the option {0}")]
    NoOption(&'static str),
    /// Nobody said who may call it.
    #[error("{0} has no access policy: give it the option (shipei.common.v1.access)")]
    NoPolicy(String),
    /// A policy that lets nobody in.
    #[error("{0} has an access policy without rules")]
    NoRules(String),
    /// Everybody may do more than read what they bring along.
    #[error("{0} is for everybody, and writes, has rules or names something")]
    TooMuchForEverybody(String),
    /// A rule for no role.
    #[error("{0} has an access rule without a role")]
    NoRole(String),
    /// A rule for no scope.
    #[error("{0} has an access rule without a scope")]
    NoScope(String),
    /// A role in a scope that it has no place for.
    #[error("{method}: {role} has no {scope}")]
    NoSuchPlace {
        /// The RPC.
        method: String,
        /// The role.
        role: &'static str,
        /// The scope.
        scope: &'static str,
    },
    /// An id of a request of which nobody said what it names.
    #[error("{method}: {field} does not say what it names: give it the option (shipei.common.v1.named)")]
    Unnamed {
        /// The RPC.
        method: String,
        /// The field, by its dotted path.
        field: String,
    },
    /// Something is named that is no text.
    #[error("{method}: {field} names something and is no text")]
    NoText {
        /// The RPC.
        method: String,
        /// The field.
        field: String,
    },
    /// A role that does not reach everything may write, and the request names nothing that it could reach.
    #[error("{method}: {role} may write, and nothing says what")]
    NamesNothing {
        /// The RPC.
        method: String,
        /// The role.
        role: &'static str,
    },
}

/// Who may call one RPC, and what its request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The alternatives.
    pub rules: Vec<(Role, Scope)>,
    /// Is it for everybody, also without a token?
    pub everybody: bool,
    /// Does it change nothing?
    pub is_read: bool,
    /// Does its caller send many messages?
    pub is_streamed: bool,
    /// What its request names, by field.
    pub named: BTreeMap<String, Named>,
}

/// The access policy of every RPC that this process serves.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    by_method: Arc<BTreeMap<String, Arc<Policy>>>,
}

impl Policies {
    /// Reads and checks the policies of these services (full names) in the contracts.
    ///
    /// # Errors
    /// The first RPC whose policy is missing or can't be.
    pub fn load(services: &[&str]) -> Result<Self, PolicyError> {
        Self::load_from(descriptors::pool(), services)
    }

    /// As [`Policies::load`], from another descriptor set.
    ///
    /// # Errors
    /// As [`Policies::load`].
    pub fn load_from(pool: &DescriptorPool, services: &[&str]) -> Result<Self, PolicyError> {
        let option = |name| pool.get_extension_by_name(name).ok_or(PolicyError::NoOption(name));
        let (access, named) = (option(ACCESS_OPTION)?, option(NAMED_OPTION)?);
        let mut by_method = BTreeMap::new();
        for name in services {
            let service = pool
                .get_service_by_name(name)
                .ok_or_else(|| PolicyError::UnknownService((*name).to_owned()))?;
            for method in service.methods() {
                let path = format!("/{name}/{}", method.name());
                let policy = read_policy(&method, (&access, &named), &path)?;
                by_method.insert(path, Arc::new(policy));
            }
        }
        Ok(Self { by_method: Arc::new(by_method) })
    }

    /// The policy of an RPC by its path, e.g. `/shipei.event.v1.EventFeed/Subscribe`.
    pub fn of(&self, path: &str) -> Option<&Arc<Policy>> {
        self.by_method.get(path)
    }

    /// The paths of all RPCs that have a policy, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_method.keys().map(String::as_str)
    }
}

fn read_policy(
    method: &MethodDescriptor,
    (access, named): (&ExtensionDescriptor, &ExtensionDescriptor),
    path: &str,
) -> Result<Policy, PolicyError> {
    let options = method.options();
    if !options.has_extension(access) {
        return Err(PolicyError::NoPolicy(path.to_owned()));
    }
    let stated = options.get_extension(access);
    let stated = stated
        .as_message()
        .and_then(|message| AccessPolicy::decode(message.encode_to_vec().as_slice()).ok())
        .ok_or_else(|| PolicyError::NoPolicy(path.to_owned()))?;
    let everybody = stated.everybody;
    if stated.rules.is_empty() && !everybody {
        return Err(PolicyError::NoRules(path.to_owned()));
    }
    let mut rules = Vec::with_capacity(stated.rules.len());
    for rule in &stated.rules {
        rules.push(read_rule(rule, path)?);
    }
    let mut told = BTreeMap::new();
    read_named(&method.input(), named, path, "", &mut told)?;
    // IDEMPOTENCY_LEVEL NO_SIDE_EFFECTS
    let idempotency = options.get_field_by_name("idempotency_level");
    let is_read = idempotency.and_then(|level| level.as_enum_number()) == Some(1);
    let is_streamed = method.is_client_streaming();
    if everybody && !(is_read && !is_streamed && rules.is_empty() && told.is_empty()) {
        return Err(PolicyError::TooMuchForEverybody(path.to_owned()));
    }
    if !is_read && !is_streamed {
        let narrow = rules.iter().find(|(_, scope)| !matches!(scope, Scope::Programme));
        if let Some((role, _)) = narrow
            && !told.values().any(|named| is_thing(*named))
        {
            return Err(PolicyError::NamesNothing { method: path.to_owned(), role: role.as_str_name() });
        }
    }
    Ok(Policy { rules, everybody, is_read, is_streamed, named: told })
}

/// Whether it is something that lies somewhere: a write by who does not reach everything must name one.
pub(super) fn is_thing(named: Named) -> bool {
    !matches!(
        named,
        Named::Unspecified | Named::Programme | Named::Caller | Named::Part | Named::Reference | Named::New
    )
}

fn read_rule(rule: &AccessRule, path: &str) -> Result<(Role, Scope), PolicyError> {
    if Role::try_from(rule.role).is_err() || rule.role() == Role::Unspecified {
        return Err(PolicyError::NoRole(path.to_owned()));
    }
    if Scope::try_from(rule.scope).is_err() || rule.scope() == Scope::Unspecified {
        return Err(PolicyError::NoScope(path.to_owned()));
    }
    let (role, scope) = (rule.role(), rule.scope());
    let has_place = match scope {
        Scope::Unspecified => false,
        Scope::Public => true,
        Scope::Programme => matches!(role, Role::Service | Role::Province | Role::TrainingInstitution),
        Scope::Region => matches!(role, Role::MunicipalLead | Role::CountyCounselor),
        Scope::Class => matches!(role, Role::ClassTutor | Role::Trainee),
        Scope::Subject => role == Role::SubjectExpert,
        Scope::Self_ => !matches!(role, Role::Service | Role::Province | Role::TrainingInstitution),
    };
    if !has_place {
        let (role, scope) = (role.as_str_name(), scope.as_str_name());
        return Err(PolicyError::NoSuchPlace { method: path.to_owned(), role, scope });
    }
    Ok((role, scope))
}

/// What the fields of a message name, inner messages included, by their dotted paths.
fn read_named(
    message: &MessageDescriptor,
    option: &ExtensionDescriptor,
    method: &str,
    above: &str,
    told: &mut BTreeMap<String, Named>,
) -> Result<(), PolicyError> {
    if above.split('.').count() > DEPTH_MAX {
        return Ok(());
    }
    for field in message.fields() {
        let name = field.name();
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        if let Kind::Message(inner) = field.kind() {
            if inner.full_name() != "google.protobuf.Timestamp" {
                read_named(&inner, option, method, &path, told)?;
            }
            continue;
        }
        let stated = field.options().get_extension(option).as_enum_number().unwrap_or_default();
        let stated = Named::try_from(stated).unwrap_or_default();
        let is_text = matches!(field.kind(), Kind::String);
        if stated != Named::Unspecified && !is_text {
            return Err(PolicyError::NoText { method: method.to_owned(), field: path });
        }
        let is_id = is_text && ID_ENDINGS.iter().any(|ending| name.ends_with(ending));
        if is_id && stated == Named::Unspecified && !IDS_OF_THE_CALL.contains(&name) {
            return Err(PolicyError::Unnamed { method: method.to_owned(), field: path });
        }
        if stated != Named::Unspecified {
            told.insert(path, stated);
        }
    }
    Ok(())
}

/// The roles that a policy lets in, each with its scopes, as a table shows them.
pub fn scopes_by_role(policy: &Policy) -> BTreeMap<Role, BTreeSet<Scope>> {
    let mut scopes: BTreeMap<Role, BTreeSet<Scope>> = BTreeMap::new();
    for (role, scope) in &policy.rules {
        scopes.entry(*role).or_default().insert(*scope);
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::notes::compile_proto;

    #[test]
    fn event_feed_has_policies() {
        let policies = Policies::load(&["shipei.event.v1.EventFeed"]).unwrap();
        assert_eq!(policies.paths().count(), 4);
        let policy = policies.of("/shipei.event.v1.EventFeed/Subscribe").unwrap();
        assert_eq!(policy.rules.len(), 5);
        assert_eq!(policy.named["region_codes"], Named::Region);
        assert!(policy.is_read && !policy.is_streamed);
    }

    #[test]
    fn every_service_of_the_contracts_has_good_policies() {
        for service in descriptors::pool().services() {
            let name = service.full_name().to_owned();
            if let Err(error) = Policies::load(&[&name]) {
                panic!("{error}");
            }
        }
    }

    fn load_with(option: &str, fields: &str) -> Result<Policies, PolicyError> {
        let pool = compile_proto(&format!(
            "syntax = \"proto3\"; package fake.v1; import \"shipei/common/v1/access.proto\";
             message Inner {{ string county_code = 1 [(shipei.common.v1.named) = NAMED_REGION]; }}
             message GoRequest {{ {fields} }} message GoResponse {{}}
             service Fake {{ rpc Go(GoRequest) returns (GoResponse) {{ {option} }} }}"
        ));
        Policies::load_from(&pool, &["fake.v1.Fake"])
    }

    fn rule(rule: &str, fields: &str) -> Result<Policies, PolicyError> {
        load_with(&format!("option (shipei.common.v1.access) = {{ rules: {{ {rule} }} }};"), fields)
    }

    #[test]
    fn method_without_a_good_policy_does_not_start() {
        let path = "/fake.v1.Fake/Go".to_owned();
        let inner = "Inner inner = 1;";
        assert_eq!(load_with("", inner).unwrap_err(), PolicyError::NoPolicy(path.clone()));
        let empty = "option (shipei.common.v1.access) = {};";
        assert_eq!(load_with(empty, inner).unwrap_err(), PolicyError::NoRules(path.clone()));
        assert_eq!(rule("scope: SCOPE_PUBLIC", inner).unwrap_err(), PolicyError::NoRole(path.clone()));
        assert_eq!(rule("role: ROLE_TRAINEE", inner).unwrap_err(), PolicyError::NoScope(path));
        for impossible in [
            "role: ROLE_TRAINEE scope: SCOPE_REGION",
            "role: ROLE_CLASS_TUTOR scope: SCOPE_PROGRAMME",
            "role: ROLE_SUBJECT_EXPERT scope: SCOPE_CLASS",
            "role: ROLE_PROVINCE scope: SCOPE_SELF",
        ] {
            assert!(matches!(rule(impossible, inner), Err(PolicyError::NoSuchPlace { .. })), "{impossible}");
        }
        assert!(matches!(Policies::load(&["no.such.Service"]), Err(PolicyError::UnknownService(_))));
    }

    #[test]
    fn what_everybody_may_do_is_to_read_and_names_nothing() {
        let option = |more: &str, everybody: &str| {
            format!("option (shipei.common.v1.access) = {{ everybody: true {everybody} }}; {more}")
        };
        let read = "option idempotency_level = NO_SIDE_EFFECTS;";
        let found = load_with(&option(read, ""), "string code = 1;").unwrap();
        assert!(found.of("/fake.v1.Fake/Go").unwrap().everybody);
        let rules = "rules: { role: ROLE_TRAINEE scope: SCOPE_PUBLIC }";
        for (option, fields) in [
            (option("", ""), "string code = 1;"),
            (option(read, rules), "string code = 1;"),
            (option(read, ""), "Inner inner = 1;"),
        ] {
            assert!(
                matches!(load_with(&option, fields), Err(PolicyError::TooMuchForEverybody(_))),
                "{option}"
            );
        }
    }

    #[test]
    fn request_with_an_id_that_says_nothing_does_not_start() {
        let counselor = "role: ROLE_COUNTY_COUNSELOR scope: SCOPE_REGION";
        let found = rule(counselor, "Inner inner = 1;").unwrap();
        assert_eq!(found.of("/fake.v1.Fake/Go").unwrap().named["inner.county_code"], Named::Region);
        let unnamed = rule(counselor, "Inner inner = 1; string class_id = 2;");
        assert!(matches!(unnamed, Err(PolicyError::Unnamed { field, .. }) if field == "class_id"));
        let number = "int32 page = 1 [(shipei.common.v1.named) = NAMED_CLASS];";
        assert!(matches!(rule(counselor, number), Err(PolicyError::NoText { .. })));
        let nothing = "string programme_id = 1 [(shipei.common.v1.named) = NAMED_PROGRAMME];";
        assert!(matches!(rule(counselor, nothing), Err(PolicyError::NamesNothing { .. })));
        assert!(rule("role: ROLE_PROVINCE scope: SCOPE_PROGRAMME", nothing).is_ok());
        assert!(rule(counselor, "Inner inner = 1; string request_id = 2;").is_ok());
    }
}
