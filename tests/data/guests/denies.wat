;; Refuses everything.
(module
  (;frame;)
  (data (i32.const 160) "nono, never")
  ;; deny, code "no", message "no, never", no notes
  (data (i32.const 192) "\02\00\00\00" "\a0\00\00\00\02\00\00\00" "\a2\00\00\00\09\00\00\00" "\00\00\00\00\00\00\00\00")
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (i32.const 64))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (i32.const 192)))
