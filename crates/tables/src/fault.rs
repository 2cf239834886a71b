//! What is wrong with a file, and what is wrong with a row of it, in English and in Chinese. No message shows a cell.

use crate::{CELLS_MAX, TABLE_BYTES_MAX, UNPACKED_BYTES_MAX};

/// Why a file can't be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// More than [`TABLE_BYTES_MAX`].
    #[error("the file has {bytes} bytes; {TABLE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size, bytes.
        bytes: usize,
    },
    /// Text of no encoding that is known here.
    #[error(
        "line {line} is neither UTF-8 nor UTF-16 nor GB 18030 text; save the file as .xlsx or as CSV UTF-8"
    )]
    UnknownEncoding {
        /// The first line that does not fit.
        line: u64,
    },
    /// Lines of two encodings, and none of the two is that of most.
    #[error(
        "the file mixes UTF-8 and GB 18030: line {line} is the first that does not fit those before it; save it again \
         as .xlsx or as CSV UTF-8"
    )]
    MixedEncodings {
        /// The first line that does not fit.
        line: u64,
    },
    /// Text that is as good in one encoding as in the other.
    #[error("line {line} can be read as UTF-8 and as GB 18030; save the file as .xlsx or as CSV UTF-8")]
    AmbiguousEncoding {
        /// The first such line.
        line: u64,
    },
    /// No header.
    #[error("the file is empty; one of its first lines must name the columns")]
    Empty,
    /// A column twice.
    #[error("the column {0} stands twice in the header")]
    DuplicateColumn(String),
    /// Columns that must be there and are not.
    #[error("missing column(s): {}", .0.join(", "))]
    MissingColumns(Vec<String>),
    /// A workbook of the old format, or one with a password.
    #[error("an .xls workbook or one with a password; save it as .xlsx without a password")]
    OldWorkbook,
    /// A workbook with macros.
    #[error("the workbook has macros; save it as .xlsx")]
    Macros,
    /// A workbook that can't be read.
    #[error("the workbook is damaged and can't be read; open it, and save it as .xlsx again")]
    DamagedWorkbook,
    /// A workbook that unpacks to more than [`UNPACKED_BYTES_MAX`].
    #[error("the workbook unpacks to more than {UNPACKED_BYTES_MAX} bytes")]
    UnpacksTooLarge,
    /// Two visible sheets with the header.
    #[error("more than one visible sheet has the header; leave one, or send one file for each")]
    SeveralSheets,
}

impl TableError {
    /// The same for a Chinese reader.
    pub fn zh(&self) -> String {
        match self {
            Self::TooLarge { bytes } => format!("文件有 {bytes} 字节，最多 {TABLE_BYTES_MAX} 字节"),
            Self::UnknownEncoding { line } => {
                format!("第 {line} 行不是 UTF-8、UTF-16 或 GB 18030 文本，请另存为 .xlsx 或“CSV UTF-8”")
            }
            Self::MixedEncodings { line } => format!(
                "文件混有 UTF-8 和 GB 18030 两种编码，从第 {line} 行起与前面不一致，请另存为 .xlsx 或“CSV UTF-8”"
            ),
            Self::AmbiguousEncoding { line } => {
                format!("第 {line} 行无法判断是 UTF-8 还是 GB 18030 编码，请另存为 .xlsx 或“CSV UTF-8”")
            }
            Self::Empty => "文件是空的，开头几行中须有一行列名".to_owned(),
            Self::DuplicateColumn(column) => format!("列名 {column} 出现了两次"),
            Self::MissingColumns(columns) => format!("缺少列：{}", columns.join("、")),
            Self::OldWorkbook => "这是旧版 .xls 工作簿或设有密码，请另存为不带密码的 .xlsx".to_owned(),
            Self::Macros => "工作簿含有宏，请另存为 .xlsx".to_owned(),
            Self::DamagedWorkbook => "工作簿已损坏，无法读取，请打开后重新另存为 .xlsx".to_owned(),
            Self::UnpacksTooLarge => format!("工作簿解压后超过 {UNPACKED_BYTES_MAX} 字节"),
            Self::SeveralSheets => "有不止一张可见工作表带有表头，请只留一张，或分成几个文件发送".to_owned(),
        }
    }
}

/// What is wrong with a row, before anybody asks what its cells mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellFault {
    /// The column; empty for the row as a whole.
    pub column: &'static str,
    /// What is wrong.
    pub en: String,
    /// The same for a Chinese reader.
    pub zh: String,
}

impl CellFault {
    pub(crate) fn new(column: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { column, en: en.into(), zh: zh.into() }
    }

    pub(crate) fn odd_line(encoding: &str) -> Self {
        Self::new(
            "",
            format!(
                "this line is not {encoding} text like the rest of the file, or a character of it is cut"
            ),
            format!("本行的编码与文件其余部分（{encoding}）不一致，或有字符被截断"),
        )
    }

    pub(crate) fn unclosed_quote() -> Self {
        Self::new(
            "",
            "a quotation mark is not closed in this line; a cell has no line break",
            "本行有未配对的引号；单元格内不能换行",
        )
    }

    pub(crate) fn quote(column: &'static str) -> Self {
        Self::new(column, "has a quotation mark", "含有引号")
    }

    pub(crate) fn line_break(column: &'static str) -> Self {
        Self::new(column, "has a line break", "含有换行符")
    }

    pub(crate) fn too_many_cells(columns: usize) -> Self {
        Self::new(
            "",
            format!("more cells than the header has ({columns}); a separator too many?"),
            format!("单元格多于表头（{columns} 列），是否多了分隔符"),
        )
    }

    pub(crate) fn too_wide() -> Self {
        Self::new("", format!("more than {CELLS_MAX} cells"), format!("单元格超过 {CELLS_MAX} 个"))
    }

    pub(crate) fn too_long(column: &'static str) -> Self {
        Self::new(column, "is longer than a cell may be", "超过单元格的最大长度")
    }
}

/// Something about a file that was read that is worth saying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What.
    pub en: String,
    /// The same for a Chinese reader.
    pub zh: String,
}

impl Note {
    pub(crate) fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }
}
