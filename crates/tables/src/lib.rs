//! Tables as people make them, read and written. No word of the domain, no I/O: bytes in, rows out.
//!
//! The way of a file: `encoding` (which text it is) or `book` (a workbook) -> `lines` (rows of cells) -> `column` (which
//! cell means what) -> [`Table::visit`]. What holds for every file:
//!
//! - **Every line ends somewhere**: it is the header, a blank, a title above the header, or a row that is visited with its
//!   line number, together with what is wrong with it. One bad line spoils no other.
//! - **Nothing is guessed in silence**: what does not fit the encoding of the rest is a fault of its line, and a file of
//!   which nobody can say what it is gets refused with the first line that does not fit.
//! - **Memory does not grow with the rows**: a file is kept once, and rows are cut while they are read.
//!
//! A new kind of table is a list of [`Column`]s where it is taken; a new kind of file is an arm of [`Table::open`].

mod book;
mod column;
mod encoding;
mod fault;
mod lines;
mod private_use;
mod row;
mod ruin;
mod stream;
mod table;
mod write;

pub use column::Column;
pub use encoding::Encoding;
pub use fault::{CellFault, Note, TableError};
pub use row::Row;
pub use ruin::{Ruin, ruin_of};
pub use stream::{Heading, ListFormat, TableStream};
pub use table::{Format, Table};
pub use write::{Choices, Export, Rejected, template};

/// The largest file that is read, bytes: 500,000 rows of a roster, and within what a process may hold for what is under
/// way unless it is told otherwise.
pub const TABLE_BYTES_MAX: usize = 48 * 1024 * 1024;
/// The most that a workbook may unpack to, bytes.
pub const UNPACKED_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// The most cells of a row that are looked at.
pub const CELLS_MAX: usize = 256;
/// How far down a header may stand, rows that are not blank.
pub const HEADER_ROWS_MAX: usize = 20;
/// The longest cell that is read, characters: longer ones are faults of their rows.
pub const CELL_CHARACTERS_MAX: usize = 32_767;
