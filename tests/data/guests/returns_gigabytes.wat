;; Refuses with 4,096 notes that are all the same megabyte: a few pages in the guest, gigabytes in a host that copies.
(module
  (;frame;)
  (data (i32.const 160) "no")
  (data (i32.const 192) "\02\00\00\00" "\a0\00\00\00\02\00\00\00" "\a0\00\00\00\02\00\00\00" "\00\20\00\00\00\10\00\00")
  (func (export "team-table:policy/metadata@1.0.0#configure") (param i32 i32) (result i32)
    (i32.const 64))
  (func (export "team-table:policy/authorizer@1.0.0#authorize") (param i32) (result i32)
    (local $at i32)
    (drop (memory.grow (i32.const 20)))
    (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576))
    (local.set $at (i32.const 8192))
    (loop $more
      (i32.store (local.get $at) (i32.const 65536))
      (i32.store offset=4 (local.get $at) (i32.const 1048576))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.lt_u (local.get $at) (i32.const 40960))))
    (i32.const 192)))
