;; Calls itself until the stack is full.
(module
  (;frame;)
  (func $deeper (param i32) (result i32) (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (i32.const 64))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (call $deeper (i32.const 0))))
