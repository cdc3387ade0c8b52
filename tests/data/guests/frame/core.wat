;; What the core modules of the guests have in common; it stands in the first line of each. An allocator that never frees, and at
;; 64 what a good `configure` answers: ok, name "guest", version "1.0.0", summary "does one thing", no facts. At 128 stand
;; zeros: as a verdict that is `abstain`.
(memory (export "memory") 1)
(global $next (mut i32) (i32.const 4096))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
  (global.set $next (i32.add (local.get $at) (local.get 3)))
  (local.get $at))
(data (i32.const 16) "guest1.0.0does one thing")
(data (i32.const 64)
  "\00\00\00\00" "\10\00\00\00\05\00\00\00" "\15\00\00\00\05\00\00\00" "\1a\00\00\00\0e\00\00\00" "\00\00\00\00\00\00\00\00")
