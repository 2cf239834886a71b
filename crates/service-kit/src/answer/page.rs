//! Pages of a list. What: [`Page`] is made from a request's `page_size` and `page_token`, says what the keyset
//! statement needs (`after`, `limit`), and makes the next token from one row more than was asked for. Why: a token
//! is bound to its RPC and filter, so a page of one list can't be taken for a page of another.

use prost::{Message, Name};
use shipei_contracts::common::v1::{BrokenRow, ErrorReason};
use shipei_store::{PageTokens, list::Listed};

use crate::answer::{
    broken::set_aside,
    error::{Error, Refusal, Result},
};

/// The page size when the request does not say one.
pub const PAGE_SIZE_DEFAULT: i32 = 100;
/// The largest page; a larger wish is cut to it.
pub const PAGE_SIZE_MAX: i32 = 1000;
/// About how many bytes of long texts a page may hold, so that it fits into a message whatever its size in rows.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One page that is asked for.
#[derive(Debug)]
pub struct Page {
    tokens: PageTokens,
    binding: String,
    size: usize,
    after: Option<Vec<String>>,
}

/// A page as it is answered.
#[derive(Debug)]
pub struct Listing<Entry> {
    /// What it holds, in the list's order.
    pub entries: Vec<Entry>,
    /// Where the next page begins; empty after the last.
    pub next_page_token: String,
    /// Those of this page that can't be read any more.
    pub broken: Vec<BrokenRow>,
}

impl Page {
    /// The page that `page_size` and `page_token` of a request of type `Req` ask for. `filter` is every request
    /// field that chooses or orders rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative size; INVALID_PAGE_TOKEN for a token of another list.
    pub(crate) fn open<Req: Name>(
        tokens: &PageTokens,
        filter: &[&str],
        page_size: i32,
        page_token: &str,
    ) -> Result<Self> {
        if page_size < 0 {
            return Err(Error::invalid("page_size", "must not be negative"));
        }
        let size = if page_size == 0 { PAGE_SIZE_DEFAULT } else { page_size.min(PAGE_SIZE_MAX) };
        let mut binding = Req::full_name();
        for part in filter {
            // The length keeps ["ab", "c"] and ["a", "bc"] apart.
            binding.push_str(&format!("|{}:{part}", part.len()));
        }
        let after =
            match page_token {
                "" => None,
                token => Some(tokens.open(&binding, token).map_err(|_| {
                    Error::from(Refusal::new(ErrorReason::InvalidPageToken).field("page_token"))
                })?),
            };
        let size = usize::try_from(size).unwrap_or_default();
        Ok(Self { tokens: tokens.clone(), binding, size, after })
    }

    /// The most rows of the page.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The token of a page that begins after this key, for a list that is not one statement.
    pub fn token_after(&self, key: &[String]) -> String {
        self.tokens.seal(&self.binding, key)
    }

