//! CertificateService. What stands on a certificate is gathered when it is issued (names from enrollment, the score from a final
//! version), signed, and kept sealed as one code; it is never gathered again.

use std::collections::BTreeMap;

use chrono::Datelike as _;
use shipei_certificates::{Certificate, Grounds, Hash, Number, SigningKey, Step, tree};
use shipei_contracts::{
    common::v1::{EducationStage, ErrorReason},
    decisions::v1::{self as proto, certificate_service_server::CertificateService},
    enrollment::v1::Person,
};
use shipei_rules::{
    ids::{ProgrammeId, text_of},
    region::RegionCode,
    scheme::Scheme,
};
use shipei_service_kit::{Error, Listing, ReadUnit, Refusal, Result, Unit, to_int32, to_timestamp};
use shipei_store::{DataKeys, StoreError, Tx};
use tonic::Request;

use super::{
    Answer, Handler,
    version::{hash_of, place},
};
use crate::{
    convert,
    error::not_found,
    store::{
        certificate::{self as store, CertificateRow, CertificatesAsked, Passed, ToIssue},
        version::{self, ClassRow, LeafRow},
    },
};

/// How many certificates are issued by one call.
const ISSUED_MAX: usize = 100;

#[tonic::async_trait]
impl CertificateService for Handler {
    async fn issue_certificates(
        &self,
        request: Request<proto::IssueCertificatesRequest>,
    ) -> Answer<proto::IssueCertificatesResponse> {
        self.kit.write(self, request, Self::issue).await
    }

    async fn list_certificates(
        &self,
        request: Request<proto::ListCertificatesRequest>,
    ) -> Answer<proto::ListCertificatesResponse> {
        self.kit.read(self, request, Self::certificates).await
    }

    async fn revoke_certificate(
        &self,
        request: Request<proto::RevokeCertificateRequest>,
    ) -> Answer<proto::RevokeCertificateResponse> {
        self.kit.write(self, request, Self::revoke).await
    }

    async fn verify_certificate(
        &self,
        request: Request<proto::VerifyCertificateRequest>,
    ) -> Answer<proto::VerifyCertificateResponse> {
        self.kit.read(self, request, Self::verify).await
    }

    async fn get_certificate_key(
        &self,
        request: Request<proto::GetCertificateKeyRequest>,
    ) -> Answer<proto::GetCertificateKeyResponse> {
        self.kit.read(self, request, Self::certificate_key).await
    }
}

/// What all certificates of one call have in common.
struct Issue<'call> {
    programme: &'call ProgrammeId,
    scheme: &'call Scheme,
    county: RegionCode,
    county_name: String,
    version: u32,
    root: Hash,
    classes: BTreeMap<(String, String, String), ClassRow>,
    key: SigningKey,
}

