;; What may be given where something is asked for.

(component definition
  (component $c
    (import "f" (func (param "a" u8) (result string)))
    (import "i" (instance (export "g" (func))))
    (import "c" (component (import "x" (func)) (import "z" (func)) (export "y" (func))))
    (import "m" (core module (import "a" "b" (func)) (export "c" (memory 1)))))
  (import "f" (func $f (param "a" u8) (result string)))
  (import "g" (func $g))
  (component $d (import "x" (func $x)) (export "y" (func $x)) (export "extra" (func $x)))
  (core module $m (memory (export "c") 2) (func (export "extra")))
  (instance (instantiate $c
    (with "f" (func $f)) (with "i" (instance (export "g" (func $g)) (export "extra" (func $f))))
    (with "c" (component $d)) (with "m" (core module $m)) (with "not-asked-for" (func $g)))))

(assert_invalid (component (component $c (import "f" (func))) (instance (instantiate $c)))
  "in the instance section at byte 57: nothing is given for the import \"f\"")
(assert_invalid (component (instance (instantiate 0))) "component 0 does not exist")
(assert_invalid
  (component (import "f" (func $f)) (component $c) (instance (instantiate $c (with "f" (func $f)) (with "f" (func $f)))))
  "two arguments are called \"f\"")
(assert_invalid
  (component (import "i" (instance $i)) (component $c (import "f" (func))) (instance (instantiate $c (with "f" (instance $i)))))
  "what is given for the import \"f\" does not fit: it is an instance, not a func")
(assert_invalid
  (component (import "f" (func $f (param "a" u8))) (component $c (import "f" (func (param "b" u8)))) (instance (instantiate $c (with "f" (func $f)))))
  "it is a function of another type")
(assert_invalid
  (component (import "f" (func $f async)) (component $c (import "f" (func))) (instance (instantiate $c (with "f" (func $f)))))
  "it is a function of another type")
(assert_invalid
  (component (import "i" (instance $i)) (component $c (import "i" (instance (export "g" (func))))) (instance (instantiate $c (with "i" (instance $i)))))
  "it exports no \"g\"")
(assert_invalid
  (component
    (component $given (import "more" (func)))
    (component $c (import "c" (component)))
    (instance (instantiate $c (with "c" (component $given)))))
  "nothing is given for the import \"more\"")
(assert_invalid
  (component
    (component $given)
    (component $c (import "c" (component (export "y" (func)))))
    (instance (instantiate $c (with "c" (component $given)))))
  "it exports no \"y\"")
(assert_invalid
  (component (core module $m (import "a" "x" (func))) (component $c (import "m" (core module))) (instance (instantiate $c (with "m" (core module $m)))))
  "it imports \"x\" of \"a\"")
(assert_invalid
  (component (core module $m) (component $c (import "m" (core module (export "x" (func))))) (instance (instantiate $c (with "m" (core module $m)))))
  "it exports no \"x\"")

;; Types are equal by what they are, resources by which they are.
(component definition
  (component $c (type $r (record (field "a" u8))) (import "t" (type (eq $r))))
  (type $t (record (field "a" u8)))
  (instance (instantiate $c (with "t" (type $t)))))
(assert_invalid
  (component
    (component $c (type $r (record (field "a" u8))) (import "t" (type (eq $r))))
    (type $t (record (field "b" u8)))
    (instance (instantiate $c (with "t" (type $t)))))
  "it is a record that is not the same type")
(assert_invalid
  (component (component $c (import "t" (type (sub resource)))) (type $t u8) (instance (instantiate $c (with "t" (type $t)))))
  "it is a value type, not a resource type")
(component definition
  (component $maker
    (type $r' (resource (rep i32))) (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m (import "" "new" (func $new (param i32) (result i32))) (func (export "f") (result i32) (call $new (i32.const 0))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "f") (result (own $r)) (canon lift (core func $i "f"))))
  (component $user (import "r" (type $r (sub resource))) (import "f" (func (result (own $r)))))
  (instance $a (instantiate $maker))
  (instance (instantiate $user (with "r" (type $a "r")) (with "f" (func $a "f")))))
(assert_invalid
  (component
    (component $maker
      (type $r' (resource (rep i32))) (export $r "r" (type $r'))
      (core module $m (func (export "f") (result i32) unreachable))
      (core instance $i (instantiate $m))
      (func (export "f") (result (own $r)) (canon lift (core func $i "f"))))
    (component $user (import "r" (type $r (sub resource))) (import "f" (func (result (own $r)))))
    (instance $a (instantiate $maker))
    (instance $b (instantiate $maker))
    (instance (instantiate $user (with "r" (type $a "r")) (with "f" (func $b "f")))))
  "what is given for the import \"f\" does not fit: it is a function of another type")
(assert_invalid
  (component
    (import "a" (type $a (sub resource)))
    (import "b" (type $b (sub resource)))
    (component $c (import "x" (type $x (sub resource))) (import "y" (type (eq $x))))
    (instance (instantiate $c (with "x" (type $a)) (with "y" (type $b)))))
  "it is another resource")

;; An export may be said to be less than it is.
(component definition (import "i" (instance $i (export "f" (func)))) (export "j" (instance $i) (instance)))
(assert_invalid
  (component (import "i" (instance $i)) (export "j" (instance $i) (instance (export "f" (func)))))
  "the type of the export \"j\" does not fit: it exports no \"f\"")
(assert_invalid
  (component (import "f" (func $f)) (export "g" (func $f) (func (param "a" u8))))
  "the type of the export \"g\" does not fit")

;; Aliases.
(assert_invalid (component (import "i" (instance $i)) (alias export $i "f" (func))) "instance 0 exports nothing called \"f\"")
(assert_invalid (component (import "i" (instance $i (export "f" (func)))) (alias export $i "f" (instance))) "the export \"f\" is a func, not an instance")

;; What leaves a component is named outside.
(assert_invalid
  (component (type $t (record (field "a" u8))) (import "f" (func (param "a" $t))))
  "the import \"f\" uses a type that is not imported")
(component definition
  (type $t' (record (field "a" u8))) (import "t" (type $t (eq $t'))) (import "f" (func (param "a" (list $t)))))
(assert_invalid
  (component
    (type $t (enum "a"))
    (core module $m (func (export "f") (result i32) unreachable))
    (core instance $i (instantiate $m))
    (func $f (result $t) (canon lift (core func $i "f")))
    (export "f" (func $f)))
  "the export \"f\" uses a type that is not imported or exported")
(assert_invalid
  (component (type $r (resource (rep i32))) (type $l (list (own $r))) (export "l" (type $l)))
  "the export \"l\" uses a type that is not imported or exported")
(assert_invalid
  (component (type $r' (resource (rep i32))) (export $r "r" (type $r')) (import "f" (func (param "a" (own $r)))))
  "the import \"f\" uses a type that is not imported")
(assert_invalid
  (component (type (component (type $t (flags "a")) (export "f" (func (param "a" $t))))))
  "the export \"f\" uses a type that is not imported or exported")
