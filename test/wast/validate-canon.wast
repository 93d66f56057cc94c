;; Canonical definitions: their options, and the core signatures that follow from their types.

(assert_invalid
  (component (core module $m (func (export "f") (param i32))) (core instance $i (instantiate $m)) (func (canon lift (core func $i "f"))))
  "the core function is (i32) -> (), and lifting the function needs () -> ()")
(assert_invalid
  (component (core module $m (func (export "f") (result i32) unreachable)) (core instance $i (instantiate $m))
    (func (result f32) (canon lift (core func $i "f"))))
  "the core function is () -> (i32), and lifting the function needs () -> (f32)")
;; Cases share the core values that they are passed as.
(component definition
  (core module $m (func (export "f") (param i32 i64 f32)))
  (core instance $i (instantiate $m))
  (type $v (variant (case "a" f32) (case "b" u64) (case "c" (tuple u32 f32))))
  (func (param "v" $v) (canon lift (core func $i "f"))))

(assert_invalid
  (component (core module $m (func (export "f") (param i32 i32))) (core instance $i (instantiate $m))
    (func (param "a" string) (canon lift (core func $i "f"))))
  "the canonical option memory is needed for its types")
(assert_invalid
  (component (core module $m (memory (export "m") 1) (func (export "f") (param i32 i32))) (core instance $i (instantiate $m))
    (func (param "a" string) (canon lift (core func $i "f") (memory (core memory $i "m")))))
  "the canonical option realloc is needed for its types")
(assert_invalid
  (component (import "f" (func $f (result (list u8)))) (core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
    (core func (canon lower (func $f) (memory (core memory $i "m")))))
  "the canonical option realloc is needed for its types")
(assert_invalid (component (import "f" (func $f (result (tuple u8 u8)))) (core func (canon lower (func $f))))
  "the canonical option memory is needed for its types")
(assert_invalid
  (component (import "f" (func $f)) (core module $m (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable)) (core instance $i (instantiate $m))
    (core func (canon lower (func $f) (realloc (core func $i "r")))))
  "the canonical option realloc needs memory")
(assert_invalid
  (component (import "f" (func $f)) (core module $m (memory (export "m") 1) (func (export "r"))) (core instance $i (instantiate $m))
    (core func (canon lower (func $f) (memory (core memory $i "m")) (realloc (core func $i "r")))))
  "the canonical option realloc is () -> () and must be (i32, i32, i32, i32) -> (i32)")
(assert_invalid
  (component (core module $m (func (export "f") (result i32) unreachable) (func (export "p"))) (core instance $i (instantiate $m))
    (func (result u32) (canon lift (core func $i "f") (post-return (core func $i "p")))))
  "the canonical option post-return is () -> () and must be (i32) -> ()")
(assert_invalid
  (component (import "f" (func $f)) (core module $m (func (export "p"))) (core instance $i (instantiate $m))
    (core func (canon lower (func $f) (post-return (core func $i "p")))))
  "only a lift has the canonical option post-return")
(assert_invalid
  (component (import "f" (func $f)) (core func (canon lower (func $f) string-encoding=utf8 string-encoding=utf16)))
  "the canonical option string-encoding is given twice")
(assert_invalid (component (import "f" (func $f)) (core func (canon lower (func $f) (memory 3)))) "core memory 3 does not exist")
(assert_invalid
  (component (import "f" (func $f)) (core module $m (memory (export "m") i64 1)) (core instance $i (instantiate $m))
    (core func (canon lower (func $f) (memory (core memory $i "m")))))
  "core memory 0 is addressed by i64, which is not supported")

;; The async option is for async functions.
(assert_invalid (component (import "f" (func $f)) (core func (canon lower (func $f) async))) "the canonical option async needs an async function")
(component definition (import "f" (func $f async)) (core func (canon lower (func $f) async)) (core func (canon lower (func $f))))
(component definition
  (core module $m (func (export "f") (result i32) unreachable) (func (export "c") (param i32 i32 i32) (result i32) unreachable) (func (export "s")))
  (core instance $i (instantiate $m))
  (core module $l (memory (export "m") 1))
  (core instance $l (instantiate $l))
  (func async (result string) (canon lift (core func $i "f") async (callback (core func $i "c")) (memory (core memory $l "m")))))
(assert_invalid
  (component
    (core module $m (func (export "f") (result i32) unreachable) (func (export "c") (param i32) (result i32) unreachable))
    (core instance $i (instantiate $m))
    (func async (canon lift (core func $i "f") async (callback (core func $i "c")))))
  "the canonical option callback is (i32) -> (i32) and must be (i32, i32, i32) -> (i32)")
(assert_invalid
  (component
    (core module $m (func (export "f")) (func (export "c") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m))
    (func async (canon lift (core func $i "f") (callback (core func $i "c")))))
  "the canonical option callback needs async")

;; Built-ins.
(component definition
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r)) (core func $rep (canon resource.rep $r)) (core func $drop (canon resource.drop $r))
  (core module $m
    (import "" "new" (func (param i32) (result i32))) (import "" "rep" (func (param i32) (result i32))) (import "" "drop" (func (param i32))))
  (core instance (instantiate $m (with "" (instance (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop)))))))
