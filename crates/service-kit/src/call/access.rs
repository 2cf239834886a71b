//! Who may call. What: [`Policies`], the access rules that every RPC declares as the method option
//! `shipei.common.v1.access`. Why: an RPC that nobody thought about
//! must not be open by accident, so a server with one does not start. The rules are read and checked here;
//! enforcing them is the next step and belongs into `admit.rs`, where every entry passes with its policy.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message as _;
use prost_reflect::{DescriptorPool, ExtensionDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use shipei_contracts::common::v1::{AccessPolicy, AccessRule, Role, Scope};

use crate::{descriptors, identity::caller::Caller};

const ACCESS_OPTION: &str = "shipei.common.v1.access";

/// Why a server with these RPCs does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The contracts don't know the service.
    #[error("service {0} is not in the descriptor set")]
    UnknownService(String),
    /// The descriptor set has no access option at all.
    #[error("the descriptor set does not define the option {ACCESS_OPTION}")]
    NoOption,
    /// Nobody said who may call it.
    #[error("{0} has no access policy: give it the option (shipei.common.v1.access)")]
    NoPolicy(String),
    /// A policy that lets nobody in.
    #[error("{0} has an access policy without rules")]
    NoRules(String),
    /// A rule for no role.
    #[error("{0} has an access rule without a role")]
    NoRole(String),
    /// A rule for no scope.
    #[error("{0} has an access rule without a scope")]
    NoScope(String),
    /// A scope that must be read from a field, and no field.
    #[error("{method}: scope {scope} needs the request field that it is read from")]
    NoField {
        /// The RPC.
        method: String,
        /// The scope.
        scope: &'static str,
    },
    /// A scope that is read from no field, and a field.
    #[error("{method}: scope {scope} is not read from a field, but names {field}")]
    NeedlessField {
        /// The RPC.
        method: String,
        /// The scope.
        scope: &'static str,
        /// The field that is named.
        field: String,
    },
    /// A field that the request has not.
    #[error("{method}: {request} has no field {field}")]
    UnknownField {
        /// The RPC.
        method: String,
        /// The request message.
        request: String,
        /// The field that is named.
        field: String,
    },
}

/// The access policy of every RPC that this process serves.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    by_method: Arc<BTreeMap<String, Arc<AccessPolicy>>>,
}

impl Policies {
    /// Reads and checks the policies of these services (full names) in the contracts.
    ///
    /// # Errors
    /// The first RPC whose policy is missing or can't be.
    pub fn load(services: &[&str]) -> std::result::Result<Self, PolicyError> {
        Self::load_from(descriptors::pool(), services)
    }

    /// As [`Policies::load`], from another descriptor set.
    ///
    /// # Errors
    /// As [`Policies::load`].
    pub fn load_from(pool: &DescriptorPool, services: &[&str]) -> std::result::Result<Self, PolicyError> {
        let option = pool.get_extension_by_name(ACCESS_OPTION).ok_or(PolicyError::NoOption)?;
        let mut by_method = BTreeMap::new();
        for name in services {
            let service = pool
                .get_service_by_name(name)
                .ok_or_else(|| PolicyError::UnknownService((*name).to_owned()))?;
            for method in service.methods() {
                let path = format!("/{name}/{}", method.name());
                let policy = read_policy(&method, &option, &path)?;
                by_method.insert(path, Arc::new(policy));
            }
        }
        Ok(Self { by_method: Arc::new(by_method) })
    }

    /// The policy of an RPC by its path, e.g. `/shipei.event.v1.EventFeed/Subscribe`.
    pub fn of(&self, path: &str) -> Option<&Arc<AccessPolicy>> {
        self.by_method.get(path)
    }

    /// The paths of all RPCs that have a policy, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_method.keys().map(String::as_str)
    }

    /// May this caller state when something happened? While access is not enforced, everybody may.
    pub fn may_state_time(_caller: &Caller) -> bool {
        true
    }
}

fn read_policy(
    method: &MethodDescriptor,
    option: &ExtensionDescriptor,
    path: &str,
) -> std::result::Result<AccessPolicy, PolicyError> {
    let options = method.options();
    if !options.has_extension(option) {
        return Err(PolicyError::NoPolicy(path.to_owned()));
    }
    let stated = options.get_extension(option);
    let policy = stated
        .as_message()
        .and_then(|message| AccessPolicy::decode(message.encode_to_vec().as_slice()).ok())
        .ok_or_else(|| PolicyError::NoPolicy(path.to_owned()))?;
    if policy.rules.is_empty() {
        return Err(PolicyError::NoRules(path.to_owned()));
    }
    for rule in &policy.rules {
        check_rule(rule, &method.input(), path)?;
    }
    Ok(policy)
}

