//! A guest that answers with the bytes it is handed, so that one compiled module gives the host any answer there can be.
//!
//! It is handed them as text, two letters a byte, writes them to address 256 and answers with that address; pointers in
//! them are addresses of its memory.

use std::sync::LazyLock;

use team_table::policy::Limits;

use crate::framed;

const TEXT: &str = r#"(module
  (;frame;)
  (func $decode (param $from i32) (param $bytes i32)
    (local $i i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $bytes)))
        (i32.store8
          (i32.add (i32.const 256) (local.get $i))
          (i32.or
            (i32.shl (i32.sub (i32.load8_u (local.get $from)) (i32.const 97)) (i32.const 4))
            (i32.sub (i32.load8_u offset=1 (local.get $from)) (i32.const 97))))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
  ;; The settings are "…" with the quotation marks, or {}: then it is a good configure.
  (func (export "team-table:policy/metadata@1.0.0#configure") (param $at i32) (param $length i32) (result i32)
    (if (i32.eq (local.get $length) (i32.const 2)) (then (return (i32.const 64))))
    (call $decode
      (i32.add (local.get $at) (i32.const 1))
      (i32.shr_u (i32.sub (local.get $length) (i32.const 2)) (i32.const 1)))
    (i32.const 256))
  ;; The record begins with the tool's name: address and length.
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param $call i32) (result i32)
    (call $decode (i32.load (local.get $call)) (i32.shr_u (i32.load offset=4 (local.get $call)) (i32.const 1)))
    (i32.const 256)))
"#;

/// Between address 256 and what the allocator hands out.
const MOST: usize = 3 * 1024;

/// The guest's component.
pub static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| framed(TEXT));

/// The bytes as the guest reads them.
#[must_use]
pub fn letters(bytes: &[u8]) -> String {
    let letter = |nibble: u8| char::from(b'a' + nibble);
    bytes.iter().take(MOST).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
}

/// The default limits but for the clock: time is no matter here.
#[must_use]
pub fn patient() -> Limits {
    Limits { millis: 5_000, ..Limits::default() }
}
