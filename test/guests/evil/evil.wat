;; A service of wasi:http 0.2 that does what the first letter of its path says, and never answers:
;;   /l loops          /m grows its memory        /t grows its table        /r recurs
;;   /h leaks handles  /x traps
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $request (sub resource)))
    (export "response-outparam" (type (sub resource)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]incoming-request.path-with-query" (func (param "self" (borrow $request)) (result (option string))))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))

  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.add (global.get $next) (local.get 3)))
      (i32.sub (global.get $next) (local.get 3))))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (core func $path (canon lower (func $types "[method]incoming-request.path-with-query") (memory $mem) (realloc $realloc)))
  (core func $fields.new (canon lower (func $types "[constructor]fields")))

  (core module $main
    (import "" "memory" (memory 1))
    (import "" "path" (func $path (param i32 i32)))
    (import "" "fields" (func $fields (result i32)))
    (table $table 1 externref)
    (func $loops (loop $again (br $again)))
    (func $grows
      (loop $again
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $again)))
    (func $grows-table
      (loop $again
        (if (i32.eq (table.grow $table (ref.null extern) (i32.const 10000)) (i32.const -1)) (then unreachable))
        (br $again)))
    (func $recurs (param i32) (result i32) (i32.add (i32.const 1) (call $recurs (i32.add (local.get 0) (i32.const 1)))))
    (func $leaks (loop $again (drop (call $fields)) (br $again)))
    (func $traps unreachable)
    (func $is (param i32) (result i32) (i32.eq (i32.load8_u offset=1 (i32.load (i32.const 4))) (local.get 0)))
    (func (export "handle") (param $request i32) (param $out i32)
      (call $path (local.get $request) (i32.const 0))
      (if (call $is (i32.const 108)) (then (call $loops)))
      (if (call $is (i32.const 109)) (then (call $grows)))
      (if (call $is (i32.const 116)) (then (call $grows-table)))
      (if (call $is (i32.const 114)) (then (drop (call $recurs (i32.const 0)))))
      (if (call $is (i32.const 104)) (then (call $leaks)))
      (call $traps)))
  (core instance $i (instantiate $main (with "" (instance
    (export "memory" (memory $mem)) (export "path" (func $path)) (export "fields" (func $fields.new))))))

  (type $handle (func (param "request" (own $request)) (param "response-out" (own $out))))
  (func $handle (type $handle) (canon lift (core func $i "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
