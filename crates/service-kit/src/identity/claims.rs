//! What a token says of who brought it, as types. What: [`Claims`] with their [`Grant`]s, read from the JSON of a token's payload.
//! Why so strict: what stands here decides who sees what, stands in events, and is compared with codes and ids of the database, so a
//! claim of an unknown form is refused as a whole. A claim that this suite does not know by name is no concern of it (an
//! identity provider adds its own), but a grant has no field that is not understood: it might narrow.
//!
//! One more thing that a grant can say: a field of `GrantSaid` and of [`Grant`].

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use prost_reflect::DynamicMessage;
use serde::{Deserialize, Deserializer};
use shipei_contracts::common::v1::{Role, RolePlace};

use super::role::{actor, is_region_code, role_of};
use crate::descriptors;

/// The longest id in a claim (subject, programme, class, subject of teaching), bytes.
pub const ID_BYTES_MAX: usize = 64;
/// The most programmes of a token.
pub const PROGRAMMES_MAX: usize = 64;
/// The most grants of a token.
pub const GRANTS_MAX: usize = 64;
const ROLE: &str = "shipei.common.v1.Role";
const ROLE_PLACE_OPTION: &str = "shipei.common.v1.role_place";

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whom it speaks of: the id of a person in its programmes, or of whoever else calls.
    pub subject: String,
    /// The programmes that its grants are for; none is none.
    pub programmes: Vec<String>,
    /// What the subject may, each for itself.
    pub grants: Vec<Grant>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Since when it holds; from the beginning of time when it doesn't say.
    pub not_before: DateTime<Utc>,
    /// The id of the key that signed it; empty before it is verified.
    pub key_id: String,
}

/// One right: a role in a place of the token's programmes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What the subject is there.
    pub role: Role,
    /// The programme that it is for; none: each of the token's.
    pub programme_id: Option<String>,
    /// How far it reaches.
    pub place: Place,
    /// May say when something happened (`occurred_at`) and send files of what happened: an import.
    pub import: bool,
    /// May ask for what is masked else (`view = FULL`).
    pub unmasked: bool,
}

/// How far a grant reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All of its programmes.
    Whole,
    /// A region, with what lies in it by the dated tree.
    Region(String),
    /// A class.
    Class(String),
    /// A subject of teaching.
    Subject(String),
    /// The token's subject alone.
    Person,
}

/// Why the payload of a token can't be. It never repeats the payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaims {
    /// No JSON object with the claims that there must be, in their types.
    #[error("the payload is not the JSON that a token of this suite has ({0})")]
    Malformed(String),
    /// A claim whose value can't be.
    #[error("the claim `{claim}` {fault}")]
    Fault {
        /// Which, e.g. `grants[2].region`.
        claim: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// The payload as it stands in a token, in the right types and not yet looked at.
#[derive(Deserialize)]
pub(crate) struct ClaimsSaid {
    sub: String,
    #[serde(deserialize_with = "seconds")]
    exp: i64,
    #[serde(default, deserialize_with = "some_seconds")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "some_seconds")]
    iat: Option<i64>,
    #[serde(default)]
    programmes: Vec<String>,
    #[serde(default)]
    grants: Vec<GrantSaid>,
}

/// A grant as it stands in a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantSaid {
    role: String,
    programme: Option<String>,
    region: Option<String>,
    class: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    import: bool,
    #[serde(default)]
    unmasked: bool,
}

impl Claims {
    /// Reads the payload of a token (JSON). Issuer, audience and signature are the verifier's affair.
    ///
    /// # Errors
    /// The first claim that can't be.
    pub fn read(payload: &[u8]) -> Result<Self, InvalidClaims> {
        let said: ClaimsSaid = serde_json::from_slice(payload).map_err(|error| malformed(&error))?;
        said.read()
    }

    /// Who acts by a grant, as events say it: `role:subject@place`.
    pub fn actor_by(&self, grant: &Grant) -> String {
        let place = match &grant.place {
            Place::Region(place) | Place::Class(place) | Place::Subject(place) => place.as_str(),
            Place::Whole | Place::Person => "",
        };
        actor(grant.role, &self.subject, place)
    }

