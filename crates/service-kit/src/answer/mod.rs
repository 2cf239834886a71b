//! How a request is read and an answer is said. What goes through: fields are parsed by [`convert`], what is wrong becomes
//! an [`error`], and an error becomes a [`status`] with details, in [`words`] of the caller's language; a list is cut into
//! [`page`]s, and an answer has a [`size`]; a row that can't be read is set aside by [`broken`]. Why lowest: all other rooms answer, and nothing here knows of calls,
//! transactions or logs.

pub mod broken;
pub mod cells;
pub mod convert;
pub mod error;
pub mod page;
pub mod size;
pub mod status;
pub mod words;