impl Handler {
    async fn issue(
        self,
        mut unit: Unit,
        request: proto::IssueCertificatesRequest,
    ) -> Result<(Unit, proto::IssueCertificatesResponse)> {
        let command = convert::issue(&request)?;
        let (programme, county) = (&command.programme, command.county);
        let (_, scheme) = self.programmes.scheme(&mut unit.tx, programme).await?;
        let found = version::final_version(&mut unit.tx, programme, command.version).await?;
        let found = found.ok_or_else(|| not_found("version"))?;
        let mut asked = ToIssue {
            version: found.version,
            county,
            person: command.person.as_ref(),
            after: &command.after,
            now: unit.now,
        };
        let limit = i64::try_from(ISSUED_MAX).unwrap_or(i64::MAX);
        let people = store::to_issue(&mut unit.tx, &unit.reach, programme, asked, limit).await?;
        if command.person.is_some() && people.is_empty() {
            let why = "has not passed by this version, or has a certificate that holds";
            return Err(Refusal::new(ErrorReason::NotFound).field("person_id").because(why).into());
        }
        let classes = version::classes(&mut unit.tx, programme, found.version).await?;
        let by_place =
            |row: ClassRow| ((row.city_code.clone(), row.county_code.clone(), row.class_id.clone()), row);
        let issue = Issue {
            programme,
            scheme: &scheme,
            county,
            county_name: self.others.region_name((&self.kit, &unit.call), programme, county).await?,
            version: u32::try_from(found.version).unwrap_or(u32::MAX),
            root: hash_of(&found.root, "root")?,
            classes: classes.into_iter().map(by_place).collect(),
            key: self.signing_key()?,
        };
        let mut answer = proto::IssueCertificatesResponse::default();
        let mut schools = BTreeMap::new();
        for passed in &people {
            // Whoever is erased meanwhile is so behind this certificate, and it is emptied.
            shipei_mirror::hold_member(&mut unit.tx, programme.as_str(), passed.person_id.as_str()).await?;
            let person = self.others.person((&self.kit, &unit.call), programme, &passed.person_id).await?;
            if command.person.is_some() && person.as_ref().is_some_and(|person| person.erased_time.is_some())
            {
                return Err(Refusal::new(ErrorReason::PersonErased).field("person_id").into());
            }
            let Some(person) = person.filter(|person| person.erased_time.is_none()) else {
                answer.skipped.push(passed.person_id.to_string());
                continue;
            };
            if !schools.contains_key(&person.county_code) {
                let names =
                    self.others.school_names((&self.kit, &unit.call), programme, &person.county_code).await?;
                schools.insert(person.county_code.clone(), names);
            }
            let school = schools.get(&person.county_code).and_then(|names| names.get(&person.school_code));
            let school = school.cloned().unwrap_or_else(|| person.school_code.clone());
            let serial = self.issue_one(&mut unit, &issue, passed, (person, school)).await?;
            if answer.issued == 0 {
                answer.first_serial = to_int32(serial);
            }
            answer.issued += 1;
        }
        if people.len() == ISSUED_MAX
            && let Some(last) = people.last()
        {
            answer.next_after = last.person_id.to_string();
            asked.after = last.person_id.as_str();
            answer.left = to_int32(store::count_to_issue(&mut unit.tx, programme, asked).await?);
        }
        Ok((unit, answer))
    }

    async fn issue_one(
        &self,
        unit: &mut Unit,
        issue: &Issue<'_>,
        passed: &Passed,
        (person, school): (Person, String),
    ) -> Result<i64> {
        let (programme, county) = (issue.programme, issue.county);
        let key = (passed.city_code.clone(), passed.county_code.clone(), passed.class_id.clone());
        let corrupt = || StoreError::corrupt_row("final_class", "class_id", &passed.class_id);
        let class = issue.classes.get(&key).ok_or_else(corrupt)?;
        let version = i64::from(issue.version);
        let rank = version::rank(&mut unit.tx, programme, version, class, &passed.person_id).await?;
        let serial = store::next_serial(&mut unit.tx, programme, county).await?;
        let narrow = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let zone = issue.scheme.zone;
        let certificate = Certificate {
            number: Number { programme_id: programme.clone(), county_code: county, serial: narrow(serial) },
            education_stage: stage_in_words(person.education_stage()).to_owned(),
            name: person.name,
            school,
            county: issue.county_name.clone(),
            programme_title: issue.scheme.title.clone(),
            year: zone.day_of(issue.scheme.reporting().from).year(),
            subject: person.subject,
            credit_hours: None,
            total: to_int32(passed.total),
            issued_on: zone.day_of(unit.now),
            grounds: Grounds {
                version: issue.version,
                leaf_index: narrow(class.first_index + rank),
                leaf: hash_of(&passed.leaf, passed.person_id.as_str())?,
                root: issue.root,
            },
        };
        let code = issue.key.code(&certificate);
        let code = code.map_err(|_| Error::Internal("a text of a certificate is too long".into()))?;
        let context = context(programme, county, serial);
        let new = CertificateRow {
            county_code: county.as_str().to_owned(),
            serial,
            person_id: passed.person_id.clone(),
            class_id: passed.class_id.clone(),
            version,
            sealed_code: self.kit.keys().vault().seal(&context, code.as_bytes())?,
            issued_at: unit.now,
            actor: unit.actor().to_owned(),
            revoked_at: None,
            revoke_reason: String::new(),
        };
        store::insert_certificate(&mut unit.tx, programme, &new).await?;
        let event = proto::CertificateIssued {
            programme_id: programme.to_string(),
            person_id: new.person_id.to_string(),
            county_code: new.county_code,
            serial: to_int32(serial),
            version: to_int32(version),
        };
        unit.emit(county.as_str(), passed.person_id.as_str(), &event);
        Ok(serial)
    }