    /// The LIMIT of the statement: one row more than the page, to learn whether there is another page.
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or_default().saturating_add(1)
    }

    /// One part of the key after which the page begins; empty on the first page, which sorts before every key, so
    /// that `WHERE key > $1` serves both.
    pub fn after(&self, part: usize) -> &str {
        self.after.as_ref().and_then(|key| key.get(part)).map_or("", String::as_str)
    }

    /// The whole key after which the page begins; empty on the first page.
    pub(crate) fn key(&self) -> &[String] {
        self.after.as_deref().unwrap_or_default()
    }

    /// Is it the first page?
    pub fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// The page of what a list's statement gave with [`Page::limit`]: an entry is made of one row after the other until the page
    /// is full, by rows or by [`PAGE_BYTES_MAX`], but of one at least. A row that can't be read takes its own place and is named.
    ///
    /// # Errors
    /// What an entry could not be made for.
    pub fn list<Row, Entry: Message>(
        &self,
        rows: Vec<Listed<Row>>,
        mut entry: impl FnMut(Row) -> Result<Entry>,
    ) -> Result<Listing<Entry>> {
        self.list_some(rows, |row| entry(row).map(Some))
    }

    /// As [`Page::list`], for rows of which some have no entry.
    ///
    /// # Errors
    /// What an entry could not be made for.
    pub fn list_some<Row, Entry: Message>(
        &self,
        rows: Vec<Listed<Row>>,
        mut entry: impl FnMut(Row) -> Result<Option<Entry>>,
    ) -> Result<Listing<Entry>> {
        let mut is_more = rows.len() > self.size;
        let (mut entries, mut broken, mut bytes, mut last) = (Vec::new(), Vec::new(), 0_usize, None);
        for (key, row) in rows.into_iter().take(self.size).map(Listed::into_parts) {
            let read = row.map_err(Error::from).and_then(&mut entry);
            if let Some(entry) = set_aside(read, &mut broken)?.flatten() {
                bytes = bytes.saturating_add(entry.encoded_len());
                if !entries.is_empty() && bytes > PAGE_BYTES_MAX {
                    is_more = true;
                    break;
                }
                entries.push(entry);
            }
            last = Some(key);
        }
        let token = last.filter(|_| is_more).map(|key| self.tokens.seal(&self.binding, &key));
        Ok(Listing { entries, next_page_token: token.unwrap_or_default(), broken })
    }

    /// The rows of the page and the token of the next one (empty on the last). `rows` is what the statement gave
    /// with [`Page::limit`]; `key` names the parts that its ORDER BY names.
    pub fn cut<Row>(&self, mut rows: Vec<Row>, key: impl FnOnce(&Row) -> Vec<String>) -> (Vec<Row>, String) {
        if rows.len() <= self.size {
            return (rows, String::new());
        }
        rows.truncate(self.size);
        let token = rows.last().map(|row| self.tokens.seal(&self.binding, &key(row))).unwrap_or_default();
        (rows, token)
    }
}

#[cfg(test)]
mod tests {
    use shipei_contracts::enrollment::v1::ListPeopleRequest;
    use shipei_store::{StoreError, crypto::Keys};

    use super::*;

    fn page(page_size: i32, page_token: &str) -> Page {
        let tokens = PageTokens::new(Keys::derive(&[7; 32]).tokens());
        Page::open::<ListPeopleRequest>(&tokens, &[], page_size, page_token).unwrap()
    }

    /// Entries of these lengths by the thousand bytes, page by page; a row of length 0 can't be read.
    fn pages(lengths: &[usize], page_size: i32) -> Vec<Vec<usize>> {
        let (mut pages, mut unreadable, mut token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = page(page_size, &token);
            let after = page.after(0).parse().unwrap_or(0_usize);
            let limit = usize::try_from(page.limit()).unwrap();
            let rows = (after + 1..=lengths.len()).take(limit);
            let rows = rows.map(|row| Listed::of(vec![row.to_string()], row)).collect();
            let entry = |row: usize| match lengths[row - 1] {
                0 => Err(StoreError::corrupt_row("t", "c", row).into()),
                length => Ok(BrokenRow { key: "x".repeat(length * 1000), ..BrokenRow::default() }),
            };
            let Listing { entries, next_page_token, broken } = page.list(rows, entry).unwrap();
            pages.push(entries.iter().map(|entry| entry.key.len() / 1000).collect());
            unreadable.extend(broken.into_iter().map(|row| row.key.parse::<usize>().unwrap() - 1));
            if next_page_token.is_empty() {
                let zeros = (0..lengths.len()).filter(|row| lengths[*row] == 0);
                assert_eq!(unreadable, zeros.collect::<Vec<_>>());
                return pages;
            }
            token = next_page_token;
        }
    }

    #[test]
    fn page_is_filled_by_rows_and_by_bytes() {
        assert_eq!(pages(&[1, 2, 3], 2), [vec![1, 2], vec![3]]);
        assert_eq!(pages(&[1, 2], 2), [vec![1, 2]]);
        assert_eq!(pages(&[], 2), [Vec::<usize>::new()]);
        // A page is about 4,194 thousand bytes; one entry may be longer.
        assert_eq!(
            pages(&[3000, 1100, 200, 5000, 1], 10),
            [vec![3000, 1100], vec![200], vec![5000], vec![1]]
        );
        // What can't be read is passed over, at the end of a page and alone too.
        assert_eq!(pages(&[1, 0, 2, 0], 2), [vec![1], vec![2]]);
        assert_eq!(pages(&[0, 0, 0], 1), [vec![], vec![], Vec::<usize>::new()]);
        assert_eq!(pages(&[4000, 0, 4000], 10), [vec![4000], vec![4000]]);
    }
}
