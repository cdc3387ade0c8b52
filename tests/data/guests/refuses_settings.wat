;; Refuses its settings.
(module
  (;frame;)
  (data (i32.const 144) "max must be 1 or more")
  ;; error, a list of one: "max must be 1 or more"
  (data (i32.const 180) "\90\00\00\00\15\00\00\00")
  (data (i32.const 192) "\01\00\00\00" "\b4\00\00\00\01\00\00\00")
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (i32.const 192))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (i32.const 128)))
