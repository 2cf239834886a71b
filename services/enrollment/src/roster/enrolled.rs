//! A candidate beside what is there already: regions, classes, schools, and who is enrolled.

use std::collections::{BTreeMap, HashMap, HashSet};

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    ids::{ClassId, PersonId, SchoolCode, text_of},
    places::PlaceKind,
    region::{RegionCode, RegionLevel},
    vocabulary::{DevelopmentStage, EducationStage, Role},
};

use super::{Candidate, Fault, Tree, Warning, at, at_name, same_number_warning};
use crate::{
    domain::{Place, Time, places::decide_arrival},
    store::Life,
};

/// The most others with one identity number whom a warning names.
const HOLDERS_NAMED_MAX: usize = 3;

/// What there is of what a run of rows names.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The county of each school.
    pub(crate) schools: HashMap<SchoolCode, RegionCode>,
    /// The classes.
    pub(crate) classes: HashSet<ClassId>,
    /// Of counties, schools and classes those that were closed or merged.
    pub(crate) ended: HashMap<(PlaceKind, String), Life>,
}

/// Whether county, school and class of somebody new are there still: who is enrolled in one that is no more would have
/// nobody who sees to them.
pub(crate) fn check_open(candidate: &Candidate, known: &Known, at_time: Time) -> Vec<Fault> {
    let Place { county_code, school_code, class_id } = &candidate.place;
    let named = [
        (PlaceKind::Region, text_of(county_code.as_ref()), at::COUNTY),
        (PlaceKind::School, text_of(school_code.as_ref()), at::SCHOOL),
        (PlaceKind::Class, text_of(class_id.as_ref()), at::CLASS),
    ];
    let mut faults = Vec::new();
    for (kind, code, column) in named {
        let Some(life) = known.ended.get(&(kind, code.to_owned())) else { continue };
        if decide_arrival(life, at_time, None, at_name(column)).is_ok() {
            continue;
        }
        let (en, zh) = match life.merged_into.as_str() {
            "" => ("this is no more: it was closed".to_owned(), "已撤销".to_owned()),
            into => (format!("this is no more: it was merged into {into}"), format!("已撤销：已并入 {into}")),
        };
        faults.push(Fault::new(ErrorReason::PlaceClosed, at_name(column), en, zh));
    }
    faults
}

/// The ids that a spreadsheet may have made this one of, by taking zeros away from before it.
pub(crate) fn with_zeros(id: &str) -> impl Iterator<Item = String> + '_ {
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    (1..=ZEROS_MAX).filter(move |_| is_number).map(move |zeros| format!("{}{id}", "0".repeat(zeros)))
}

/// How many zeros before an id are thought of.
const ZEROS_MAX: usize = 5;

/// Whether county and class of a row are there: a trainee's and a counselor's is a county, a municipal lead's is a city,
/// any other's may be any region. A school need not be there ([`warnings`]).
pub(crate) fn check_places(candidate: &Candidate, tree: &Tree, known: &Known) -> Vec<Fault> {
    let Place { county_code, class_id, .. } = &candidate.place;
    let mut faults = Vec::new();
    if let Some(county_code) = county_code {
        let field = at_name(at::COUNTY);
        let level = tree.level(*county_code);
        let fault = match candidate.role {
            _ if level.is_none() => Some(("there is no such region", "没有这个区划")),
            Role::Trainee | Role::CountyCounselor if level != Some(RegionLevel::County) => {
                Some(("this region is not a county", "这个区划不是县区"))
            }
            Role::MunicipalLead if level != Some(RegionLevel::City) => {
                Some(("this region is not a city", "这个区划不是市"))
            }
            _ => None,
        };
        faults.extend(fault.map(|(en, zh)| Fault::missing(field, en, zh)));
    }
    if let Some(class_id) = class_id.as_ref().filter(|class_id| !known.classes.contains(*class_id)) {
        let field = at_name(at::CLASS);
        let padded = with_zeros(class_id.as_str())
            .any(|id| ClassId::parse(&id).is_ok_and(|id| known.classes.contains(&id)));
        faults.push(match padded {
            true => Fault::missing(
                field,
                "there is no such class, but one with zeros before it: Excel has taken them away; format the column as \
                 text",
                "没有这个班级，但有前面带 0 的班级：Excel 去掉了开头的 0，请把该列设为“文本”格式",
            ),
            false => Fault::missing(field, "there is no such class", "没有这个班级"),
        });
    }
    faults
}

