//! The ways a call of a plugin can fail, with texts for people.

use wasmtime::Trap;

use super::limits::Limits;

/// A call without a valid answer. Its instance is not used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// The stable word in logs, metrics and dead letters.
    pub kind: FailureKind,
    /// What happened, at most 1,000 characters. It may quote the guest, so it goes to the dead
    /// letter only.
    pub text: String,
}

/// Most characters kept of a guest's text.
const MAX_TEXT_CHARS: usize = 1_000;

/// The beginning of a guest's text, so that megabytes are not kept for each record.
pub fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum FailureKind {
    Timeout,
    OutOfMemory,
    Panic,
    StackOverflow,
    TooMuchOutput,
    WrongAnswer,
    Error,
    Trap,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::OutOfMemory,
        Self::Panic,
        Self::StackOverflow,
        Self::TooMuchOutput,
        Self::WrongAnswer,
        Self::Error,
        Self::Trap,
    ];

    /// The stable `snake_case` word.
    pub fn code(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::Panic => "panic",
            Self::StackOverflow => "stack_overflow",
            Self::TooMuchOutput => "too_much_output",
            Self::WrongAnswer => "wrong_answer",
            Self::Error => "error",
            Self::Trap => "trap",
        }
    }
}

impl CallFailure {
    /// An answer that breaks a rule of the contract.
    pub fn wrong_answer(text: &str) -> Self {
        Self { kind: FailureKind::WrongAnswer, text: cut(text) }
    }

    /// The `err` that a plugin gave to a whole call.
    pub fn error(text: &str) -> Self {
        Self { kind: FailureKind::Error, text: cut(text) }
    }

    /// Classifies an engine error. `stderr` is the end of what the guest wrote there.
    pub fn of(error: &wasmtime::Error, limits: &Limits, stderr: &str) -> Self {
        let kind = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => FailureKind::Timeout,
            // A guest allocator that is refused memory traps like a panic.
            _ if limits.was_refused() => FailureKind::OutOfMemory,
            Some(Trap::UnreachableCodeReached) => FailureKind::Panic,
            // A guest's own stack overflows before the engine's does.
            Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => FailureKind::StackOverflow,
            None if format!("{error:#}").contains("fuel allocated for hostcalls") => {
                FailureKind::TooMuchOutput
            }
            _ => FailureKind::Trap,
        };
        let cause = match kind {
            FailureKind::Timeout => {
                "no answer within its deadline (PLUGIN_<NAME>_TIMEOUT_MS)".to_owned()
            }
            FailureKind::OutOfMemory => format!(
                "more than {} bytes of memory (PLUGIN_<NAME>_MEMORY_BYTES)",
                limits.max_memory_bytes()
            ),
            FailureKind::Panic => "it panicked".to_owned(),
            FailureKind::StackOverflow => "its stack or memory ran over".to_owned(),
            FailureKind::TooMuchOutput => "its answer is too large".to_owned(),
            FailureKind::WrongAnswer | FailureKind::Error | FailureKind::Trap => {
                format!("{error:#}")
            }
        };
        let text = match stderr.trim() {
            "" => cause,
            said => format!("{cause}: {said}"),
        };
        Self { kind, text: cut(&text) }
    }

    /// The output exceeds what a batch or a call may produce.
    pub fn too_much_output(text: &str) -> Self {
        Self { kind: FailureKind::TooMuchOutput, text: cut(text) }
    }
}
