;; Asks for the task that a call is about, and refuses one whose description has the word "high" in it.
(module
  (;frame;)
  (data (i32.const 144) "target.task")
  ;; the fact-request: its name, no parameters
  (data (i32.const 160) "\90\00\00\00\0b\00\00\00" "\00\00\00\00\00\00\00\00")
  (data (i32.const 176) "nonot yours")
  (data (i32.const 192) "\00\00\00\00" "\10\00\00\00\05\00\00\00" "\15\00\00\00\05\00\00\00" "\1a\00\00\00\0e\00\00\00" "\a0\00\00\00\01\00\00\00")
  ;; deny, code "no", message "not yours", no notes
  (data (i32.const 232) "\02\00\00\00" "\b0\00\00\00\02\00\00\00" "\b2\00\00\00\09\00\00\00" "\00\00\00\00\00\00\00\00")
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (i32.const 192))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param $call i32) (result i32)
    (local $at i32) (local $end i32)
    ;; the value of the first fact: text at 16, its length at 20
    (local.set $at (i32.load offset=16 (i32.load offset=72 (local.get $call))))
    (local.set $end (i32.sub (i32.add (local.get $at)
      (i32.load offset=20 (i32.load offset=72 (local.get $call)))) (i32.const 3)))
    (block $none
      (loop $next
        (br_if $none (i32.ge_s (local.get $at) (local.get $end)))
        ;; "high", the first byte lowest
        (if (i32.eq (i32.load align=1 (local.get $at)) (i32.const 0x68676968))
          (then (return (i32.const 232))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 128)))
