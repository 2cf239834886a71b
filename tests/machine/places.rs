//! What enrollment's model knows of schools that are renamed, merged and closed, and of two ids that are one person.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proptest::{prelude::*, sample::select};
use shipei_contracts::enrollment::v1::{
    self as pb, person_service_client::PersonServiceClient, place_service_client::PlaceServiceClient,
    region_service_client::RegionServiceClient,
};
use shipei_mirror::testing::PROGRAMME;
use shipei_service_kit::to_timestamp;
use tonic::{Status, transport::Channel};

use super::{
    enrollment::{People, Told},
    people::{PEOPLE, role_of},
    stated,
};

/// The schools of a county, of which one becomes part of another.
pub(crate) const SCHOOLS: [&str; 3] = ["S2A", "S2B", "S2C"];
/// Whose ids turn out to be one person's, or are said to be.
const IDS: [&str; 8] = ["T1", "T2", "T3", "U1", "U2", "K1", "K2", "T9"];

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Rename { school: &'static str, name: &'static str },
    Merge { school: &'static str, into: &'static str },
    Close { school: &'static str },
    Unite { kept: &'static str, merged: &'static str },
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    Rename(pb::RenameSchoolRequest),
    Merge(pb::MergeSchoolRequest),
    Close(pb::CloseSchoolRequest),
    Unite(pb::MergePersonsRequest),
}

fn two_of(all: &'static [&'static str]) -> impl Strategy<Value = (&'static str, &'static str)> {
    let one = || select(all.to_vec());
    (one(), one()).prop_filter("must be another one", |(one, other)| one != other)
}

pub(crate) fn acts() -> impl Strategy<Value = Act> {
    let school = || select(SCHOOLS.to_vec());
    prop_oneof![
        2 => (school(), select(vec!["一校", "二校"])).prop_map(|(school, name)| Act::Rename { school, name }),
        2 => two_of(&SCHOOLS).prop_map(|(school, into)| Act::Merge { school, into }),
        2 => school().prop_map(|school| Act::Close { school }),
        4 => two_of(&IDS).prop_map(|(kept, merged)| Act::Unite { kept, merged }),
    ]
}

pub(crate) fn request(act: &Act, request_id: &str, at: DateTime<Utc>) -> Request {
    let (programme_id, request_id) = (PROGRAMME.to_owned(), request_id.to_owned());
    let (occurred_at, reason) = (Some(to_timestamp(at)), "按通知".to_owned());
    match *act {
        Act::Rename { school, name } => Request::Rename(pb::RenameSchoolRequest {
            programme_id,
            school_code: school.to_owned(),
            name: name.to_owned(),
            reason,
            request_id,
            occurred_at,
            ..Default::default()
        }),
        Act::Merge { school, into } => Request::Merge(pb::MergeSchoolRequest {
            programme_id,
            school_code: school.to_owned(),
            into_school_code: into.to_owned(),
            reason,
            request_id,
            occurred_at,
            ..Default::default()
        }),
        Act::Close { school } => Request::Close(pb::CloseSchoolRequest {
            programme_id,
            school_code: school.to_owned(),
            reason,
            request_id,
            occurred_at,
            ..Default::default()
        }),
        Act::Unite { kept, merged } => Request::Unite(pb::MergePersonsRequest {
            programme_id,
            person_id: kept.to_owned(),
            merged_id: merged.to_owned(),
            reason,
            request_id,
            occurred_at,
            ..Default::default()
        }),
    }
}

pub(crate) async fn ask(channel: Channel, request: Request) -> Result<String, Status> {
    let mut places = PlaceServiceClient::new(channel.clone());
    let mut people = PersonServiceClient::new(channel);
    Ok(match request {
        Request::Rename(request) => format!("{:?}", places.rename_school(request).await?.into_inner()),
        Request::Merge(request) => format!("{:?}", places.merge_school(request).await?.into_inner()),
        Request::Close(request) => format!("{:?}", places.close_school(request).await?.into_inner()),
        Request::Unite(request) => format!("{:?}", people.merge_persons(request).await?.into_inner()),
    })
}

/// When a school ended, and what it was merged into, if it was.
type Ending = (DateTime<Utc>, Option<String>);