    /// The programmes that a grant of this token is for.
    pub fn programmes_of<'a>(&'a self, grant: &'a Grant) -> &'a [String] {
        match &grant.programme_id {
            Some(programme) => std::slice::from_ref(programme),
            None => &self.programmes,
        }
    }
}

impl ClaimsSaid {
    /// What it says, if it can be.
    ///
    /// # Errors
    /// The first claim that can't be.
    pub(crate) fn read(self) -> Result<Claims, InvalidClaims> {
        let said = self;
        check_id("sub", &said.sub)?;
        let at_most = |claim: &str, count: usize, most: usize| {
            if count > most { Err(fault(claim.to_owned(), "has too many entries")) } else { Ok(()) }
        };
        at_most("programmes", said.programmes.len(), PROGRAMMES_MAX)?;
        at_most("grants", said.grants.len(), GRANTS_MAX)?;
        for (place, programme) in said.programmes.iter().enumerate() {
            check_id(&format!("programmes[{place}]"), programme)?;
        }
        let mut grants = Vec::with_capacity(said.grants.len());
        for (place, grant) in said.grants.into_iter().enumerate() {
            grants.push(grant.read(place, &said.programmes)?);
        }
        let instant = |claim: &str, seconds: i64| {
            DateTime::from_timestamp(seconds, 0).ok_or_else(|| fault(claim.to_owned(), "is no time"))
        };
        Ok(Claims {
            expires_at: instant("exp", said.exp)?,
            // A token that says only when it was made holds from then on.
            not_before: said
                .nbf
                .or(said.iat)
                .map_or(Ok(DateTime::<Utc>::MIN_UTC), |seconds| instant("nbf", seconds))?,
            subject: said.sub,
            programmes: said.programmes,
            grants,
            key_id: String::new(),
        })
    }
}

impl GrantSaid {
    /// `number` is its place among the grants.
    fn read(self, number: usize, programmes: &[String]) -> Result<Grant, InvalidClaims> {
        let named = |field: &str| format!("grants[{number}].{field}");
        let role = role_of(&self.role).ok_or_else(|| fault(named("role"), "is no role"))?;
        if let Some(programme) = &self.programme
            && !programmes.contains(programme)
        {
            return Err(fault(named("programme"), "is none of the token's programmes"));
        }
        Ok(Grant {
            role,
            place: place_of(role, (self.region, self.class, self.subject), &named)?,
            programme_id: self.programme,
            import: self.import,
            unmasked: self.unmasked,
        })
    }
}

/// The place of a role: each has one kind of place (an option of the role in the contract), so that a claim that forgets it gives
/// less and never more.
fn place_of(
    role: Role,
    said: (Option<String>, Option<String>, Option<String>),
    named: &impl Fn(&str) -> String,
) -> Result<Place, InvalidClaims> {
    use RolePlace::{Class, Person, Region, Subject, Whole, WholeOrRegion};
    let missing = |field: &str| Err(fault(named(field), "is missing"));
    match (PLACES.get(&(role as i32)).copied().unwrap_or_default(), said) {
        (Person, (None, None, None)) => Ok(Place::Person),
        (Class, (None, Some(class), None)) => {
            check_id(&named("class"), &class)?;
            Ok(Place::Class(class))
        }
        (Class, (None, None, None)) => missing("class"),
        (Subject, (None, None, Some(subject))) => {
            check_subject(&named("subject"), &subject)?;
            Ok(Place::Subject(subject))
        }
        (Subject, (None, None, None)) => missing("subject"),
        (Region | WholeOrRegion, (Some(region), None, None)) => {
            if !is_region_code(&region) {
                return Err(fault(named("region"), "is no code of six digits"));
            }
            Ok(Place::Region(region))
        }
        (Region, (None, None, None)) => missing("region"),
        (Whole | WholeOrRegion, (None, None, None)) => Ok(Place::Whole),
        _ => Err(fault(named("role"), "has a place that is none of this role's")),
    }
}

