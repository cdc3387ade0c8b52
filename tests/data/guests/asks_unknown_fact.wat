;; Asks for a fact that there is not.
(module
  (;frame;)
  (data (i32.const 144) "weather.today")
  ;; the fact-request: its name, no parameters
  (data (i32.const 160) "\90\00\00\00\0d\00\00\00" "\00\00\00\00\00\00\00\00")
  (data (i32.const 192) "\00\00\00\00" "\10\00\00\00\05\00\00\00" "\15\00\00\00\05\00\00\00" "\1a\00\00\00\0e\00\00\00" "\a0\00\00\00\01\00\00\00")
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (i32.const 192))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (i32.const 128)))
