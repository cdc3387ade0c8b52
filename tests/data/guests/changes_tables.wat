;; Writes to a table, which a snapshot cannot hold.
(module
  (;frame;)
  (table 1 funcref)
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (table.set (i32.const 0) (ref.null func)) (i32.const 64))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (i32.const 128)))
