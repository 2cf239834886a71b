//! From cells to a candidate: each cell by itself, and all that is wrong with a row at once.

use chrono::NaiveDate;
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    identity_number::{IdentityNumber, IdentityNumberError},
    ids::{ClassId, InvalidId, PersonId, SchoolCode},
    region::{RegionCode, RegionLevel},
    subjects,
    vocabulary::Role,
};
use shipei_tables::{Ruin, ruin_of};

use super::{Candidate, Cells, Fault, Tree, Warning, at, at_name, tree::Named, words};
use crate::{convert::NAME_CHARACTERS_MAX, domain::Place};

/// The id in a row's first cell, if it can be shown.
pub(crate) fn showable_person_id(cells: &Cells) -> Option<PersonId> {
    let [person_id, ..] = &cells.cells;
    let person_id = shipei_text::clean_code(person_id);
    PersonId::parse(&person_id).ok().filter(|id| !shipei_text::holds_identity_number(id.as_str()))
}

/// Reads one row. `today` is the programme's calendar day: nobody is born after it.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_row(cells: &Cells, tree: &Tree, today: NaiveDate) -> Result<Candidate, Vec<Fault>> {
    let mut reading = Reading { cells, tree, faults: cells.faults.clone(), warnings: Vec::new() };
    let person_id = reading.id(at::PERSON_ID, PersonId::parse);
    if person_id == Some(None) {
        reading.fault(Fault::invalid(at_name(at::PERSON_ID), "the id is empty", "编号为空"));
    }
    let name = reading.name(at::NAME);
    let identity_number = reading.identity_number(today);
    let role = reading.role();
    let place = reading.place(role);
    let education_stage = reading.education_stage(role);
    let subject = reading.name(at::SUBJECT).map(|text| subjects::written(&text));
    let development_stage = reading.development_stage();
    let same_person_as = reading.id(at::SAME_PERSON_AS, PersonId::parse);
    let Reading { faults, warnings, .. } = reading;
    if let (
        Some(Some(person_id)),
        Some(name),
        Some(identity_number),
        Some(role),
        Some(subject),
        Some(same_person_as),
    ) = (person_id, name, identity_number, role, subject, same_person_as)
        && faults.is_empty()
    {
        return Ok(Candidate {
            row: cells.row,
            person_id,
            name,
            identity_number,
            role,
            place,
            education_stage,
            subject,
            development_stage,
            same_person_as,
            warnings,
        });
    }
    Err(faults)
}

/// A row being read.
struct Reading<'a> {
    cells: &'a Cells,
    tree: &'a Tree,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

