//! The policies that come with the binary. They go through the same gate as everybody's: nothing here is trusted for being
//! ours.

use crate::policy::eval::Limits;

/// What a module that comes with the binary is called, before its name: in the set file and on the command line.
pub const BUILTIN_PREFIX: &str = "builtin:";

/// A policy embedded in the binary.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// The name after `builtin:` in a set file, and the policy's name in the set that is used when there is no file.
    pub name: &'static str,
    /// Its component.
    pub bytes: &'static [u8],
    /// What it may use where the set file does not say.
    pub limits: Limits,
}

const USUAL: Limits = Limits { fuel: 10_000_000, millis: 50, memory_mib: 16, module_mib: 4 };

/// It reads whole messages: 10,000 characters take 7 million in English and up to 33 million in Chinese, the most
/// of any script and of hostile text.
const READING: Limits = Limits { fuel: 60_000_000, millis: 300, ..USUAL };

/// All of them, sorted by name.
pub const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "question-detection",
        bytes: include_bytes!("../../../policies/dist/question-detection.wasm"),
        limits: READING,
    },
    Builtin {
        name: "rate-limit",
        bytes: include_bytes!("../../../policies/dist/rate-limit.wasm"),
        limits: USUAL,
    },
    Builtin {
        name: "reply-cap",
        bytes: include_bytes!("../../../policies/dist/reply-cap.wasm"),
        limits: USUAL,
    },
    Builtin {
        name: "tool-authorization",
        bytes: include_bytes!("../../../policies/dist/tool-authorization.wasm"),
        limits: USUAL,
    },
    Builtin {
        name: "wake-cap",
        bytes: include_bytes!("../../../policies/dist/wake-cap.wasm"),
        limits: USUAL,
    },
];

/// The built-in policy of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name).copied()
}
