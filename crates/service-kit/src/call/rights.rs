//! What a caller's token lets it do: pure. What: [`decide`] takes the policy of an RPC, the claims and what the request names,
//! and gives how far the call reaches, or that it is not permitted. Why a value: what can be told from the request is told
//! here, and what must be looked up ([`Decision::to_look_up`]) is looked up where the work is done, in its snapshot.
//!
//! A person may have several grants. A call is let in by those that cover all that its request names; its reach is what they
//! reach together, so that a list of a counselor of two counties has both.

use shipei_contracts::{
    NamesThings,
    common::v1::{ErrorReason, Named, Role, Scope},
};

use super::{
    access::{Policy, is_thing},
    reach::Reach,
};
use crate::{
    answer::error::Refusal,
    identity::claims::{Claims, Grant, Place},
};

/// Something that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// What it is.
    pub named: Named,
    /// The field that names it.
    pub field: &'static str,
    /// The programme of the request; empty when it names none.
    pub programme_id: String,
    /// Its id or code.
    pub id: String,
}

/// Some roles. One number, since it is in every unit of work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u16);

impl Roles {
    /// These.
    pub(super) fn of(roles: impl Iterator<Item = Role>) -> Self {
        Self(roles.fold(0, |bits, role| bits | bit(role.into())))
    }

    /// One by one.
    pub(crate) fn all(self) -> Vec<Role> {
        let numbers = (0..16).filter(|number| self.0 & bit(*number) != 0);
        numbers.filter_map(|number| Role::try_from(number).ok()).collect()
    }
}

fn bit(number: i32) -> u16 {
    u32::try_from(number).ok().and_then(|number| 1_u16.checked_shl(number)).unwrap_or_default()
}

/// How a call was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) reach: Reach,
    /// What must be found within the reach before anything is done.
    pub(super) to_look_up: Vec<Thing>,
    /// Who acts, as events say it: by the first grant that let the call in.
    pub(super) actor: String,
    /// The roles of all grants that let the call in; none, where nobody asked for one.
    pub(super) roles: Roles,
    /// May it say when something happened?
    pub(super) import: bool,
    /// May it see what is masked?
    pub(super) unmasked: bool,
}

/// Something that a request names, while it is decided.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    named: Named,
    field: &'static str,
    value: &'a str,
}

/// What a request names.
pub(super) fn told<T: NamesThings + ?Sized>(request: &T) -> Vec<Told<'_>> {
    let mut told = Vec::new();
    request.tell_named(&mut |named, field, value| told.push(Told { named, field, value }));
    told
}

/// What a grant says of one thing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covers {
    Yes,
    No,
    /// It depends on where the thing lies.
    LookUp,
}

/// Whether a refusal says nothing of what there is.
fn refused() -> Refusal {
    Refusal::new(ErrorReason::NotPermitted)
}

/// Decides about a call, or about one message of a stream.
///
/// # Errors
/// NOT_PERMITTED when no grant lets it in.
pub(super) fn decide(policy: &Policy, claims: &Claims, told: &[Told<'_>]) -> Result<Decision, Refusal> {
    let programmes: Vec<&str> =
        told.iter().filter(|told| told.named == Named::Programme).map(|told| told.value).collect();
    let mut passed: Vec<(&Grant, Scope, Reach)> = Vec::new();
    // What no grant that passed covers by itself.
    let mut open: Vec<bool> = vec![true; told.len()];
    for grant in &claims.grants {
        for (_, scope) in policy.rules.iter().filter(|(role, _)| *role == grant.role) {
            let Some(reach) = reach_of(*scope, grant, claims) else { continue };
            let covers: Vec<Covers> =
                told.iter().map(|told| covers(policy, *scope, &reach, (claims, grant), *told)).collect();
            let names_something = told.iter().any(|told| is_thing(told.named));
            let is_too_wide =
                !policy.is_read && !policy.is_streamed && reach != Reach::Everything && !names_something;
            if covers.contains(&Covers::No) || is_too_wide {
                continue;
            }
            for (open, covers) in open.iter_mut().zip(&covers) {
                *open &= *covers == Covers::LookUp;
            }
            let of_grant = claims.programmes_of(grant);
            if of_grant.is_empty() {
                continue;
            }
            // What names one programme keeps to it in its own statements.
            let reach = match programmes.as_slice() {
                [_] => reach,
                _ => reach.and(Reach::Programmes(of_grant.to_vec())),
            };
            passed.push((grant, *scope, reach));
        }
    }
    let Some((first, ..)) = passed.first() else { return Err(refused()) };
    let actor = claims.actor_by(first);
    let roles = Roles::of(passed.iter().map(|(grant, ..)| grant.role));
    let import = passed.iter().any(|(grant, ..)| grant.import);
    let unmasked = passed.iter().any(|(grant, ..)| grant.unmasked);
    let reach = Reach::any_of(passed.into_iter().map(|(.., reach)| reach));
    let programme_id = programmes.first().copied().unwrap_or_default();
    let to_look_up = told
        .iter()
        .zip(open)
        .filter(|(_, open)| *open)
        .map(|(told, _)| Thing {
            named: told.named,
            field: told.field,
            programme_id: programme_id.to_owned(),
            id: told.value.to_owned(),
        })
        .collect();
    Ok(Decision { reach, to_look_up, actor, roles, import, unmasked })
}

/// How far a grant reaches in a scope; none when it has no such place.
fn reach_of(scope: Scope, grant: &Grant, claims: &Claims) -> Option<Reach> {
    Some(match (scope, &grant.place) {
        (Scope::Programme, Place::Whole) | (Scope::Public, _) => Reach::Everything,
        // A province of one region: what lies in it.
        (Scope::Programme | Scope::Region, Place::Region(code)) => Reach::Regions(vec![code.clone()]),
        (Scope::Class, Place::Class(id)) => Reach::Classes(vec![id.clone()]),
        (Scope::Class, Place::Person) => Reach::ClassesOf(claims.subject.clone()),
        (Scope::Subject, Place::Subject(subject)) => Reach::Subject(subject.clone()),
        (Scope::Self_, _) => Reach::Person(claims.subject.clone()),
        _ => return None,
    })
}

fn covers(
    policy: &Policy,
    scope: Scope,
    reach: &Reach,
    (claims, grant): (&Claims, &Grant),
    told: Told<'_>,
) -> Covers {
    let when = |is_covered: bool| if is_covered { Covers::Yes } else { Covers::No };
    let is_self = told.value == claims.subject;
    match told.named {
        Named::Programme => when(claims.programmes_of(grant).iter().any(|one| one == told.value)),
        Named::Caller => when(scope == Scope::Programme || is_self),
        _ if *reach == Reach::Everything => Covers::Yes,
        Named::Person | Named::Trainee if is_self && (policy.is_read || scope == Scope::Self_) => Covers::Yes,
        Named::Person | Named::Trainee => match reach {
            Reach::Person(_) => Covers::No,
            _ => Covers::LookUp,
        },
        Named::Class => match reach {
            Reach::Classes(ids) => when(ids.iter().any(|id| id == told.value)),
            _ => Covers::LookUp,
        },
        Named::Region => match reach {
            Reach::Regions(codes) if codes.iter().any(|code| code == told.value) => Covers::Yes,
            Reach::Regions(_) => Covers::LookUp,
            // A filter of a list that gives no more than is reached anyway.
            _ => when(policy.is_read),
        },
        Named::Submission | Named::Seminar | Named::Activity | Named::Fact | Named::OwnFact => Covers::LookUp,
        Named::Unspecified | Named::Part | Named::Reference | Named::New => Covers::Yes,
    }
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
