//! The library's error: what is wrong, where, what was expected and what to do about it.
//!
//! Every variant knows the exit code of the binary: 1 a gate failed or training diverged, 2 usage,
//! recipe or data that cannot be used, 3 environment (disk, network, device), 130 interrupted.

use std::path::{Path, PathBuf};

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, sorted by what the user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Input data cannot be used (exit code 2).
    #[error("{}: {message}{}", location(.path, *.line), help_suffix(.help))]
    Data {
        /// The offending file or folder.
        path: PathBuf,
        /// 1-based line, where one is known.
        line: Option<u64>,
        /// What was expected and what was found.
        message: String,
        /// What to do about it; may be empty.
        help: String,
    },
    /// A recipe that cannot be run; the text is a rendered list of all faults (exit code 2).
    #[error("{0}")]
    Recipe(String),
    /// As [`Self::Recipe`], drawn with excerpts, and in colors where standard error is a terminal: what it
    /// quotes was made visible before (exit code 2).
    #[error("{0}")]
    Faults(String),
    /// The command line asks for something impossible (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// The environment refuses: disk, permissions, locks (exit code 3).
    #[error("{}: {message}{}", .path.display(), help_suffix(.help))]
    Environment {
        /// The file or folder involved.
        path: PathBuf,
        /// What was attempted and how it failed.
        message: String,
        /// What to do about it; may be empty.
        help: String,
    },
    /// The device that should compute is not there (exit code 3).
    #[error(
        "no GPU can be used: {0}\n  help: set device = \"cpu\" (--device cpu), or see that driver and build fit the machine"
    )]
    Device(String),
    /// The machine, or what the recipe allows of it, has too little memory (exit code 3).
    #[error("{message}{}", help_suffix(.help))]
    Memory {
        /// What needs more than there is.
        message: String,
        /// What to do about it; may be empty.
        help: String,
    },
    /// The work ran, but its result must not be used: training diverged, a stated gate failed (exit code 1).
    #[error("{0}")]
    Failed(String),
    /// The user interrupted; a checkpoint was written (exit code 130).
    #[error("interrupted; run the same command again to continue")]
    Interrupted,
    /// Whoever reads standard output went away: nothing to report, and not a fault (exit code 0).
    #[error("the reader of the output went away")]
    Broken,
    /// A tensor operation failed: always a fault of this program, reported with its context (exit code 1).
    #[error("tensor operation failed: {0}")]
    Tensor(candle_core::Error),
}

impl From<candle_core::Error> for Error {
    /// A GPU whose memory is full is a fault of the machine, or of what it was asked to do.
    fn from(error: candle_core::Error) -> Self {
        let text = error.to_string();
        if text.contains("OUT_OF_MEMORY") || text.contains("CUBLAS_STATUS_ALLOC_FAILED") {
            return Self::Memory {
                message: "the memory of the GPU is full".into(),
                help: String::new(),
            };
        }
        Self::Tensor(error)
    }
}

impl Error {
    /// Data fault without a line.
    pub fn data(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Data {
            path: path.as_ref().to_owned(),
            line: None,
            message: message.into(),
            help: String::new(),
        }
    }

    /// Data fault at a 1-based line.
    pub fn data_at(path: impl AsRef<Path>, line: u64, message: impl Into<String>) -> Self {
        Self::Data {
            path: path.as_ref().to_owned(),
            line: Some(line),
            message: message.into(),
            help: String::new(),
        }
    }

    /// An input file could not be read: missing or unreadable input is the user's to fix (exit code 2).
    pub fn unreadable(path: impl AsRef<Path>, cause: &std::io::Error) -> Self {
        Self::data(path, format!("cannot be read: {cause}"))
    }

    /// An output could not be written (exit code 3).
    pub fn unwritable(path: impl AsRef<Path>, cause: &std::io::Error) -> Self {
        let help = if cause.kind() == std::io::ErrorKind::StorageFull {
            "free some disk space, or write to another disk; what is finished is kept"
        } else {
            ""
        };
        Self::Environment {
            path: path.as_ref().to_owned(),
            message: format!("cannot be written: {cause}"),
            help: help.into(),
        }
    }

    /// Standard output could not be written (exit code 3).
    pub fn unprintable(cause: &std::io::Error) -> Self {
        let failed = Self::unwritable("standard output", cause);
        match cause.kind() {
            std::io::ErrorKind::StorageFull => failed
                .with_help("free some space where standard output leads, or lead it elsewhere"),
            _ => failed,
        }
    }

    /// Adds or replaces the advice.
    #[must_use]
    pub fn with_help(mut self, advice: impl Into<String>) -> Self {
        match &mut self {
            Self::Data { help, .. }
            | Self::Environment { help, .. }
            | Self::Memory { help, .. } => *help = advice.into(),
            _ => {}
        }
        self
    }

    /// Process exit code, as documented in `docs/cli.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Data { .. } | Self::Recipe(_) | Self::Faults(_) | Self::Usage(_) => 2,
            Self::Environment { .. } | Self::Device(_) | Self::Memory { .. } => 3,
            Self::Failed(_) | Self::Tensor(_) => 1,
            Self::Interrupted => 130,
            Self::Broken => 0,
        }
    }
}

fn location(path: &Path, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

fn help_suffix(help: &str) -> String {
    if help.is_empty() { String::new() } else { format!("\n  help: {help}") }
}
