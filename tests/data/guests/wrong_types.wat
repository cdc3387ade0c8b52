;; Exports everything by name, and nothing of the right type.
(component
  (core module $guest (func (export "answer") (result i32) (i32.const 0)))
  (core instance $guest (instantiate $guest))
  (func $answer (result u32) (canon lift (core func $guest "answer")))
  (instance $metadata (export "configure" (func $answer)))
  (instance $authorizer (export "authorize" (func $answer)))
  (export "team-table:policy/metadata@1.0.0" (instance $metadata))
  (export "team-table:policy/authorizer@1.0.0" (instance $authorizer)))
