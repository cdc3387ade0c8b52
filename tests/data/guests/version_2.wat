;; Speaks a version of the interface that is not there yet.
(component
  (core module $guest (func (export "answer") (result i32) (i32.const 0)))
  (core instance $guest (instantiate $guest))
  (func $answer (result u32) (canon lift (core func $guest "answer")))
  (instance $authorizer (export "authorize" (func $answer)))
  (export "team-table:policy/authorizer@2.0.0" (instance $authorizer)))
