;; Traps unless it was configured once and never asked before: every evaluation starts from the snapshot.
(module
  (;frame;)
  (global $asked (mut i32) (i32.const 0))
  (global $configured (mut i32) (i32.const 0))
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (global.set $configured (i32.const 1))
    (i32.const 64))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
    (if (result i32) (i32.eq (global.get $asked) (global.get $configured)) (then (i32.const 128)) (else (unreachable)))))
