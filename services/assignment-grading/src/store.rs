//! All SQL of this service, by what it keeps: submissions and marks (`judgement`: whether they count), seminars and posts, bulletins, and
//! which works are alike. No rules. A
//! statement stands once, in the words of both databases. To add a column: a new migration, its field in the row here.

/// The region of a row's class, as SQL; of a table's short name.
macro_rules! region_of_class {
    ($row:literal) => {
        concat!(
            "(SELECT k.region_code FROM mirror_class k WHERE k.programme_id = ",
            $row,
            ".programme_id AND k.class_id = ",
            $row,
            ".class_id)"
        )
    };
}

mod bulletin;
mod judgement;
mod marking;
pub(crate) mod people;
#[cfg(test)]
mod reach_tests;
mod seminar;
pub(crate) mod similarity;
mod submission;
pub(crate) mod things;

use chrono::{DateTime, Utc};
use shipei_store::{
    list::Piece,
    sqlx::{self, Encode, QueryBuilder, Type},
};

pub(crate) use bulletin::{insert_bulletin, list_bulletins};
pub(crate) use judgement::{GivenMark, given_marks, people_marked_by, save_judgement};
pub(crate) use marking::{list_marking, people_of_tutor};
pub(crate) use seminar::{
    fold_summaries, insert_post, insert_seminar, insert_summary, list_posts, list_seminars, lock_seminar,
    seminar,
};
pub(crate) use submission::{
    fold_marks, insert_mark, insert_submission, list_submissions, lock_trainee, marks, marks_of,
    save_standing, submission, works, works_of,
};

/// Who told the service, and when: kept with every fact.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
}

/// The place in a list by time after which a page begins: (time, id).
#[derive(Debug, Clone)]
pub(crate) struct AfterTime<'page> {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: &'page str,
}

/// A condition ` <text> (id, ..)`, left out when there are no ids.
struct Among<'a>(&'static str, Vec<&'a str>);

impl<DB: sqlx::Database> Piece<DB> for Among<'_>
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        let Self(text, ids) = self;
        for (place, id) in ids.iter().enumerate() {
            query.push(if place == 0 { text } else { ", " });
            if place == 0 {
                query.push(" (");
            }
            query.push_bind(*id);
        }
        if !ids.is_empty() {
            query.push(")");
        }
    }
}