static PLACES: LazyLock<HashMap<i32, RolePlace>> = LazyLock::new(places);

/// Which kind of place each role has, as the contract says.
fn places() -> HashMap<i32, RolePlace> {
    let pool = descriptors::pool();
    let (Some(roles), Some(option)) =
        (pool.get_enum_by_name(ROLE), pool.get_extension_by_name(ROLE_PLACE_OPTION))
    else {
        return HashMap::new();
    };
    let place = |options: &DynamicMessage| {
        options.get_extension(&option).as_enum_number().and_then(|number| RolePlace::try_from(number).ok())
    };
    roles.values().filter_map(|role| Some((role.number(), place(&role.options())?))).collect()
}

fn check_id(claim: &str, id: &str) -> Result<(), InvalidClaims> {
    match shipei_text::fault_of_id(id, ID_BYTES_MAX) {
        Some(fault) => Err(InvalidClaims::Fault { claim: claim.to_owned(), fault }),
        None => Ok(()),
    }
}

/// A subject is called as the roster calls it, which is no id: 语文.
fn check_subject(claim: &str, subject: &str) -> Result<(), InvalidClaims> {
    if subject.is_empty() || subject.len() > ID_BYTES_MAX || shipei_text::trim_unseen(subject) != subject {
        return Err(fault(claim.to_owned(), "is no name of a subject"));
    }
    Ok(())
}

fn fault(claim: String, fault: &'static str) -> InvalidClaims {
    InvalidClaims::Fault { claim, fault }
}

/// What is wrong with a JSON text, and where, without a word of it.
fn malformed(error: &serde_json::Error) -> InvalidClaims {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a claim of another type, or one that is missing or twice",
        _ => "no JSON",
    };
    InvalidClaims::Malformed(format!("{what}, line {} column {}", error.line(), error.column()))
}

/// A NumericDate: seconds since 1970, which some providers write with a fraction; what is finer than a second is cut off.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumericDate {
    Whole(i64),
    Fraction(f64),
}

