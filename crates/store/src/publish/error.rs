//! Why something was not published.

use std::io;
use std::path::PathBuf;

use crate::erofs::WriteError;
use crate::store::StoreError;

/// What AWS says of whatever it cannot unpack; more is said here where there is more to say.
const COULD_NOT_UNZIP: &str =
    "Could not unzip uploaded file. Please check your file, then try to upload again.";

/// Why nothing was published. All but the last three are the fault of the archive, and their text is for
/// the user who made it.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Nothing, or an archive of nothing.
    #[error("the archive is empty")]
    Empty,
    /// No end record, and nothing that looks like a zip.
    #[error("the file is not a zip archive")]
    NotZip,
    /// Headers lead to where nothing is.
    #[error("the archive is truncated or damaged")]
    Truncated,
    /// The local header does not say what the directory says.
    #[error("the headers of '{name}' contradict each other")]
    Headers {
        /// The entry.
        name: String,
    },
    /// Entries share bytes.
    #[error("the entry '{name}' overlaps another one")]
    Overlap {
        /// The entry.
        name: String,
    },
    /// Needs a password.
    #[error("the entry '{name}' is encrypted")]
    Encrypted {
        /// The entry.
        name: String,
    },
    /// Neither stored nor deflated.
    #[error("the entry '{name}' is compressed by method {method}, which is not supported")]
    Method {
        /// The entry.
        name: String,
        /// Its method, as the zip format numbers them.
        method: u16,
    },
    /// A name that has no place in a package.
    #[error("the name of entry '{name}' {defect}")]
    Path {
        /// The entry.
        name: String,
        /// What is wrong with its name.
        defect: PathDefect,
    },
    /// A file or link in the place of the package's root.
    #[error("the entry '{name}' has no name of its own")]
    NoName {
        /// The entry.
        name: String,
    },
    /// Two entries of one name.
    #[error("the archive holds '{name}' more than once")]
    Duplicate {
        /// The entry.
        name: String,
    },
    /// A file whose name is also a directory's.
    #[error("'{name}' is a file and a directory at once")]
    Clash {
        /// The entry.
        name: String,
    },
    /// A link out of the package.
    #[error("the symbolic link '{name}' {defect}")]
    Symlink {
        /// The entry.
        name: String,
        /// What is wrong with its target.
        defect: LinkDefect,
    },
    /// A device, pipe or socket.
    #[error("the entry '{name}' is neither a file nor a directory nor a symbolic link")]
    SpecialFile {
        /// The entry.
        name: String,
    },
    /// Contents are not what the headers say.
    #[error("the contents of '{name}' {defect}")]
    Content {
        /// The entry.
        name: String,
        /// What is wrong with them.
        defect: ContentDefect,
    },
    /// More names than allowed.
    #[error("the archive holds more than {limit} files and directories")]
    TooManyEntries {
        /// How many are allowed.
        limit: usize,
    },
    /// More bytes than allowed.
    #[error("the archive unpacks to more than {limit} bytes")]
    TooLarge {
        /// How many are allowed.
        limit: u64,
    },
    /// Compressed better than real contents are.
    #[error("the archive unpacks to more than {limit} times its size")]
    Ratio {
        /// How many times are allowed.
        limit: u64,
    },
    /// A file of the directory to publish cannot be read.
    #[error("'{}' cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is published changed meanwhile, or is more than an image can hold.
    #[error(transparent)]
    Image(WriteError),
    /// The store's own fault, or its disk's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PublishError {
    /// What the Lambda API says to the user, in AWS's words where it has some, or `None` if the user
    /// can do nothing about it.
    pub fn user_message(&self) -> Option<String> {
        match self {
            PublishError::Read { .. } | PublishError::Image(_) | PublishError::Store(_) => None,
            PublishError::Empty => Some("Uploaded file must be a non-empty zip".to_owned()),
            PublishError::NotZip => Some(COULD_NOT_UNZIP.to_owned()),
            PublishError::TooLarge { limit } => {
                Some(format!("Unzipped size must be smaller than {limit} bytes"))
            }
            reason => Some(format!("{COULD_NOT_UNZIP} Reason: {reason}.")),
        }
    }
}

impl From<WriteError> for PublishError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(source) => StoreError::image(source).into(),
            other => PublishError::Image(other),
        }
    }
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathDefect {
    /// Nothing, or nothing between two slashes.
    #[error("has an empty component")]
    Empty,
    /// From the root of the file system.
    #[error("is absolute")]
    Absolute,
    /// `..`.
    #[error("leads out of the archive with '..'")]
    Parent,
    /// Made by a program that takes it for a separator.
    #[error("has a backslash; use '/' between directories")]
    Backslash,
    /// Ends the name for half of all programs.
    #[error("has a NUL byte")]
    Nul,
    /// Marked as UTF-8 but is not.
    #[error("is not UTF-8")]
    Encoding,
    /// Too many directories.
    #[error("is more than {limit} directories deep")]
    Deep {
        /// How many components are allowed.
        limit: usize,
    },
    /// Too many bytes.
    #[error("is longer than {limit} bytes")]
    Long {
        /// How many are allowed.
        limit: usize,
    },
    /// Too many bytes between two slashes.
    #[error("has a component longer than {limit} bytes")]
    LongComponent {
        /// How many are allowed.
        limit: usize,
    },
}

/// What is wrong with a link's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkDefect {
    /// From the root of the file system.
    #[error("leads to an absolute path")]
    Absolute,
    /// More `..` than there are directories above the link.
    #[error("leads out of the archive")]
    Outside,
    /// `..` behind a name, which may be a link itself.
    #[error("goes down and up again; only leading '..' are supported")]
    Winding,
    /// Empty, too long, or with a NUL.
    #[error("has no valid target")]
    Unreadable,
}

/// What is wrong with contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentDefect {
    /// Not a deflate stream, or not a whole one.
    #[error("cannot be decompressed")]
    Deflate,
    /// More or less than declared.
    #[error("do not have the size that the archive declares")]
    Size,
    /// Right size, wrong bytes.
    #[error("do not match their checksum")]
    Checksum,
}