impl People {
    pub(crate) fn change(&mut self, request: &Request) -> Option<&'static str> {
        match request {
            Request::Rename(request) => {
                let (school, at) = (request.school_code.as_str(), stated(request.occurred_at.as_ref()));
                if self.ended(school).is_some_and(|(since, _)| since <= at) {
                    return Some("PLACE_CLOSED");
                }
                if self.name(school, at).1 != request.name {
                    self.note("rename", school, request.occurred_at.as_ref(), &request.request_id);
                    self.last().name.clone_from(&request.name);
                }
            }
            Request::Merge(request) => {
                let (school, into) = (request.school_code.as_str(), request.into_school_code.as_str());
                let at = stated(request.occurred_at.as_ref());
                if let Some((_, went)) = self.ended(school).filter(|(since, _)| *since <= at) {
                    return (went.as_deref() != Some(into)).then_some("PLACE_CLOSED");
                }
                if self.ended(into).is_some_and(|(since, _)| since <= at) {
                    return Some("PLACE_CLOSED");
                }
                self.note("merge", school, request.occurred_at.as_ref(), &request.request_id);
                into.clone_into(&mut self.last().name);
            }
            Request::Close(request) => {
                let (school, at) = (request.school_code.as_str(), stated(request.occurred_at.as_ref()));
                if let Some((_, went)) = self.ended(school).filter(|(since, _)| *since <= at) {
                    return went.map(|_| "PLACE_CLOSED");
                }
                if self.is_used(school, at) {
                    return Some("PLACE_NOT_EMPTY");
                }
                self.note("close", school, request.occurred_at.as_ref(), &request.request_id);
            }
            Request::Unite(request) => return self.unite(request),
        }
        None
    }

    fn unite(&mut self, request: &pb::MergePersonsRequest) -> Option<&'static str> {
        let (kept, merged) = (request.person_id.as_str(), request.merged_id.as_str());
        let (Some(role), Some(other)) = (role_of(kept), role_of(merged)) else { return Some("NOT_FOUND") };
        if role != other {
            return Some("ROLES_DIFFER");
        }
        let makes_a_chain = |told: &&Told| told.about == merged || told.name == merged || told.about == kept;
        if self.told_of(&["unite"]).any(|told| makes_a_chain(&told)) {
            return Some("PERSON_MERGED");
        }
        self.note("unite", merged, request.occurred_at.as_ref(), &request.request_id);
        kept.clone_into(&mut self.last().name);
        None
    }

    /// The id that an id counts for, and by which fact; empty texts for itself.
    pub(crate) fn counts_for(&self, person: &str) -> (String, String) {
        let told = self.standing("unite", person).last();
        told.map(|told| (told.name.clone(), told.fact.clone())).unwrap_or_default()
    }

    /// The merges and closings of schools that stand, by time; of two at one instant in the order in which they were recorded.
    fn endings(&self) -> Vec<&Told> {
        let mut endings: Vec<&Told> = self.told_of(&["merge", "close"]).collect();
        endings.sort_by_key(|told| told.at);
        endings
    }

    /// Where whoever stood in each school stands by an instant, and when each was merged away.
    fn moved_on(&self, by: DateTime<Utc>) -> (BTreeMap<String, String>, BTreeMap<String, DateTime<Utc>>) {
        let (mut now, mut gone) = (BTreeMap::new(), BTreeMap::new());
        for told in self.endings().into_iter().filter(|told| told.kind == "merge" && told.at <= by) {
            let into: String = now.get(&told.name).unwrap_or(&told.name).clone();
            if gone.contains_key(&told.about) || into == told.about {
                continue;
            }
            for went in now.values_mut().filter(|went| **went == told.about) {
                went.clone_from(&into);
            }
            now.insert(told.about.clone(), into);
            gone.insert(told.about.clone(), told.at);
        }
        (now, gone)
    }

    /// What stands for a school.
    pub(crate) fn school(&self, school: &str, by: DateTime<Utc>) -> String {
        self.moved_on(by).0.remove(school).unwrap_or_else(|| school.to_owned())
    }

    /// How a school ended, by all that stands.
    pub(crate) fn ended(&self, school: &str) -> Option<Ending> {
        let merged_at = self.moved_on(DateTime::<Utc>::MAX_UTC).1.remove(school);
        let own = self.endings().into_iter().filter(|told| told.about == school);
        let mut own = own.filter(|told| told.kind == "close" || Some(told.at) == merged_at);
        own.next().map(|told| (told.at, (told.kind == "merge").then(|| told.name.clone())))
    }

    /// Since when a school is called so as of an instant, and how.
    fn name(&self, school: &str, by: DateTime<Utc>) -> (Option<DateTime<Utc>>, String) {
        let named = self.standing("rename", school).filter(|told| told.at <= by);
        let last = named.max_by_key(|told| told.at);
        last.map_or_else(|| (None, school.to_owned()), |told| (Some(told.at), told.name.clone()))
    }

    /// Whether anybody stands in a school, or comes there or leaves it later on.
    fn is_used(&self, school: &str, at: DateTime<Utc>) -> bool {
        PEOPLE.iter().filter(|(person, ..)| !self.by_then("leave", person, at)).any(|(person, ..)| {
            let now = self.place(person, DateTime::<Utc>::MAX_UTC).1;
            let mut later = self.standing("move", person).filter(|told| told.at > at);
            self.school(&now, DateTime::<Utc>::MAX_UTC) == school
                || later.any(|told| {
                    told.from == school || told.to.as_ref().is_some_and(|(_, to, _)| to == school)
                })
        })
    }

    /// Whether somebody who comes to a school at an instant, and goes on at the next, if ever, comes to one that is no more, or stands there
    /// when it is closed.
    pub(crate) fn is_closed_to(&self, school: &str, at: DateTime<Utc>, next: Option<DateTime<Utc>>) -> bool {
        self.ended(school).is_some_and(|(since, into)| {
            since <= at || (into.is_none() && next.is_none_or(|next| since < next))
        })
    }

    pub(crate) async fn compare_schools(&self, channel: Channel) {
        let request = pb::ListSchoolsRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
        let listed = RegionServiceClient::new(channel).list_schools(request).await.unwrap().into_inner();
        for kept in listed.schools.iter().filter(|kept| SCHOOLS.contains(&kept.school_code.as_str())) {
            let (since, name) = self.name(&kept.school_code, DateTime::<Utc>::MAX_UTC);
            assert_eq!(
                (kept.named_time, &kept.name),
                (since.map(to_timestamp), &name),
                "{}",
                kept.school_code
            );
            let ended = self.ended(&kept.school_code);
            let into = ended.as_ref().and_then(|(_, into)| into.clone()).unwrap_or_default();
            let told = (kept.closed_time, &kept.merged_into_code);
            assert_eq!(told, (ended.map(|(since, _)| to_timestamp(since)), &into), "{}", kept.school_code);
        }
        assert_eq!(listed.schools.len(), SCHOOLS.len() + 1);
    }
}