    async fn certificates(
        self,
        mut unit: ReadUnit,
        request: proto::ListCertificatesRequest,
    ) -> Result<(ReadUnit, proto::ListCertificatesResponse)> {
        let (programme, region, person) = convert::certificates(&request)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let binding = [programme.as_str(), text_of(region.as_ref()), text_of(person.as_ref())];
        let page = self.kit.page::<proto::ListCertificatesRequest>(
            &binding,
            request.page_size,
            &request.page_token,
        )?;
        let serial = match page.is_first() {
            true => 0,
            false => page
                .after(1)
                .parse()
                .map_err(|_| Refusal::new(ErrorReason::InvalidPageToken).field("page_token"))?,
        };
        let asked = CertificatesAsked { region, person: person.as_ref(), now: unit.now };
        let after = (page.after(0), serial);
        let rows =
            store::list_certificates(&mut unit.tx, &unit.reach, &programme, asked, after, page.limit())
                .await?;
        let key = self.signing_key()?;
        let Listing { entries: certificates, next_page_token, broken } =
            page.list(rows, |row| self.issued(&key, &programme, row))?;
        Ok((unit, proto::ListCertificatesResponse { certificates, next_page_token, broken }))
    }

    /// A certificate as it is answered.
    fn issued(
        &self,
        key: &SigningKey,
        programme: &ProgrammeId,
        row: CertificateRow,
    ) -> Result<proto::IssuedCertificate> {
        let corrupt = || {
            StoreError::corrupt_row(
                "certificate",
                "sealed_code",
                format!("{}-{}", row.county_code, row.serial),
            )
        };
        let county = RegionCode::parse(&row.county_code).map_err(|_| corrupt())?;
        let erased = row.sealed_code.is_empty();
        let (certificate, code) = match erased {
            true => {
                let (programme_id, serial) =
                    (programme.clone(), u32::try_from(row.serial).map_err(|_| corrupt())?);
                (
                    what_is_left(Number { programme_id, county_code: county, serial }, row.version),
                    String::new(),
                )
            }
            false => {
                let keys = self.kit.keys();
                let code = opened_code(keys, programme, county, row.serial, &row.sealed_code);
                let code = code.ok_or_else(corrupt)?;
                (certificate_to_proto(key.public().verify(&code).map_err(|_| corrupt())?), code)
            }
        };
        Ok(proto::IssuedCertificate {
            certificate: Some(certificate),
            erased,
            code,
            person_id: row.person_id.into(),
            issued_time: Some(to_timestamp(row.issued_at)),
            issued_by: row.actor,
            revoked_time: row.revoked_at.map(to_timestamp),
            revoke_reason: row.revoke_reason,
        })
    }

    async fn revoke(
        self,
        mut unit: Unit,
        request: proto::RevokeCertificateRequest,
    ) -> Result<(Unit, proto::RevokeCertificateResponse)> {
        let (programme, county, serial, reason) = convert::revoke(&request)?;
        let found = store::certificate(&mut unit.tx, &programme, county, serial).await?;
        let found = found.ok_or_else(|| not_found("serial"))?;
        let (now, actor) = (unit.now, unit.actor().to_owned());
        let revoked_at = found.revoked_at.unwrap_or(now);
        if found.revoked_at.is_none() {
            let which = (county, serial);
            store::revoke_certificate(&mut unit.tx, &programme, which, (&reason, &actor), now).await?;
            let event = proto::CertificateRevoked {
                programme_id: programme.to_string(),
                person_id: found.person_id.to_string(),
                county_code: found.county_code,
                serial: to_int32(serial),
            };
            unit.emit(county.as_str(), found.person_id.as_str(), &event);
        }
        Ok((unit, proto::RevokeCertificateResponse { revoked_time: Some(to_timestamp(revoked_at)) }))
    }

