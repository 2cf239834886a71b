//! The closed lists of words that rosters, schemes and score files use, as enums.
//!
//! Every enum reads and writes the snake_case word of the season files, so that one spelling goes through the whole
//! suite. To add a word, add a line to its list; the compiler then shows every place that must decide about it.

use std::fmt;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Reads the word; `None` when it is not in the list.
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The word, as files and schemes spell it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    )+};
}

words! {
    /// What a course is about (Annex 2 counts study by it).
    Category {
        /// 公共课.
        Public = "public",
        /// 专业课程.
        Professional = "professional",
        /// 信息技术与学科融合课程.
        ItIntegration = "it_integration",
    }
    /// The education stage that a trainee teaches in (Annex 4 shares offline points by it).
    EducationStage {
        /// 义务教育.
        Compulsory = "compulsory",
        /// 非义务教育.
        NonCompulsory = "non_compulsory",
    }
    /// A teacher's stage of development (教师发展阶段).
    DevelopmentStage {
        /// A new teacher.
        Novice = "novice",
        /// A developing teacher.
        Developing = "developing",
        /// A proficient teacher.
        Proficient = "proficient",
        /// An expert teacher.
        Expert = "expert",
    }
    /// Why an item of a score counts as something else than was computed (调整, 免考).
    AdjustmentKind {
        /// 免考: sick, or exempt by the city.
        Excuse = "excuse",
        /// 申诉: an appeal that was upheld.
        Appeal = "appeal",
        /// 补交病假: a medical leave that was told late.
        LateMedicalLeave = "late_medical_leave",
    }
    /// The grade that a tutor gives a practical assignment (Annex 2).
    Grade {
        /// 优秀.
        Excellent = "excellent",
        /// 合格.
        Pass = "pass",
        /// 不合格.
        Fail = "fail",
    }
    /// What somebody is in a programme: the six columns of Annex 1.
    Role {
        /// 参训教师.
        Trainee = "trainee",
        /// 班级辅导教师.
        ClassTutor = "class_tutor",
        /// 县(区)辅导员.
        CountyCounselor = "county_counselor",
        /// 省级专家团队.
        SubjectExpert = "subject_expert",
        /// 市级负责人.
        MunicipalLead = "municipal_lead",
        /// 远程培训机构.
        TrainingInstitution = "training_institution",
    }
    /// The four items of a county's offline activity (Annex 4).
    OfflineItem {
        /// A plan submitted (方案).
        Plan = "plan",
        /// An activity held (活动).
        Activity = "activity",
        /// Every attendance of an active trainee scored (评定成绩).
        Scoring = "scoring",
        /// Results submitted (成果).
        Results = "results",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_read_back_gives_the_same_value() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(*role));
        }
        for category in Category::ALL {
            assert_eq!(Category::parse(category.as_str()), Some(*category));
        }
        for stage in EducationStage::ALL {
            assert_eq!(EducationStage::parse(&stage.to_string()), Some(*stage));
        }
        for stage in DevelopmentStage::ALL {
            assert_eq!(DevelopmentStage::parse(stage.as_str()), Some(*stage));
        }
        for item in OfflineItem::ALL {
            assert_eq!(OfflineItem::parse(item.as_str()), Some(*item));
        }
        for grade in Grade::ALL {
            assert_eq!(Grade::parse(grade.as_str()), Some(*grade));
        }
        assert_eq!(Grade::parse("Excellent"), None);
    }
}