(assert_invalid (component (import "r" (type $r (sub resource))) (core func (canon resource.new $r)))
  "resource.new is only for a resource that the component defines itself")
(assert_invalid (component (import "r" (type $r (sub resource))) (core func (canon resource.rep $r)))
  "resource.rep is only for a resource that the component defines itself")
(assert_invalid (component (type $t u8) (core func (canon resource.drop $t))) "type 0 is no resource")
(assert_invalid (component (core func (canon context.get i32 2))) "slot 2 of the task's context does not exist")
(assert_invalid (component (core func (canon task.return (result string)))) "the canonical option memory is needed for its types")
(assert_invalid (component (type $t (future u8)) (core func (canon stream.new $t))) "type 0 is no stream")
(assert_invalid (component (type $t (stream u8)) (core func (canon future.drop-readable $t))) "type 0 is no future")
(assert_invalid (component (type $t (stream u8)) (core func (canon stream.read $t async))) "the canonical option memory is needed for its types")
(component definition (type $t (stream)) (core func (canon stream.read $t async)))
(assert_invalid (component (core func (canon waitable-set.wait (memory 0)))) "core memory 0 does not exist")
(component definition
  (core module $m (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable)) (core instance $i (instantiate $m))
  (alias core export $i "m" (core memory $m)) (alias core export $i "r" (core func $r))
  (type $s (stream string)) (type $f (future string))
  (core func $a (canon stream.new $s)) (core func $b (canon stream.read $s async (memory $m) (realloc $r))) (core func $c (canon stream.write $s async (memory $m)))
  (core func $d (canon stream.cancel-read $s)) (core func $e (canon stream.drop-writable $s))
  (core func $f (canon future.new $f)) (core func $g (canon future.read $f async (memory $m) (realloc $r))) (core func $h (canon future.write $f async (memory $m)))
  (core func $i (canon waitable-set.new)) (core func $j (canon waitable-set.wait (memory $m))) (core func $k (canon waitable.join))
  (core func $l (canon subtask.drop)) (core func $m (canon subtask.cancel)) (core func $n (canon task.cancel)) (core func $o (canon backpressure.inc))
  (core func $p (canon error-context.new (memory $m))) (core func $q (canon error-context.drop)) (core func $s (canon context.set i32 1))
  (core func $t (canon task.return (result string) (memory $m)))
  (core module $user
    (import "" "a" (func (result i64))) (import "" "b" (func (param i32 i32 i32) (result i32))) (import "" "c" (func (param i32 i32 i32) (result i32)))
    (import "" "d" (func (param i32) (result i32))) (import "" "e" (func (param i32)))
    (import "" "f" (func (result i64))) (import "" "g" (func (param i32 i32) (result i32))) (import "" "h" (func (param i32 i32) (result i32)))
    (import "" "i" (func (result i32))) (import "" "j" (func (param i32 i32) (result i32))) (import "" "k" (func (param i32 i32)))
    (import "" "l" (func (param i32))) (import "" "m" (func (param i32) (result i32))) (import "" "n" (func)) (import "" "o" (func))
    (import "" "p" (func (param i32 i32) (result i32))) (import "" "q" (func (param i32))) (import "" "s" (func (param i32)))
    (import "" "t" (func (param i32 i32))))
  (core instance (instantiate $user (with "" (instance
    (export "a" (func $a)) (export "b" (func $b)) (export "c" (func $c)) (export "d" (func $d)) (export "e" (func $e))
    (export "f" (func $f)) (export "g" (func $g)) (export "h" (func $h)) (export "i" (func $i)) (export "j" (func $j)) (export "k" (func $k))
    (export "l" (func $l)) (export "m" (func $m)) (export "n" (func $n)) (export "o" (func $o)) (export "p" (func $p)) (export "q" (func $q))
    (export "s" (func $s)) (export "t" (func $t)))))))