    async fn verify(
        self,
        mut unit: ReadUnit,
        request: proto::VerifyCertificateRequest,
    ) -> Result<(ReadUnit, proto::VerifyCertificateResponse)> {
        use proto::CertificateStatus as Status;
        let mut answer = proto::VerifyCertificateResponse::default();
        let Ok(certificate) = self.signing_key()?.public().verify(&request.code) else {
            answer.set_status(Status::Forged);
            return Ok((unit, answer));
        };
        let number = &certificate.number;
        let (programme, serial) = (&number.programme_id, i64::from(number.serial));
        let found = store::certificate(&mut unit.tx, programme, number.county_code, serial).await?;
        answer.set_status(match &found {
            None => Status::Unknown,
            Some(row) if row.revoked_at.is_some() => Status::Revoked,
            Some(_) => Status::Valid,
        });
        if let Some(row) = found {
            answer.revoked_time = row.revoked_at.map(to_timestamp);
            let leaf = version::leaf_of(&mut unit.tx, programme, row.version, &row.person_id).await?;
            if let Some(leaf) = leaf {
                answer.path = path(&mut unit.tx, programme, row.version, &leaf).await?;
            }
        }
        answer.certificate = Some(certificate_to_proto(certificate));
        Ok((unit, answer))
    }

    async fn certificate_key(
        self,
        unit: ReadUnit,
        _: proto::GetCertificateKeyRequest,
    ) -> Result<(ReadUnit, proto::GetCertificateKeyResponse)> {
        let key = self.signing_key()?.public().to_string();
        Ok((unit, proto::GetCertificateKeyResponse { key }))
    }
}

/// The code of a certificate; none when this is not a sealed one.
pub(super) fn opened_code(
    keys: &DataKeys,
    programme: &ProgrammeId,
    county: RegionCode,
    serial: i64,
    sealed: &[u8],
) -> Option<String> {
    let code = keys.vault().open(&context(programme, county, serial), sealed).ok()?;
    String::from_utf8(code).ok()
}

/// What is known of a certificate of who was erased.
fn what_is_left(number: Number, version: i64) -> proto::Certificate {
    proto::Certificate {
        number: number.to_string(),
        programme_id: number.programme_id.to_string(),
        county_code: number.county_code.as_str().to_owned(),
        serial: to_int32(number.serial.into()),
        version: to_int32(version),
        ..proto::Certificate::default()
    }
}

/// What binds a sealed code to its row.
fn context(programme: &ProgrammeId, county: RegionCode, serial: i64) -> Vec<u8> {
    format!("certificate\0{programme}\0{}\0{serial}", county.as_str()).into_bytes()
}

fn stage_in_words(stage: EducationStage) -> &'static str {
    match stage {
        EducationStage::Unspecified => "",
        EducationStage::Compulsory => "义务教育",
        EducationStage::NonCompulsory => "非义务教育",
    }
}

/// The way from a leaf to the root of its version.
async fn path(
    tx: &mut Tx,
    programme: &ProgrammeId,
    number: i64,
    leaf: &LeafRow,
) -> Result<Vec<proto::TreeStep>> {
    let mut branches = tree::Branches::default();
    for class in version::classes(tx, programme, number).await? {
        let place = place(&class.city_code, &class.county_code, &class.class_id)?;
        branches.insert(place, hash_of(&class.hash, &class.class_id)?);
    }
    let members = version::leaves_of_class(tx, programme, number, leaf).await?;
    let index = members.iter().position(|member| member.person_id == leaf.person_id);
    let hashes = members.iter().map(|member| hash_of(&member.leaf, &member.person_id));
    let hashes = hashes.collect::<Result<Vec<Hash>>>()?;
    let place = place(&leaf.city_code, &leaf.county_code, &leaf.class_id)?;
    let below = index.and_then(|index| tree::path(&hashes, index)).unwrap_or_default();
    let steps: Vec<Step> = below.into_iter().chain(branches.path(&place).unwrap_or_default()).collect();
    let step =
        |step: Step| proto::TreeStep { left: step.side == tree::Side::Left, hash: step.hash.0.to_vec() };
    Ok(steps.into_iter().map(step).collect())
}

fn certificate_to_proto(it: Certificate) -> proto::Certificate {
    let Grounds { version, leaf_index, leaf, root } = it.grounds;
    proto::Certificate {
        number: it.number.to_string(),
        programme_id: it.number.programme_id.to_string(),
        county_code: it.number.county_code.as_str().to_owned(),
        serial: to_int32(it.number.serial.into()),
        name: it.name,
        school: it.school,
        county: it.county,
        programme_title: it.programme_title,
        year: it.year,
        education_stage: it.education_stage,
        subject: it.subject,
        total: it.total,
        issued_on: it.issued_on.to_string(),
        version: to_int32(version.into()),
        leaf_index: to_int32(leaf_index.into()),
        leaf: leaf.0.to_vec(),
        root: root.0.to_vec(),
    }
}
