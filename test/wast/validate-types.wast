;; Which types are well formed. Each refusal names the rule.

(component definition
  (type (record (field "a" u8) (field "B-c" (list string))))
  (type (variant (case "none") (case "some" u64)))
  (type (flags "a" "b")) (type (enum "a" "b")) (type (tuple f32 f64))
  (type (option char)) (type (result)) (type (result bool)) (type (result (error string))) (type (result s8 (error s16)))
  (type (list u8 4)) (type (map string (list s64)))
  (type (stream u8)) (type (stream)) (type (future string)) (type (future))
  (type (func (param "a" s32) (result error-context)))
  (type (func async (param "a" (stream u8)) (result (future u8)))))

(assert_invalid (component (type (record))) "in the type section at byte 11: a record is empty")
(assert_invalid (component (type (variant))) "a variant is empty")
(assert_invalid (component (type (flags))) "a flags type is empty")
(assert_invalid (component (type (enum))) "an enum is empty")
(assert_invalid (component (type (tuple))) "a tuple is empty")
(assert_invalid (component (type (list u8 0))) "a list of fixed length is empty")
(assert_invalid
  (component (type (flags "a0" "a1" "a2" "a3" "a4" "a5" "a6" "a7" "a8" "a9" "b0" "b1" "b2" "b3" "b4" "b5" "b6" "b7"
    "b8" "b9" "c0" "c1" "c2" "c3" "c4" "c5" "c6" "c7" "c8" "c9" "d0" "d1" "d2")))
  "33 flags are more than 32")

;; Labels are in kebab-case, and no two of a type differ only in case.
(assert_invalid (component (type (record (field "aB" u8)))) "\"aB\" is no name of a field: it is not in kebab-case")
(assert_invalid (component (type (variant (case "1a"))))  "\"1a\" is no name of a case")
(assert_invalid (component (type (flags "a_b"))) "\"a_b\" is no name of a flag")
(assert_invalid (component (type (enum "a--b"))) "\"a--b\" is no name of a case")
(assert_invalid (component (type (func (param "" u8)))) "\"\" is no name of a parameter")
(assert_invalid (component (type (record (field "a" u8) (field "A" u8)))) "the field \"A\" conflicts with \"a\"")
(assert_invalid (component (type (enum "is-XML" "is-xml"))) "the case \"is-xml\" conflicts with \"is-XML\"")

;; Indices name types that are there, and of the right sort.
(assert_invalid (component (type (list 0))) "type 0 does not exist")
(assert_invalid (component (type $f (func)) (type (option $f))) "type 0 is the type of a func, not of a value")
(assert_invalid (component (type $i (instance)) (type (func (result $i)))) "type 0 is the type of an instance, not of a value")
(assert_invalid (component (type $r (resource (rep i32))) (type (list $r))) "type 0 is the type of a resource, not of a value")
(assert_invalid (component (type $t u8) (type (own $t))) "type 0 is no resource")
(assert_invalid (component (type $t (func)) (import "a" (instance (type $t)))) "type 0 is the type of a func, not of an instance")
(assert_invalid (component (type $t (instance)) (import "a" (func (type $t)))) "type 0 is the type of an instance, not of a func")
(assert_invalid (component (core type $t (func)) (import "a" (core module (type $t)))) "core type 0 is not the type of a module")

;; A borrow does not outlive the call that it is given to.
(component definition (import "r" (type $r (sub resource))) (type (func (param "r" (borrow $r)))))
(assert_invalid (component (import "r" (type $r (sub resource))) (type (func (result (borrow $r))))) "a result has a borrow in it")
(assert_invalid (component (import "r" (type $r (sub resource))) (type (func (result (list (option (borrow $r))))))) "a result has a borrow in it")
(assert_invalid (component (import "r" (type $r (sub resource))) (type (stream (borrow $r)))) "a stream has a borrow in it")
(assert_invalid (component (import "r" (type $r (sub resource))) (type (future (tuple (borrow $r))))) "a future has a borrow in it")

(assert_invalid (component (type (stream char))) "a stream of char is not allowed yet")
(assert_invalid (component (type (map f64 u8))) "the key of a map is neither")
(assert_invalid (component (type $k (record (field "a" u8))) (type (map $k u8))) "the key of a map is neither")
(assert_invalid (component (type (map (list u8) u8))) "the key of a map is neither")

;; Sizes and depth have limits.
(component definition (type (list u8 268435455)))
(assert_invalid (component (type (list u8 268435456))) "a type takes 268435456 bytes, more than 268435455")
(assert_invalid (component (type (list string 16777216))) "a type takes 268435456 bytes")
(assert_invalid (component (type (func (param "a" (list u8 200000))))) "a function's types have 200002 parts, more than 10000")

;; Resources are defined by components alone, and destroyed by a function of their representation.
(component definition
  (core module $m (func (export "dtor") (param i32)))
  (core instance $i (instantiate $m))
  (type (resource (rep i32) (dtor (core func $i "dtor")))))
(assert_invalid
  (component
    (core module $m (func (export "dtor") (param i64)))
    (core instance $i (instantiate $m))
    (type (resource (rep i32) (dtor (core func $i "dtor")))))
  "a destructor takes an i32 and answers nothing")
(assert_invalid (component (type (instance (type (resource (rep i32)))))) "a resource cannot be defined in an instance type")
(assert_invalid (component (type (component (type (resource (rep i32)))))) "a resource cannot be defined in a component type")

;; Outer aliases.
(component definition $c (type $t (record (field "a" u8))) (component (alias outer $c $t (type $t)) (type (list $t))))
(assert_invalid (component (alias outer 1 0 (type $t))) "an alias reaches 1 components out, more than there are")
(assert_invalid (component $c (type $r (resource (rep i32))) (component (alias outer $c $r (type $t))))
  "type 0 of an enclosing component refers to a resource")
(assert_invalid (component $c (type $r (resource (rep i32))) (type $l (list (own $r))) (component (alias outer $c $l (type $t))))
  "type 2 of an enclosing component refers to a resource")
(component definition $c (type $r (resource (rep i32))) (type (instance (alias outer $c $r (type $t)))))
(assert_invalid (component $c (component $d) (type (instance (alias outer $c $d (component $t)))))
  "an instance type cannot alias a component here")
(assert_invalid (component (type (component (import "i" (instance $i (export "f" (func)))) (alias export $i "f" (func $f)))))
  "a component type cannot alias a func here")
