;; Core modules and their types, as components see them.

(assert_invalid
  (component (core module $m (import "a" "b" (func))) (core instance (instantiate $m)))
  "in the core instance section at byte 47: core module 0 needs \"a\", which is not given")
(assert_invalid
  (component (core module $m (import "a" "b" (func))) (core instance $e) (core instance (instantiate $m (with "a" (instance $e)))))
  "core module 0 needs \"b\" of \"a\", which has none")
(assert_invalid
  (component (core module $n (func (export "b") (param i32))) (core module $m (import "a" "b" (func)))
    (core instance $n (instantiate $n)) (core instance (instantiate $m (with "a" (instance $n)))))
  "what is given for \"b\" of \"a\" does not fit: it is (func (param i32)), not (func)")
(assert_invalid
  (component (core module $n (memory (export "b") 1)) (core module $m (import "a" "b" (func)))
    (core instance $n (instantiate $n)) (core instance (instantiate $m (with "a" (instance $n)))))
  "it is a memory, not a func")
(assert_invalid
  (component (core module $n (memory (export "b") 1)) (core module $m (import "a" "b" (memory 2)))
    (core instance $n (instantiate $n)) (core instance (instantiate $m (with "a" (instance $n)))))
  "its minimum is 1, less than 2")
(assert_invalid
  (component (core module $n (table (export "b") 1 funcref)) (core module $m (import "a" "b" (table 1 1 funcref)))
    (core instance $n (instantiate $n)) (core instance (instantiate $m (with "a" (instance $n)))))
  "it has no maximum, and one of 1 is asked for")
(assert_invalid
  (component (core module $n (table (export "b") 1 externref)) (core module $m (import "a" "b" (table 1 funcref)))
    (core instance $n (instantiate $n)) (core instance (instantiate $m (with "a" (instance $n)))))
  "it is a table of ref null extern, not of ref null func")
(assert_invalid
  (component (core module $n (global (export "b") (mut i32) (i32.const 0))) (core module $m (import "a" "b" (global i32)))
    (core instance $n (instantiate $n)) (core instance (instantiate $m (with "a" (instance $n)))))
  "it is mutable")
(assert_invalid
  (component (core module $n (tag (export "b") (param i32))) (core module $m (import "a" "b" (tag)))
    (core instance $n (instantiate $n)) (core instance (instantiate $m (with "a" (instance $n)))))
  "it is a tag of (func (param i32)), not of (func)")

;; References to declared types: equal by what they are, and a subtype where its supertype is asked for.
(component definition
  (core module $n
    (type $base (sub (struct (field i32))))
    (type $derived (sub $base (struct (field i32) (field i64))))
    (global (export "g") (ref null $derived) (ref.null $derived))
    (func (export "f") (param (ref null $base))))
  (core module $m
    (type $other (func))
    (type $base (sub (struct (field i32))))
    (import "a" "f" (func (param (ref null $base))))
    (import "a" "g" (global (ref null any))))
  (core module $ok
    (type $base (sub (struct (field i32))))
    (import "a" "g" (global (ref null $base))))
  (core instance $n (instantiate $n))
  (core instance (instantiate $m (with "a" (instance $n))))
  (core instance (instantiate $ok (with "a" (instance $n)))))
(assert_invalid
  (component
    (core module $n (type $a (sub (struct (field i32)))) (global (export "g") (ref null $a) (ref.null $a)))
    (core module $m (type $b (sub (struct (field i64)))) (import "a" "g" (global (ref null $b))))
    (core instance $n (instantiate $n))
    (core instance (instantiate $m (with "a" (instance $n)))))
  "it is a global of ref null #0, not of ref null #1")
(assert_invalid
  (component (core module (import "a" "b" (func)) (import "a" "b" (func))))
  "in the core module section at byte 33: two imports are called \"a\" \"b\"")
(assert_invalid (component (core type (module (export "a" (func (type 0)))))) "core type 0 does not exist")
(assert_invalid (component (core type (module (export "a" (func)) (export "a" (func))))) "two exports are called \"a\"")
(assert_invalid (component (core type (module (import "" "" (memory 70000))))) "a memory of 70000 pages is larger than its addresses reach")
(assert_invalid (component (core module $m) (core instance $i (instantiate $m)) (alias core export $i "f" (core func)))
  "core instance 0 exports nothing called \"f\"")
(assert_invalid
  (component (core module $m (memory (export "f") 1)) (core instance $i (instantiate $m)) (alias core export $i "f" (core func)))
  "the export \"f\" is a memory, not a core-func")

;; The code of a core module is V8's to judge, be it run or not.
(assert_invalid (component (core module (func i32.add)))
  "in the core module section at byte 33: Compiling function #0 failed: not enough arguments on the stack for i32.add")
(assert_invalid (component (component (core module (func i32.add))))
  "Compiling function #0 failed: not enough arguments on the stack for i32.add")
