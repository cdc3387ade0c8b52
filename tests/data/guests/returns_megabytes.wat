;; Refuses with a message of two megabytes.
(module
  (;frame;)
  (data (i32.const 160) "no")
  (data (i32.const 192) "\02\00\00\00" "\a0\00\00\00\02\00\00\00" "\00\20\00\00\00\00\20\00" "\00\00\00\00\00\00\00\00")
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (i32.const 64))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (drop (memory.grow (i32.const 40))) (memory.fill (i32.const 8192) (i32.const 97) (i32.const 2097152)) (i32.const 192)))
