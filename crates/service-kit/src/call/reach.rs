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
    /// What is of one subject.
    Subject(String),
    /// The classes that a person is in: asked of the service before anything is done, and nothing until then.
    ClassesOf(String),
    /// Everything of these programmes.
    Programmes(Vec<String>),
    /// What both of these reach.
    Both(Arc<(Reach, Reach)>),
    /// What any of these reaches.
    Any(Arc<[Reach]>),
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
    /// The subjects that it is of: an expression, or a SELECT of several as `subject`; each may be several with 、 between them.
    pub subject: &'static str,
    /// When the tree is asked.
    pub as_of: AsOf,
}

impl Columns {
    /// Of rows that belong to a programme and to nothing in it.
    pub fn none(programme: &'static str, as_of: AsOf) -> Self {
        Self { programme, region: "", class: "", person: "", subject: "", as_of }
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

    /// What any of them reaches.
    #[must_use]
    pub fn any_of(reaches: impl IntoIterator<Item = Self>) -> Self {
        let (mut any, mut regions, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for reach in reaches {
            match reach {
                Self::Everything => return Self::Everything,
                Self::Regions(codes) => regions.extend(codes),
                Self::Classes(ids) => classes.extend(ids),
                Self::Any(inner) => any.extend(inner.iter().cloned()),
                other if any.contains(&other) => {}
                other => any.push(other),
            }
        }
        for list in [&mut regions, &mut classes] {
            list.sort();
            list.dedup();
        }
        if !regions.is_empty() {
            any.push(Self::Regions(regions));
        }
        if !classes.is_empty() {
            any.push(Self::Classes(classes));
        }
        match any.len() {
            // Nothing reaches nothing.
            0 => Self::Classes(Vec::new()),
            1 => any.remove(0),
            _ => Self::Any(any.into()),
        }
    }

    /// Those of whom only the classes are reached, and of whom everything is.
    pub(crate) fn people(&self) -> Vec<&str> {
        match self {
            Self::Person(id) | Self::ClassesOf(id) => vec![id],
            Self::Both(both) => both.0.people().into_iter().chain(both.1.people()).collect(),
            Self::Any(any) => any.iter().flat_map(Self::people).collect(),
            _ => Vec::new(),
        }
    }

    /// The same, with the classes of a person in the place of who they are.
    #[must_use]
    pub(crate) fn with_classes_of(&self, person_id: &str, classes: &[String]) -> Self {
        match self {
            Self::ClassesOf(id) if id == person_id => Self::Classes(classes.to_vec()),
            Self::Both(both) => {
                let (one, other) = (&both.0, &both.1);
                Self::Both(Arc::new((
                    one.with_classes_of(person_id, classes),
                    other.with_classes_of(person_id, classes),
                )))
            }
            Self::Any(any) => Self::any_of(any.iter().map(|reach| reach.with_classes_of(person_id, classes))),
            other => other.clone(),
        }
    }

    /// Whether it reaches everything of a programme.
    pub fn is_all_of(&self, programme_id: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Programmes(ids) => ids.iter().any(|id| id == programme_id),
            Self::Both(both) => both.0.is_all_of(programme_id) && both.1.is_all_of(programme_id),
            Self::Any(any) => any.iter().any(|reach| reach.is_all_of(programme_id)),
            _ => false,
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

    /// The class that is all of it; empty for any other reach. As [`Reach::only_region`], for an index.
    pub fn only_class(&self) -> &str {
        match self {
            Self::Classes(ids) if ids.len() == 1 => ids.first().map_or("", String::as_str),
            Self::Both(both) if both.0.only_class().is_empty() => both.1.only_class(),
            Self::Both(both) => both.0.only_class(),
            _ => "",
        }
    }

    /// The person who is all of it; empty for any other reach. As [`Reach::only_region`], for an index.
    pub fn only_person(&self) -> &str {
        match self {
            Self::Person(id) => id,
            Self::Both(both) if both.0.only_person().is_empty() => both.1.only_person(),
            Self::Both(both) => both.0.only_person(),
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
        if *self.reach != Reach::Everything {
            query.push(" AND ");
            push_condition(query, self.reach, &self.columns);
        }
    }
}

/// What a statement has for nobody.
const NOTHING: &str = "1 = 0";

/// The subjects of a row, each with what stands between subjects on both its sides.
macro_rules! of_known {
    () => {
        "'、' || known.subject || '、'"
    };
}

/// The condition of a reach that is not everything.
fn push_condition<DB: sqlx::Database>(query: &mut QueryBuilder<DB>, reach: &Reach, columns: &Columns)
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> DateTime<Utc>: Encode<'a, DB> + Type<DB>,
{
    match reach {
        Reach::Everything => {
            query.push("1 = 1");
        }
        Reach::Both(both) => push_joined(query, [&both.0, &both.1].into_iter(), " AND ", columns),
        Reach::Any(any) => push_joined(query, any.iter(), " OR ", columns),
        Reach::Regions(codes) => push_regions(query, codes, columns),
        Reach::Classes(ids) => push_one_of(query, columns.class, ids),
        Reach::Programmes(ids) => push_one_of(query, columns.programme, ids),
        Reach::Person(id) => push_one_of(query, columns.person, std::slice::from_ref(id)),
        Reach::Subject(subject) if !columns.subject.is_empty() && !subject.is_empty() => {
            // As with regions: a filter of each row. A text may have several subjects, of which one is without the others.
            let several = columns.subject.starts_with("SELECT ");
            let (open, close) = if several { ("", "") } else { ("SELECT ", " AS subject") };
            query.push("CASE WHEN EXISTS (SELECT 1 FROM (").push(open).push(columns.subject).push(close);
            query.push(concat!(") AS known WHERE REPLACE(", of_known!(), ", '、' || "));
            query.push_bind(subject.as_str());
            query.push(concat!(" || '、', '') <> ", of_known!(), ") THEN TRUE ELSE FALSE END"));
        }
        Reach::Subject(_) | Reach::ClassesOf(_) => {
            query.push(NOTHING);
        }
    }
}

fn push_joined<'r, DB: sqlx::Database>(
    query: &mut QueryBuilder<DB>,
    reaches: impl Iterator<Item = &'r Reach>,
    by: &'static str,
    columns: &Columns,
) where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> DateTime<Utc>: Encode<'a, DB> + Type<DB>,
{
    query.push("(");
    for (place, reach) in reaches.enumerate() {
        if place > 0 {
            query.push(by);
        }
        push_condition(query, reach, columns);
    }
    query.push(")");
}

/// What has no class or region says so by an empty text, which nobody reaches.
fn named(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).filter(|value| !value.is_empty()).collect()
}

fn push_regions<DB: sqlx::Database>(query: &mut QueryBuilder<DB>, codes: &[String], columns: &Columns)
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> DateTime<Utc>: Encode<'a, DB> + Type<DB>,
{
    let codes = named(codes);
    if columns.region.is_empty() || codes.is_empty() {
        query.push(NOTHING);
        return;
    }
    // A filter by the key of each row, so that a list goes on in its own order and a page costs what it holds. Without the
    // CASE Postgres makes a join of it, reads everything and sorts (1,001 of 200,000 rows: 1,032 ms against 30).
    query.push("CASE WHEN EXISTS (SELECT 1 FROM region_within w WHERE w.region_code = ").push(columns.region);
    query.push(" AND w.programme_id = ").push(columns.programme).push(" AND w.within_code");
    push_values(query, &codes);
    match columns.as_of {
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

/// `expression = value` or `expression IN (values)`; nothing when the rows have no such thing.
fn push_one_of<DB: sqlx::Database>(query: &mut QueryBuilder<DB>, expression: &'static str, values: &[String])
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
{
    let values = named(values);
    if expression.is_empty() || values.is_empty() {
        query.push(NOTHING);
        return;
    }
    query.push(expression);
    push_values(query, &values);
}

fn push_values<DB: sqlx::Database>(query: &mut QueryBuilder<DB>, values: &[&str])
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

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns {
        programme: "t.programme",
        region: "t.region",
        class: "t.class",
        person: "t.person",
        subject: "t.subject",
        as_of: AsOf::Row("t.at"),
    };

    fn sql(reach: &Reach, columns: Columns) -> String {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new("");
        reach.over(columns).push_to(&mut query);
        query.sql().as_str().to_owned()
    }

    #[test]
    fn what_rows_do_not_have_nobody_reaches_by_it() {
        let none = Columns::none("t.programme", AsOf::Row("t.at"));
        for reach in [
            Reach::Regions(vec!["130302".into()]),
            Reach::Classes(vec!["C1".into()]),
            Reach::Person("T1".into()),
            Reach::Subject("语文".into()),
        ] {
            assert_eq!(sql(&reach, none), " AND 1 = 0", "{reach:?}");
            assert!(!sql(&reach, COLUMNS).contains(NOTHING), "{reach:?}");
        }
        for reach in [
            Reach::Subject(String::new()),
            Reach::ClassesOf("T1".into()),
            Reach::any_of([]),
            Reach::Programmes(Vec::new()),
        ] {
            assert_eq!(sql(&reach, COLUMNS), " AND 1 = 0", "{reach:?}");
        }
        assert_eq!(sql(&Reach::Everything, none), "");
    }

    #[test]
    fn several_reaches_are_one_condition() {
        let (class, person) = (Reach::Classes(vec!["C1".into()]), Reach::Person("T1".into()));
        let any = Reach::any_of([class.clone(), person.clone(), person.clone()]);
        assert_eq!(sql(&any, COLUMNS), " AND (t.person = ? OR t.class = ?)");
        assert_eq!(sql(&class.clone().and(person), COLUMNS), " AND (t.class = ? AND t.person = ?)");
        let classes = Reach::any_of([class.clone(), Reach::Classes(vec!["C2".into(), "C1".into()])]);
        assert_eq!(classes, Reach::Classes(vec!["C1".into(), "C2".into()]));
        assert_eq!(Reach::any_of([class, Reach::Everything]), Reach::Everything);
    }

    #[test]
    fn classes_of_a_person_take_their_place() {
        let classes = ["C1".to_owned()];
        let of = Reach::ClassesOf("T1".into());
        assert_eq!(of.people(), ["T1"]);
        assert_eq!(of.with_classes_of("T1", &classes), Reach::Classes(classes.to_vec()));
        assert_eq!(of.with_classes_of("T2", &classes), of);
        let both = of.clone().and(Reach::Programmes(vec!["P".into()]));
        assert!(!both.is_all_of("P") && both.people() == ["T1"]);
        assert!(both.with_classes_of("T1", &classes).people().is_empty());
        assert!(Reach::Programmes(vec!["P".into()]).is_all_of("P"));
    }

    #[test]
    fn what_is_all_of_a_reach_may_be_found_by_an_index() {
        let of_programme = |reach: Reach| reach.and(Reach::Programmes(vec!["P".into()]));
        assert_eq!(of_programme(Reach::Classes(vec!["C1".into()])).only_class(), "C1");
        assert_eq!(of_programme(Reach::Person("T1".into())).only_person(), "T1");
        assert_eq!(of_programme(Reach::region("130302")).only_region(), "130302");
        let any = Reach::any_of([Reach::Person("T1".into()), Reach::Classes(vec!["C1".into()])]);
        assert_eq!((any.only_class(), any.only_person(), any.only_region()), ("", "", ""));
        assert_eq!(Reach::Classes(vec!["C1".into(), "C2".into()]).only_class(), "");
    }
}
