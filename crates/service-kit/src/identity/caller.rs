//! Who calls. What: [`Caller`], a subject and how it is known: by a token that was verified, as a service of this suite, by nothing, or,
//! where the server is open, by the metadata `shipei-caller` alone, which is believed. Why one type for all ways in: what
//! stands behind it (rights, limits, events) asks for the caller and never for the transport.

use std::{fmt, sync::Arc};

use http::HeaderMap;
use shipei_contracts::common::v1::Role;

pub use super::role::{role_name, role_of};
use super::{
    claims::Claims,
    role::{actor, is_region_code},
};
use crate::answer::error::{Error, Result};

/// The metadata that names the caller of an open server, e.g. `service:A1@130302`. A server with keys does not read it.
pub const CALLER_HEADER: &str = "shipei-caller";
/// The longest caller that is looked at, bytes.
pub const CALLER_BYTES_MAX: usize = 128;
/// What nobody in particular is called.
const ANONYMOUS: &str = "anonymous";

/// Who calls, by id; never a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The id of the person or the name of the service; empty when anonymous.
    pub subject: String,
    /// How it is known, and what follows from that.
    pub kind: CallerKind,
}

/// How a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerKind {
    /// The server is open: the caller is what the metadata says, and may do everything.
    Open {
        /// What the caller says to be; unspecified when it says nothing.
        role: Role,
        /// The region that the caller says to belong to; may be empty.
        region_code: String,
    },
    /// A service of this suite, known by its certificate, by a token of the suite's own key, or by being in this process.
    Service {
        /// Its name, which is the source of its events.
        name: String,
    },
    /// Who brought a token that was verified.
    Token(Arc<Claims>),
    /// Nobody in particular: the server has keys, and the call no token. Calls nothing but what is open to all.
    Anonymous,
}

impl Default for Caller {
    /// Who calls an open server without a name.
    fn default() -> Self {
        let kind = CallerKind::Open { role: Role::Unspecified, region_code: String::new() };
        Self { subject: String::new(), kind }
    }
}

impl Caller {
    /// Nobody in particular, before a server with keys.
    pub fn anonymous() -> Self {
        Self { subject: String::new(), kind: CallerKind::Anonymous }
    }

    /// A service of this suite.
    pub fn service(name: &str) -> Self {
        Self { subject: name.to_owned(), kind: CallerKind::Service { name: name.to_owned() } }
    }

    /// Whom a verified token speaks of.
    pub fn of_token(claims: Arc<Claims>) -> Self {
        Self { subject: claims.subject.clone(), kind: CallerKind::Token(claims) }
    }

    /// What a caller is at most: the role of the first grant of a token, since a person who has several is let in by one of them,
    /// which admission decides.
    pub fn role(&self) -> Role {
        match &self.kind {
            CallerKind::Open { role, .. } => *role,
            CallerKind::Service { .. } => Role::Service,
            CallerKind::Token(claims) => claims.grants.first().map_or(Role::Unspecified, |grant| grant.role),
            CallerKind::Anonymous => Role::Unspecified,
        }
    }

    /// What the token says, if there is one.
    pub fn claims(&self) -> Option<&Arc<Claims>> {
        match &self.kind {
            CallerKind::Token(claims) => Some(claims),
            _ => None,
        }
    }

    /// Reads `role:subject@region` or `role:subject`, as an open server is told it; None when it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        if text == ANONYMOUS {
            return Some(Self::default());
        }
        if text.len() > CALLER_BYTES_MAX {
            return None;
        }
        let (role, rest) = text.split_once(':')?;
        let role = role_of(role)?;
        let (subject, region_code) = rest.split_once('@').unwrap_or((rest, ""));
        // It stands in events and logs.
        if shipei_text::fault_of_id(subject, CALLER_BYTES_MAX).is_some() {
            return None;
        }
        if !region_code.is_empty() && !is_region_code(region_code) {
            return None;
        }
        let kind = CallerKind::Open { role, region_code: region_code.to_owned() };
        Some(Self { subject: subject.to_owned(), kind })
    }

    /// The caller that the metadata of a call to an open server names; nobody when it names none.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the metadata has another form.
    pub fn said_in(headers: &HeaderMap) -> Result<Self> {
        let mut named = headers.get_all(CALLER_HEADER).iter();
        let Some(value) = named.next() else { return Ok(Self::default()) };
        if named.next().is_some() {
            return Err(Error::invalid(CALLER_HEADER, "a call has one caller"));
        }
        value.to_str().ok().and_then(Self::parse).ok_or_else(|| {
            Error::invalid(CALLER_HEADER, "must be role:subject@region, e.g. service:A1@130302")
        })
    }
}

impl fmt::Display for Caller {
    /// As it stands in events: `role:subject@region`, of a token by its first grant.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CallerKind::Token(claims) => match claims.grants.first() {
                Some(grant) => formatter.write_str(&claims.actor_by(grant)),
                None => write!(formatter, "{ANONYMOUS}:{}", self.subject),
            },
            CallerKind::Open { role, region_code } if *role != Role::Unspecified => {
                formatter.write_str(&actor(*role, &self.subject, region_code))
            }
            CallerKind::Service { name } => formatter.write_str(&actor(Role::Service, name, "")),
            CallerKind::Open { .. } | CallerKind::Anonymous => formatter.write_str(ANONYMOUS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_text_is_read_and_written_the_same() {
        for text in ["service:A1@130302", "service:enrollment", "province:P-1@130000", "anonymous"] {
            assert_eq!(Caller::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "K1", "king:K1", "trainee:", "trainee:张三", "trainee:T1@13", "unspecified:X"] {
            assert_eq!(Caller::parse(text), None, "{text}");
        }
    }

    #[test]
    fn services_and_people_with_tokens_are_written_by_what_they_are() {
        assert_eq!(Caller::service("assessment").to_string(), "service:assessment");
        assert_eq!(Caller::anonymous().to_string(), "anonymous");
        let claims = Claims::read(br#"{"sub":"K1","exp":9,"programmes":["p"],"grants":[{"role":"county_counselor","region":"130302"}]}"#);
        let caller = Caller::of_token(Arc::new(claims.unwrap()));
        assert_eq!(caller.to_string(), "county_counselor:K1@130302");
        assert_eq!((caller.role(), caller.subject.as_str()), (Role::CountyCounselor, "K1"));
    }
}