/// A keyed digest of an identity number.
pub(crate) type IdentityDigest = [u8; 32];

/// What of a row may be put right later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// The digest of the identity number.
    pub(crate) digest: IdentityDigest,
    /// The name.
    pub(crate) name: String,
    /// The education stage.
    pub(crate) education_stage: Option<EducationStage>,
    /// The subject.
    pub(crate) subject: String,
    /// Where they stand in the profession.
    pub(crate) development_stage: Option<DevelopmentStage>,
}

/// Who is enrolled in a role, as far as a row can be compared with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolled {
    /// As it stands.
    pub(crate) written: Written,
    /// As the roster had it, if any of it was put right.
    pub(crate) before_corrections: Option<Written>,
    /// Whether they were not removed as enrolled by mistake.
    pub(crate) is_there: bool,
    /// Whether it was erased who they were.
    pub(crate) is_erased: bool,
    /// What they are.
    pub(crate) role: Role,
    /// Where the roster put them.
    pub(crate) roster_place: Place,
    /// Where they stand now.
    pub(crate) place: Place,
}

impl Written {
    /// As a row has it.
    fn of(candidate: &Candidate, digest: IdentityDigest) -> Self {
        Self {
            digest,
            name: candidate.name.clone(),
            education_stage: candidate.education_stage,
            subject: candidate.subject.clone(),
            development_stage: candidate.development_stage,
        }
    }
}

impl Enrolled {
    /// The candidate, once taken. Name and number of who has another role already are those of that one.
    pub(super) fn of(candidate: &Candidate, digest: IdentityDigest, other_role: Option<&Self>) -> Self {
        let mut written = Written::of(candidate, digest);
        let mut before_corrections = None;
        if let Some(other) = other_role {
            written.name.clone_from(&other.written.name);
            written.digest = other.written.digest;
            let of_the_person = |before: &Written| Written {
                digest: before.digest,
                name: before.name.clone(),
                ..written.clone()
            };
            before_corrections = other.before_corrections.as_ref().map(of_the_person);
        }
        Self {
            written,
            before_corrections,
            is_there: true,
            is_erased: false,
            role: candidate.role,
            roster_place: candidate.place.clone(),
            place: candidate.place.clone(),
        }
    }

    /// Whether the names and numbers of a row, or of what it had before it was put right, are the same in some respect.
    fn has(&self, row: &Written, same: fn(&Written, &Written) -> bool) -> bool {
        same(row, &self.written) || self.before_corrections.as_ref().is_some_and(|old| same(row, old))
    }
}

fn same_name(one: &Written, other: &Written) -> bool {
    one.name == other.name || shipei_text::same_name_key(&one.name) == shipei_text::same_name_key(&other.name)
}

fn same_number(one: &Written, other: &Written) -> bool {
    one.digest == other.digest
}

/// Somebody who holds an identity number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// What they are.
    pub(crate) role: Role,
    /// What ways to write their name have in common.
    pub(crate) name_key: String,
}

impl Holder {
    pub(crate) fn new(role: Role, name: &str) -> Self {
        Self { role, name_key: shipei_text::same_name_key(name) }
    }
}

/// Everybody who is enrolled and whom a run of rows may meet.
#[derive(Debug, Default)]
pub(crate) struct Register {
    /// Everybody in each of their roles.
    people: HashMap<PersonId, Vec<Enrolled>>,
    /// Who holds an identity number, by id, in each of their roles; more than one may.
    holders: HashMap<IdentityDigest, BTreeMap<PersonId, Vec<Holder>>>,
}

impl Register {
    /// Adds somebody in a role.
    pub(crate) fn add(&mut self, person_id: PersonId, enrolled: Enrolled) {
        if enrolled.is_there && !enrolled.is_erased {
            let holder = Holder::new(enrolled.role, &enrolled.written.name);
            self.add_holder(enrolled.written.digest, person_id.clone(), holder);
        }
        let roles = self.people.entry(person_id).or_default();
        roles.retain(|there| there.role != enrolled.role);
        roles.push(enrolled);
    }

    /// Adds a candidate who is taken, for the rows after theirs.
    pub(crate) fn add_candidate(&mut self, candidate: &Candidate, digest: IdentityDigest) {
        let other_role = self.people.get(&candidate.person_id).and_then(|roles| roles.first());
        let enrolled = Enrolled::of(candidate, digest, other_role);
        self.add(candidate.person_id.clone(), enrolled);
    }

