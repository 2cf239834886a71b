//! The contract's enums and the words of the rules, which mean the same: translated here and nowhere else. To add a value, add
//! it to the enum of the contract, to the words of `shipei_rules`, and to its line here; the compiler asks for all three.

use shipei_rules::vocabulary;

use crate::{
    assignment::v1::Grade,
    common::v1::{DevelopmentStage, EducationStage, Role},
    decisions::v1::AdjustmentKind,
    learning::v1::CourseCategory,
};

macro_rules! same {
    ($($proto:ident is $word:ident { $($variant:ident),+ } else { $($other:ident),+ })+) => {$(
        impl $proto {
            /// The same among the words of the rules; `None` for what those don't have.
            pub const fn known(self) -> Option<vocabulary::$word> {
                match self {
                    $(Self::$variant => Some(vocabulary::$word::$variant),)+
                    $(Self::$other => None,)+
                }
            }

            /// The word of the rules; empty for what those don't have.
            pub const fn word(self) -> &'static str {
                match self.known() {
                    Some(known) => known.as_str(),
                    None => "",
                }
            }
        }

        impl From<vocabulary::$word> for $proto {
            fn from(word: vocabulary::$word) -> Self {
                match word {
                    $(vocabulary::$word::$variant => Self::$variant,)+
                }
            }
        }

        impl From<Option<vocabulary::$word>> for $proto {
            fn from(word: Option<vocabulary::$word>) -> Self {
                word.map_or(Self::Unspecified, Self::from)
            }
        }
    )+};
}

same! {
    Role is Role { Trainee, ClassTutor, CountyCounselor, SubjectExpert, MunicipalLead, TrainingInstitution }
        else { Unspecified, Province, Service }
    EducationStage is EducationStage { Compulsory, NonCompulsory } else { Unspecified }
    DevelopmentStage is DevelopmentStage { Novice, Developing, Proficient, Expert } else { Unspecified }
    CourseCategory is Category { Public, Professional, ItIntegration } else { Unspecified }
    Grade is Grade { Excellent, Pass, Fail } else { Unspecified }
    AdjustmentKind is AdjustmentKind { Excuse, Appeal, LateMedicalLeave } else { Unspecified }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_value_and_reads_back() {
        for word in vocabulary::Role::ALL {
            assert_eq!(Role::from(*word).known(), Some(*word));
        }
        for word in vocabulary::EducationStage::ALL {
            assert_eq!(EducationStage::from(*word).word(), word.as_str());
        }
        for word in vocabulary::DevelopmentStage::ALL {
            assert_eq!(DevelopmentStage::from(Some(*word)).known(), Some(*word));
        }
        for word in vocabulary::Category::ALL {
            assert_eq!(CourseCategory::from(*word).known(), Some(*word));
        }
        for word in vocabulary::Grade::ALL {
            assert_eq!(Grade::from(*word).known(), Some(*word));
        }
        for word in vocabulary::AdjustmentKind::ALL {
            assert_eq!(AdjustmentKind::from(*word).known(), Some(*word));
        }
        assert_eq!((Role::Service.known(), Role::Province.word()), (None, ""));
        assert_eq!(Grade::from(None::<vocabulary::Grade>), Grade::Unspecified);
    }
}
