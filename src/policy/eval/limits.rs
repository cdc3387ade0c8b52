//! What a policy may use. Must not depend on how the limits are enforced.

use serde::{Deserialize, Serialize};

/// Bytes in a mebibyte.
const MIB: u64 = 1024 * 1024;

/// The most memory the pool has room for in one instance, whatever the set file says.
pub(super) const MAX_MEMORY_MIB: u32 = 256;
/// The longest time limit that can be set.
const MAX_MILLIS: u32 = 5_000;
/// The largest module that can be allowed (a Python policy is 18 MiB).
pub(crate) const MAX_MODULE_MIB: u32 = 64;
/// The most fuel that can be given.
pub const MAX_FUEL: u64 = 10_000_000_000;

/// The limits of one policy: of one evaluation, of `configure`, and of the module itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Fuel (roughly: WebAssembly instructions) of one evaluation. The limit that decides, because it is deterministic.
    pub fuel: u64,
    /// Milliseconds that one evaluation may run, as CPU time of its thread: the backstop behind fuel.
    pub millis: u32,
    /// MiB of linear memory of one instance.
    pub memory_mib: u32,
    /// MiB of the `.wasm` file.
    pub module_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fuel: 10_000_000, millis: 50, memory_mib: 16, module_mib: 4 }
    }
}

impl Limits {
    /// `configure` runs once, off the request path, and prepares everything: it may use this many times the fuel and
    /// time of an evaluation.
    const CONFIGURE_FACTOR: u32 = 10;

    /// The limits of `configure`.
    #[must_use]
    pub(in crate::policy) fn for_configure(self) -> Self {
        Self {
            fuel: self.fuel.saturating_mul(Self::CONFIGURE_FACTOR.into()),
            millis: self.millis.saturating_mul(Self::CONFIGURE_FACTOR),
            ..self
        }
    }

    /// Linear memory of one instance, in bytes.
    #[must_use]
    pub(super) fn memory_bytes(self) -> usize {
        usize::try_from(u64::from(self.memory_mib) * MIB).unwrap_or(usize::MAX)
    }

    /// Size of the `.wasm` file, in bytes.
    #[must_use]
    pub fn module_bytes(self) -> u64 {
        u64::from(self.module_mib) * MIB
    }

    /// Says what is wrong with limits somebody wrote down.
    #[must_use]
    pub fn validation_error(self) -> Option<String> {
        fn outside(name: &str, value: u64, max: u64) -> Option<String> {
            (value == 0 || value > max)
                .then(|| format!("limit `{name}` must be from 1 to {max}, not {value}"))
        }
        outside("fuel", self.fuel, MAX_FUEL)
            .or_else(|| outside("millis", self.millis.into(), MAX_MILLIS.into()))
            .or_else(|| outside("memory_mib", self.memory_mib.into(), MAX_MEMORY_MIB.into()))
            .or_else(|| outside("module_mib", self.module_mib.into(), MAX_MODULE_MIB.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_contract() {
        let limits = Limits::default();
        assert_eq!(
            (limits.fuel, limits.millis, limits.memory_mib, limits.module_mib),
            (10_000_000, 50, 16, 4)
        );
        assert_eq!(limits.validation_error(), None);
    }

    #[test]
    fn limits_have_limits() {
        let zero = Limits { fuel: 0, ..Limits::default() };
        assert_eq!(zero.validation_error().unwrap(), "limit `fuel` must be from 1 to 10000000000, not 0");
        let big = Limits { memory_mib: 257, ..Limits::default() };
        assert_eq!(big.validation_error().unwrap(), "limit `memory_mib` must be from 1 to 256, not 257");
    }
}