impl Reading<'_> {
    /// Notes a fault, one a column: what follows from the first is no news.
    fn fault(&mut self, fault: Fault) {
        if !self.faults.iter().any(|known| known.field == fault.field && !fault.field.is_empty()) {
            self.faults.push(fault);
        }
    }

    /// What a spreadsheet has made of a code, said as a fault of its column.
    fn ruin(&mut self, place: usize) -> Option<Ruin> {
        let ruin = self.cells.ruins[place].or_else(|| ruin_of(&self.cells.cells[place]))?;
        let reason = match place {
            at::ID_NUMBER => ErrorReason::InvalidIdentityNumber,
            _ => ErrorReason::InvalidField,
        };
        self.fault(Fault::new(reason, at_name(place), ruin.en(), ruin.zh()));
        Some(ruin)
    }

    /// An id or a code, `Some(None)` when there is none.
    fn id<T>(&mut self, place: usize, parse: impl Fn(&str) -> Result<T, InvalidId>) -> Option<Option<T>> {
        let text = shipei_text::clean_code(&self.cells.cells[place]).into_owned();
        if text.is_empty() && self.cells.ruins[place].is_none() {
            return Some(None);
        }
        if self.ruin(place).is_some() {
            return None;
        }
        let fault = match parse(&text) {
            Ok(id) if !shipei_text::holds_identity_number(&text) => return Some(Some(id)),
            _ if shipei_text::holds_identity_number(&text) => Fault::invalid(
                at_name(place),
                "an identity number must not serve as an id",
                "不得用身份证号作编号",
            ),
            _ if text.chars().any(shipei_text::is_unseen) => Fault::invalid(
                at_name(place),
                "the id has a character that can't be seen; type it again",
                "编号中有看不见的字符，请重新输入",
            ),
            Err(error) => Fault::invalid(
                at_name(place),
                format!("the id {}", error.cause),
                "编号只能用字母、数字和 - _ . :，最多 64 个字符",
            ),
            Ok(id) => return Some(Some(id)),
        };
        self.fault(fault);
        None
    }

    /// A name or a subject, in its normal form.
    fn name(&mut self, place: usize) -> Option<String> {
        let text = self.cells.cells[place].trim();
        let field = at_name(place);
        if let Some(ruin) = self.cells.ruins[place].filter(|ruin| matches!(ruin, Ruin::Error | Ruin::Formula))
        {
            self.fault(Fault::invalid(field, ruin.en(), ruin.zh()));
            return None;
        }
        if text.chars().count() > NAME_CHARACTERS_MAX {
            let en = format!("longer than {NAME_CHARACTERS_MAX} characters");
            let zh = format!("超过 {NAME_CHARACTERS_MAX} 个字符");
            self.fault(Fault::new(ErrorReason::TextTooLong, field, en, zh));
            return None;
        }
        if let Some(fault) = shipei_text::fault_of_line(text) {
            self.fault(Fault::invalid(field, fault.to_string(), fault.zh()));
            return None;
        }
        if text.contains('?') || text.contains('？') {
            self.warnings.push(Warning::new(
                field,
                "it has a question mark: a rare character may have been lost when the file was saved",
                "含有问号，保存文件时可能丢失了生僻字",
            ));
        }
        Some(shipei_text::normal(text))
    }

    fn identity_number(&mut self, today: NaiveDate) -> Option<IdentityNumber> {
        let text = plain_number(&self.cells.cells[at::ID_NUMBER]);
        let field = at_name(at::ID_NUMBER);
        let fault = |en: String, zh: &str| Fault::new(ErrorReason::InvalidIdentityNumber, field, en, zh);
        let is_ruined = self.cells.ruins[at::ID_NUMBER].is_some();
        match IdentityNumber::parse(&text) {
            Ok(number) if number.birthdate() > today => {
                let en = "the birth date in the identity number is not yet".to_owned();
                self.fault(fault(en, "身份证号中的出生日期在将来"));
                None
            }
            Ok(number) if !is_ruined => {
                if text.ends_with("000") {
                    self.warnings.push(Warning::new(
                        field,
                        "it ends with 000, as numbers do that Excel has rounded; compare it with the paper",
                        "以 000 结尾，可能被 Excel 舍入过，请与证件核对",
                    ));
                }
                Some(number)
            }
            Ok(_) => {
                self.ruin(at::ID_NUMBER);
                None
            }
            Err(error) => {
                if self.ruin(at::ID_NUMBER).is_none() {
                    let digits = text.len() == 15 && text.bytes().all(|byte| byte.is_ascii_digit());
                    self.fault(match digits {
                        true => fault(
                            "a number of 15 digits is of the old kind; the one of 18 characters is needed"
                                .to_owned(),
                            "这是 15 位旧号码，请填 18 位号码",
                        ),
                        false => fault(error.to_string(), zh_of(error)),
                    });
                }
                None
            }
        }
    }

    fn role(&mut self) -> Option<Role> {
        let role = words::role(&self.cells.cells[at::ROLE]);
        if role.is_none() {
            let known: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
            let (en, zh) = (known.join(", "), words::ROLES_ZH.join("、"));
            self.fault(Fault::invalid(
                at_name(at::ROLE),
                format!("must be one of {en}"),
                format!("应为以下之一：{zh}"),
            ));
        }
        role
    }

    fn place(&mut self, role: Option<Role>) -> Place {
        let county_code = self.county(role);
        let school_code = self.id(at::SCHOOL, SchoolCode::parse).flatten();
        if school_code.is_some() && self.cells.cells[at::COUNTY].is_empty() {
            self.fault(Fault::invalid(at_name(at::COUNTY), "required with a school", "填了学校就必须填县区"));
        }
        // Only a trainee is a member of a class; lists of staff often name the class that somebody runs, in any words.
        let class_id = match role {
            Some(Role::Trainee) => self.id(at::CLASS, ClassId::parse).flatten(),
            _ => None,
        };
        Place { county_code, school_code, class_id }
    }

    /// The region, by code or by name: `None` when there is none or it can't be told.
    fn county(&mut self, role: Option<Role>) -> Option<RegionCode> {
        let field = at_name(at::COUNTY);
        let text = shipei_text::clean_code(&self.cells.cells[at::COUNTY]).into_owned();
        let needs_region = matches!(role, Some(Role::Trainee | Role::CountyCounselor | Role::MunicipalLead));
        if text.is_empty() && self.cells.ruins[at::COUNTY].is_none() {
            if needs_region {
                self.fault(Fault::invalid(field, "required of this role", "该角色必须填县区"));
            }
            return None;
        }
        if self.ruin(at::COUNTY).is_some() {
            return None;
        }
        if let Ok(code) = RegionCode::parse(&text) {
            return Some(code);
        }
        if text.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            self.fault(Fault::invalid(
                field,
                "a region code has six digits, the first not 0",
                "区划代码为六位数字，首位不为 0",
            ));
            return None;
        }
        let level = match role {
            Some(Role::Trainee | Role::CountyCounselor) => Some(RegionLevel::County),
            Some(Role::MunicipalLead) => Some(RegionLevel::City),
            _ => None,
        };
        match self.tree.named(&text, level) {
            Named::One(region) => return Some(region.code),
            Named::Several => self.fault(Fault::invalid(
                field,
                "several regions are called so; write the code",
                "有多个同名的区划，请填代码",
            )),
            Named::None => {
                self.fault(Fault::missing(
                    field,
                    "no region of this role is called so",
                    "没有这个名称的区划（按该角色的级别）",
                ));
            }
        }
        None
    }

    fn education_stage(&mut self, role: Option<Role>) -> Option<shipei_rules::vocabulary::EducationStage> {
        let text = shipei_text::trim_unseen(&self.cells.cells[at::EDUCATION_STAGE]);
        let field = at_name(at::EDUCATION_STAGE);
        let stage = words::education_stage(text);
        match stage {
            None if !text.is_empty() => self.fault(Fault::invalid(
                field,
                "must be compulsory or non_compulsory",
                "应为义务教育或非义务教育",
            )),
            None if role == Some(Role::Trainee) => {
                self.fault(Fault::invalid(field, "required of a trainee", "参训教师必须填教育阶段"));
            }
            _ => {}
        }
        stage
    }

    fn development_stage(&mut self) -> Option<shipei_rules::vocabulary::DevelopmentStage> {
        let text = shipei_text::trim_unseen(&self.cells.cells[at::DEVELOPMENT_STAGE]);
        let stage = words::development_stage(text);
        if stage.is_none() && !text.is_empty() {
            self.fault(Fault::invalid(
                at_name(at::DEVELOPMENT_STAGE),
                "must be one of novice, developing, proficient, expert",
                "应为新手、发展、熟练、专家之一",
            ));
        }
        stage
    }
}

/// An identity number without what people put between its parts and what their fonts make of X: its check digit says
/// whether what is left is one.
pub(crate) fn plain_number(text: &str) -> String {
    let text = shipei_text::clean_code(text);
    let plain = |character: char| match character {
        'Ⅹ' | 'ⅹ' | 'Х' | 'х' | '×' => Some('X'),
        '-' | '–' | '—' | '(' | ')' | '[' | ']' | '\'' | '"' => None,
        character if character.is_whitespace() || shipei_text::is_unseen(character) => None,
        character => Some(character),
    };
    text.chars().filter_map(plain).collect()
}

fn zh_of(error: IdentityNumberError) -> &'static str {
    match error {
        IdentityNumberError::Length => "身份证号应为 18 位",
        IdentityNumberError::Character => "身份证号应为 17 位数字（首位不为 0）加一位数字或 X",
        IdentityNumberError::Birthdate => "身份证号中的出生日期无效（应在 1900 至 2099 年）",
        IdentityNumberError::CheckDigit => "身份证号的校验位不对",
    }
}