impl NumericDate {
    fn whole(&self) -> i64 {
        match self {
            Self::Whole(seconds) => *seconds,
            // A cast stops at the ends of i64, which are no times.
            Self::Fraction(seconds) => *seconds as i64,
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    NumericDate::deserialize(deserializer).map(|date| date.whole())
}

fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<NumericDate>::deserialize(deserializer)?.map(|date| date.whole()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str) -> Result<Claims, InvalidClaims> {
        Claims::read(format!(r#"{{"sub":"K1","exp":1800000000,{rest}}}"#).as_bytes())
    }

    fn grant(grant: &str) -> Result<Grant, InvalidClaims> {
        let claims = read(&format!(r#""programmes":["qinhuangdao-2019"],"grants":[{{{grant}}}]"#))?;
        Ok(claims.grants[0].clone())
    }

    #[test]
    fn claims_are_read_as_an_issuer_writes_them() {
        let claims = Claims::read(
            br#"{"iss":"https://id.example","aud":["shipei"],"sub":"K1","exp":1800000000,"nbf":1700000000.5,"iat":1,"email":"x",
                "programmes":["qinhuangdao-2019"],
                "grants":[{"role":"county_counselor","region":"130302","import":true},{"role":"class_tutor","class":"C1"},
                          {"role":"subject_expert","subject":"math"},{"role":"trainee","programme":"qinhuangdao-2019"},
                          {"role":"training_institution","unmasked":true},{"role":"province","region":"130000"}]}"#,
        )
        .unwrap();
        assert_eq!((claims.subject.as_str(), claims.expires_at.timestamp()), ("K1", 1_800_000_000));
        assert_eq!(claims.not_before.timestamp(), 1_700_000_000);
        let places: Vec<_> = claims.grants.iter().map(|grant| grant.place.clone()).collect();
        let text = str::to_owned;
        assert_eq!(
            places,
            [
                Place::Region(text("130302")),
                Place::Class(text("C1")),
                Place::Subject(text("math")),
                Place::Person,
                Place::Whole,
                Place::Region(text("130000")),
            ]
        );
        assert!(claims.grants[0].import && !claims.grants[0].unmasked && claims.grants[4].unmasked);
        assert_eq!(claims.actor_by(&claims.grants[1]), "class_tutor:K1@C1");
        assert_eq!(claims.actor_by(&claims.grants[3]), "trainee:K1");
        assert_eq!(claims.programmes_of(&claims.grants[0]), ["qinhuangdao-2019"]);
    }

    #[test]
    fn subject_is_called_as_the_roster_calls_it() {
        let expert = grant(r#""role":"subject_expert","subject":"语文""#).unwrap();
        assert_eq!(expert.place, Place::Subject("语文".to_owned()));
    }

    #[test]
    fn who_has_no_programme_and_no_grant_has_none() {
        let claims = read(r#""name":"K""#).unwrap();
        assert!(claims.programmes.is_empty() && claims.grants.is_empty());
        assert_eq!(claims.not_before, DateTime::<Utc>::MIN_UTC);
    }

    #[test]
    fn every_role_has_a_kind_of_place() {
        for number in 1.. {
            let Ok(role) = Role::try_from(number) else { break };
            assert!(PLACES.get(&number).is_some_and(|place| *place != RolePlace::Unspecified), "{role:?}");
        }
    }

    #[test]
    fn grant_has_the_place_of_its_role_and_no_other() {
        for bad in [
            r#""role":"king""#,
            r#""role":"ROLE_TRAINEE""#,
            r#""role":"unspecified""#,
            r#""region":"130302""#,
            r#""role":"county_counselor""#,
            r#""role":"county_counselor","region":"1303""#,
            r#""role":"county_counselor","region":"１３０３０２""#,
            r#""role":"county_counselor","region":"130302","class":"C1""#,
            r#""role":"municipal_lead","class":"C1""#,
            r#""role":"class_tutor""#,
            r#""role":"class_tutor","class":"""#,
            r#""role":"class_tutor","class":"C 1""#,
            r#""role":"class_tutor","class":["C1"]"#,
            r#""role":"subject_expert""#,
            r#""role":"subject_expert","subject":" 语文""#,
            r#""role":"subject_expert","subject":"""#,
            r#""role":"trainee","region":"130302""#,
            r#""role":"service","region":"130302""#,
            r#""role":"training_institution","region":"130302""#,
            r#""role":"province","programme":"another""#,
            r#""role":"province","until":"2019-12-31""#,
            r#""role":"province","import":"yes""#,
        ] {
            assert!(grant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn payload_of_another_form_is_refused_and_not_repeated() {
        let many = |entry: &str, count: usize| vec![entry; count].join(",");
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"sub":"","exp":1}"#,
            r#"{"sub":"K1"}"#,
            r#"{"sub":1,"exp":1}"#,
            r#"{"sub":"张三","exp":1}"#,
            r#"{"sub":"130302198001010118","exp":1}"#,
            r#"{"sub":"K1","exp":"1"}"#,
            r#"{"sub":"K1","exp":9223372036854775807}"#,
            r#"{"sub":"K1","exp":1e300}"#,
            r#"{"sub":"K1","exp":1,"sub":"K2"}"#,
            r#"{"sub":"K1","exp":1,"grants":{}}"#,
            r#"{"sub":"K1","exp":1,"programmes":"p"}"#,
            r#"{"sub":"K1","exp":1,"programmes":["p q"]}"#,
            &format!(r#"{{"sub":"{}","exp":1}}"#, "a".repeat(ID_BYTES_MAX + 1)),
            &format!(r#"{{"sub":"K1","exp":1,"programmes":[{}]}}"#, many(r#""p""#, PROGRAMMES_MAX + 1)),
            &format!(
                r#"{{"sub":"K1","exp":1,"grants":[{}]}}"#,
                many(r#"{"role":"trainee"}"#, GRANTS_MAX + 1)
            ),
        ] {
            let error = Claims::read(bad.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("130302198001010118") && !error.contains("张三"), "{error}");
        }
    }
}
