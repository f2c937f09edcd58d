//! Exit codes of every binary, one meaning each.

use std::process::{ExitCode, Termination};

/// How a process ended; `main` returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work is done, or SIGTERM drained it.
    Success,
    /// A failure that no other code names; the log has it.
    Failure,
    /// The command line cannot be understood (clap uses the same code).
    Usage,
    /// A configuration file, environment variable or flag has an impossible value, or a key file cannot be used.
    Configuration,
    /// The store cannot be opened: wrong format, damaged, in use by another process, or no rights.
    StoreUnavailable,
    /// An address to listen on is taken or cannot be bound.
    AddressInUse,
    /// This node is not enrolled, or the hub refuses its key.
    KeyRefused,
}

/// The table of exit codes, for the end of `--help`.
pub const EXIT_CODES_HELP: &str = "\
Exit codes:
  0  done, or stopped by SIGTERM
  1  failed; see the log
  2  the command line cannot be understood
  3  the configuration or a key file cannot be used
  4  the store cannot be opened
  5  an address to listen on is taken
  6  not enrolled, or the key was refused";

impl Exit {
    /// Every way to end, in the order of the codes.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Configuration,
        Self::StoreUnavailable,
        Self::AddressInUse,
        Self::KeyRefused,
    ];

    /// The number that the operating system sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::StoreUnavailable => 4,
            Self::AddressInUse => 5,
            Self::KeyRefused => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code_once_and_in_order() {
        let listed: Vec<u8> = EXIT_CODES_HELP
            .lines()
            .skip(1)
            .map(|line| line.trim_start()[..1].parse().unwrap())
            .collect();
        assert_eq!(listed, Exit::ALL.map(Exit::code));
    }
}