    /// The name of somebody who is enrolled, whatever their roles.
    pub(crate) fn name(&self, person_id: &PersonId) -> Option<&str> {
        Some(self.people.get(person_id)?.first()?.written.name.as_str())
    }

    /// Whether somebody has more than one role, whether they are there in it or were removed from it.
    pub(crate) fn has_another_role(&self, person_id: &PersonId) -> bool {
        self.people.get(person_id).is_some_and(|roles| roles.len() > 1)
    }

    /// The other roles that somebody has besides one.
    pub(crate) fn other_roles(&self, person_id: &PersonId, role: Role) -> Vec<Role> {
        let roles = self.people.get(person_id).into_iter().flatten();
        let others = roles.filter(|there| there.is_there && there.role != role).map(|there| there.role);
        let mut others: Vec<Role> = others.collect();
        others.sort_unstable();
        others
    }

    /// Adds who holds an identity number.
    pub(crate) fn add_holder(&mut self, digest: IdentityDigest, person_id: PersonId, holder: Holder) {
        let holders = self.holders.entry(digest).or_default().entry(person_id).or_default();
        holders.retain(|there| there.role != holder.role);
        holders.push(holder);
    }

    /// The others who hold an identity number, by id.
    fn others(
        &self,
        digest: IdentityDigest,
        person_id: &PersonId,
    ) -> impl Iterator<Item = (&PersonId, &Vec<Holder>)> {
        let holders = self.holders.get(&digest).into_iter().flatten();
        holders.filter(move |(holder_id, _)| *holder_id != person_id)
    }

    /// The ids of the others who hold an identity number; of many, the first few.
    pub(crate) fn others_with(&self, digest: IdentityDigest, person_id: &PersonId) -> Vec<&PersonId> {
        self.others(digest, person_id).map(|(other, _)| other).take(HOLDERS_NAMED_MAX).collect()
    }
}

/// What is worth a look in a row that can be taken.
///
/// - What is odd about its cells.
/// - A school that nobody has listed, or that is listed under another county: the counties' lists of schools lag behind
///   their rosters (the seasons have such a row), and no score is by school.
/// - Others with the same identity number, by their ids: the law asks that a number be right (GB 11643), nowhere that it
///   be one person's only, and a teacher may be a trainee here and a tutor there under two ids. Under another name
///   somebody's number is mistyped, and nobody can say whose.
/// - That it is another role of somebody who has one already: it may be meant, or the column be mistyped.
pub(crate) fn warnings(
    candidate: &Candidate,
    digest: IdentityDigest,
    known: &Known,
    register: &Register,
) -> Vec<Warning> {
    let mut found = candidate.warnings.clone();
    let Place { county_code, school_code, .. } = &candidate.place;
    let is_listed = |code: &str| SchoolCode::parse(code).is_ok_and(|code| known.schools.contains_key(&code));
    let listed = school_code.as_ref().map(|code| (code, known.schools.get(code)));
    let school = match listed {
        None => None,
        Some((code, None)) if with_zeros(code.as_str()).any(|code| is_listed(&code)) => Some((
            "the list of schools does not have this one, but one with zeros before it: Excel has taken them away",
            "学校名单中没有这所学校，但有代码前面带 0 的：Excel 去掉了开头的 0",
        )),
        Some((_, None)) => Some(("the list of schools does not have this one", "学校名单中没有这所学校")),
        Some((_, Some(county))) if Some(*county) != *county_code => {
            Some(("the list of schools has this one in another county", "学校名单中这所学校属于另一个县区"))
        }
        Some((_, Some(_))) => None,
    };
    found.extend(school.map(|(en, zh)| Warning::new(at_name(at::SCHOOL), en, zh)));
    let others = register.others_with(digest, &candidate.person_id);
    if !others.is_empty() {
        found.push(same_number_warning(candidate.person_id.as_str(), &others));
    }
    let roles = register.other_roles(&candidate.person_id, candidate.role);
    if !roles.is_empty() {
        let roles: Vec<&str> = roles.into_iter().map(Role::as_str).collect();
        let en = format!("the same person is enrolled in another role, too: {}", roles.join(", "));
        let zh = format!("该人员还登记了其他角色：{}", roles.join("、"));
        found.push(Warning::new(at_name(at::ROLE), en, zh));
    }
    found
}

/// What becomes of a row that can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody new.
    New,
    /// Already there with the same content.
    Same,
}

