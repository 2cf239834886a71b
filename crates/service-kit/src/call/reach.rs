//! How far a caller may see, and how that is said in SQL. What: [`Reach`], which comes with every unit of work, and
//! [`Reach::over`], which makes of it the condition of one list. Why in SQL: what is cut away after reading leaves pages
//! half empty, costs what it hides, and is forgotten in the next list. So every list in a `store/` takes the reach
//! first, and `tests/architecture.rs` refuses one that doesn't. To scope a list: say in its [`Columns`] what a row
//! belongs to, and put the condition into its statement ([`shipei_store::fetch_list!`]).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_store::{
    list::Piece,
    sqlx::{self, Encode, QueryBuilder, Type},
};

/// How far a caller may see. Codes and ids are opaque here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reach {
    /// Everything.
    #[default]
    Everything,
    /// These regions, with what lies in them by the tree (`shipei_store::tree`).
    Regions(Vec<String>),
    /// These classes.
    Classes(Vec<String>),
    /// What is about one person.
    Person(String),
    /// What both of these reach.
    Both(Arc<(Reach, Reach)>),
}

/// When the tree is asked where a row's region lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// At the row's own time, by an expression of the statement: a fact belongs to the place of its own time.
    Row(&'static str),
    /// At an instant: for what stands as of then.
    At(DateTime<Utc>),
}

/// What a row of a list belongs to: expressions of the statement, e.g. `s.class_id`. An empty one is of rows that belong
/// to no such thing, so that whoever reaches only such things sees none of them.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// The programme.
    pub programme: &'static str,
    /// The region, at the time of `as_of`.
    pub region: &'static str,
    /// The class.
    pub class: &'static str,
    /// The person whom the row is about.
    pub person: &'static str,
    /// When the tree is asked.
    pub as_of: AsOf,
}

impl Columns {
    /// Of rows that belong to a programme and to nothing in it.
    pub fn none(programme: &'static str, as_of: AsOf) -> Self {
        Self { programme, region: "", class: "", person: "", as_of }
    }
}

/// The condition ` AND ..` of a reach over the rows of a statement; empty for everything.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    reach: &'a Reach,
    columns: Columns,
}

impl Reach {
    /// One region with what lies in it; everything for the empty code: what the filter of a list asks for.
    pub fn region(code: &str) -> Self {
        if code.is_empty() { Self::Everything } else { Self::Regions(vec![code.to_owned()]) }
    }

    /// What both of them reach.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, one) | (one, Self::Everything) => one,
            (one, other) => Self::Both(Arc::new((one, other))),
        }
    }

    /// The region that is all of it; empty for any other reach. A list that is of one region may find it by an index.
    pub fn only_region(&self) -> &str {
        match self {
            Self::Regions(codes) if codes.len() == 1 => codes.first().map_or("", String::as_str),
            Self::Both(both) if both.0.only_region().is_empty() => both.1.only_region(),
            Self::Both(both) => both.0.only_region(),
            _ => "",
        }
    }

    /// The condition of this reach over the rows of a statement.
    pub fn over(&self, columns: Columns) -> Scope<'_> {
        Scope { reach: self, columns }
    }
}

impl<DB: sqlx::Database> Piece<DB> for Scope<'_>
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> DateTime<Utc>: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        let Columns { programme, region, class, person, as_of } = self.columns;
        let (expression, named): (&str, Vec<&str>) = match self.reach {
            Reach::Everything => return,
            Reach::Both(both) => {
                for reach in [&both.0, &both.1] {
                    reach.over(self.columns).push_to(query);
                }
                return;
            }
            Reach::Regions(codes) => (region, codes.iter().map(String::as_str).collect()),
            Reach::Classes(ids) => (class, ids.iter().map(String::as_str).collect()),
            Reach::Person(id) => (person, vec![id]),
        };
        // What has no class or region says so by an empty text, which nobody reaches.
        let named: Vec<&str> = named.into_iter().filter(|name| !name.is_empty()).collect();
        if expression.is_empty() || named.is_empty() {
            query.push(" AND 1 = 0");
            return;
        }
        if !matches!(self.reach, Reach::Regions(_)) {
            query.push(" AND ").push(expression);
            push_one_of(query, &named);
            return;
        }
        // A filter by the key of each row, so that a list goes on in its own order and a page costs what it holds. Without the
        // CASE Postgres makes a join of it, reads everything and sorts (1,001 of 200,000 rows: 1,032 ms against 30).
        query
            .push(" AND CASE WHEN EXISTS (SELECT 1 FROM region_within w WHERE w.region_code = ")
            .push(expression);
        query.push(" AND w.programme_id = ").push(programme).push(" AND w.within_code");
        push_one_of(query, &named);
        match as_of {
            AsOf::Row(at) => {
                query.push(" AND w.from_at <= ").push(at).push(" AND w.until_at > ").push(at);
            }
            AsOf::At(at) => {
                query.push(" AND w.from_at <= ").push_bind(at);
                query.push(" AND w.until_at > ").push_bind(at);
            }
        }
        query.push(") THEN TRUE ELSE FALSE END");
    }
}

/// ` = value` or ` IN (values)`.
fn push_one_of<DB: sqlx::Database>(query: &mut QueryBuilder<DB>, values: &[&str])
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
{
    if let [value] = values {
        query.push(" = ").push_bind(*value);
        return;
    }
    query.push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(*value);
    }
    query.push(")");
}
