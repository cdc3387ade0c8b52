//! The policies that come with the binary. They go through the same gate as everybody's: nothing here is trusted for being
//! ours.

/// A policy embedded in the binary.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// The name after `builtin:` in a set file, and the policy's name in the set that is used when there is no file.
    pub name: &'static str,
    /// Its component.
    pub bytes: &'static [u8],
}

/// All of them, sorted by name.
pub const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "question-detection",
        bytes: include_bytes!("../../policies/dist/question-detection.wasm"),
    },
    Builtin { name: "rate-limit", bytes: include_bytes!("../../policies/dist/rate-limit.wasm") },
    Builtin { name: "reply-cap", bytes: include_bytes!("../../policies/dist/reply-cap.wasm") },
    Builtin {
        name: "tool-authorization",
        bytes: include_bytes!("../../policies/dist/tool-authorization.wasm"),
    },
];

/// The built-in policy of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name).copied()
}