fn check_rule(
    rule: &AccessRule,
    request: &MessageDescriptor,
    path: &str,
) -> std::result::Result<(), PolicyError> {
    if Role::try_from(rule.role).is_err() || rule.role() == Role::Unspecified {
        return Err(PolicyError::NoRole(path.to_owned()));
    }
    if Scope::try_from(rule.scope).is_err() || rule.scope() == Scope::Unspecified {
        return Err(PolicyError::NoScope(path.to_owned()));
    }
    let scope = rule.scope().as_str_name();
    let field_is_read = !matches!(rule.scope(), Scope::Programme | Scope::Public);
    if field_is_read && rule.field.is_empty() {
        return Err(PolicyError::NoField { method: path.to_owned(), scope });
    }
    if !field_is_read && !rule.field.is_empty() {
        return Err(PolicyError::NeedlessField { method: path.to_owned(), scope, field: rule.field.clone() });
    }
    if field_is_read && !has_field(request, &rule.field) {
        return Err(PolicyError::UnknownField {
            method: path.to_owned(),
            request: request.full_name().to_owned(),
            field: rule.field.clone(),
        });
    }
    Ok(())
}

/// Is there a field of this (dotted) path?
fn has_field(message: &MessageDescriptor, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(field) = message.get_field_by_name(name) else { return false };
    match (rest, field.kind()) {
        (None, _) => true,
        (Some(rest), Kind::Message(inner)) => has_field(&inner, rest),
        (Some(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::notes::compile_proto;

    #[test]
    fn event_feed_has_policies() {
        let policies = Policies::load(&["shipei.event.v1.EventFeed"]).unwrap();
        assert_eq!(policies.paths().count(), 2);
        let policy = policies.of("/shipei.event.v1.EventFeed/Subscribe").unwrap();
        assert_eq!(policy.rules.len(), 5);
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

    fn load(option: &str) -> std::result::Result<Policies, PolicyError> {
        let pool = compile_proto(&format!(
            "syntax = \"proto3\"; package fake.v1; import \"shipei/common/v1/access.proto\";
             message Inner {{ string county_code = 1; }}
             message GoRequest {{ string county_code = 1; Inner inner = 2; }} message GoResponse {{}}
             service Fake {{ rpc Go(GoRequest) returns (GoResponse) {{ {option} }} }}"
        ));
        Policies::load_from(&pool, &["fake.v1.Fake"])
    }

    fn rule(rule: &str) -> std::result::Result<Policies, PolicyError> {
        load(&format!("option (shipei.common.v1.access) = {{ rules: [{{ {rule} }}] }};"))
    }

    #[test]
    fn method_without_a_good_policy_does_not_start() {
        let path = "/fake.v1.Fake/Go".to_owned();
        assert_eq!(load("").unwrap_err(), PolicyError::NoPolicy(path.clone()));
        let empty = "option (shipei.common.v1.access) = {};";
        assert_eq!(load(empty).unwrap_err(), PolicyError::NoRules(path.clone()));
        assert_eq!(rule("scope: SCOPE_PUBLIC").unwrap_err(), PolicyError::NoRole(path.clone()));
        assert_eq!(rule("role: ROLE_TRAINEE").unwrap_err(), PolicyError::NoScope(path));
        let county = "role: ROLE_COUNTY_COUNSELOR, scope: SCOPE_COUNTY";
        assert!(matches!(rule(county), Err(PolicyError::NoField { .. })));
        assert!(matches!(rule(&format!("{county}, field: \"city\"")), Err(PolicyError::UnknownField { .. })));
        let needless = "role: ROLE_PROVINCE, scope: SCOPE_PROGRAMME, field: \"county_code\"";
        assert!(matches!(rule(needless), Err(PolicyError::NeedlessField { .. })));
        assert!(rule(&format!("{county}, field: \"county_code\"")).is_ok());
        assert!(rule(&format!("{county}, field: \"inner.county_code\"")).is_ok());
        assert!(rule(&format!("{county}, field: \"inner.city\"")).is_err());
        assert!(matches!(Policies::load(&["no.such.Service"]), Err(PolicyError::UnknownService(_))));
    }
}