/// Compares a row with who is enrolled in its role. A trainee who was transferred is the same in the old roster and in a new one, and
/// so is who was put right. In another role somebody is new, with the same name and number.
///
/// # Errors
/// An id of somebody who was erased, other content under the same id and role, another name or number under the same id, or the same person under another id of the same role.
pub(crate) fn judge(
    candidate: &Candidate,
    digest: IdentityDigest,
    register: &Register,
) -> Result<Verdict, Fault> {
    let row = Written::of(candidate, digest);
    let roles = register.people.get(&candidate.person_id).map_or(&[][..], Vec::as_slice);
    if roles.iter().any(|there| there.is_erased) {
        return Err(Fault::new(
            ErrorReason::PersonErased,
            at_name(at::PERSON_ID),
            "the data of whoever has this id was erased; enrol a person under another id",
            "该编号的个人信息已删除；请使用其他编号登记",
        ));
    }
    let Some(enrolled) = roles.iter().find(|there| there.role == candidate.role) else {
        let Some(other_role) = roles.first() else { return judge_new(candidate, &row, register) };
        refuse_different(&[
            (at::NAME, other_role.has(&row, same_name)),
            (at::ID_NUMBER, other_role.has(&row, same_number)),
        ])?;
        return judge_new(candidate, &other_role.written, register);
    };
    if !enrolled.is_there {
        return Err(Fault::new(
            ErrorReason::AlreadyExists,
            at_name(at::PERSON_ID),
            "this person was removed as enrolled by mistake; retract the removal to take them back",
            "该编号已作为误登记移除；如需恢复，请撤销该移除",
        ));
    }
    let place_is_known = candidate.place == enrolled.roster_place || candidate.place == enrolled.place;
    let as_written = |same| enrolled.has(&row, same);
    refuse_different(&[
        (at::NAME, as_written(same_name)),
        (at::ID_NUMBER, as_written(same_number)),
        (at::COUNTY, place_is_known || candidate.place.county_code == enrolled.place.county_code),
        (at::SCHOOL, place_is_known || candidate.place.school_code == enrolled.place.school_code),
        (at::EDUCATION_STAGE, as_written(|one, other| one.education_stage == other.education_stage)),
        (at::SUBJECT, as_written(|one, other| one.subject == other.subject)),
        (at::DEVELOPMENT_STAGE, as_written(|one, other| one.development_stage == other.development_stage)),
        (at::CLASS, place_is_known || candidate.place.class_id == enrolled.place.class_id),
    ])?;
    Ok(Verdict::Same)
}

/// Refuses a row of which some columns, of those compared, are not the same as what is there.
fn refuse_different(comparisons: &[(usize, bool)]) -> Result<(), Fault> {
    let different: Vec<&str> =
        comparisons.iter().filter(|(_, same)| !same).map(|(place, _)| at_name(*place)).collect();
    if different.is_empty() {
        return Ok(());
    }
    let en = format!("this person is enrolled with other content: {}", different.join(", "));
    let zh = format!("该编号已登记，但内容不同：{}", different.join("、"));
    Err(Fault::new(ErrorReason::AlreadyExists, at_name(at::PERSON_ID), en, zh))
}

/// Somebody new in a role, unless their number and name are there under another id of the same role and the row does not say that
/// this is meant.
fn judge_new(candidate: &Candidate, written: &Written, register: &Register) -> Result<Verdict, Fault> {
    let key = shipei_text::same_name_key(&written.name);
    let is_same = |holder: &Holder| holder.role == candidate.role && holder.name_key == key;
    let mut same = register
        .others(written.digest, &candidate.person_id)
        .filter(|(_, holders)| holders.iter().any(is_same))
        .map(|(other, _)| other)
        .peekable();
    let Some(first) = same.peek().copied() else { return Ok(Verdict::New) };
    if same.any(|other| candidate.same_person_as.as_ref() == Some(other)) {
        return Ok(Verdict::New);
    }
    let column = at_name(at::SAME_PERSON_AS);
    Err(Fault::new(
        ErrorReason::AlreadyExists,
        at_name(at::ID_NUMBER),
        format!(
            "the same person (number and name) is enrolled in this role as {first}; if both are meant, write {first} into \
             the column {column}"
        ),
        format!(
            "同一个人（身份证号和姓名都相同）已以该角色登记为 {first}；如确需登记两次，请在“同一人编号”列填 {first}"
        ),
    ))
}
