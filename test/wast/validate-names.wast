;; What imports and exports may be called.

(component definition
  (import "a" (func)) (import "B" (func)) (import "a1-B2-3c" (func))
  (import "ns:pkg/face" (func)) (import "ns:pkg/face@1.2.3" (func)) (import "n-s:p-k-g/fa-CE@0.2.6-rc.1+build.7" (func))
  (import "r" (type $r (sub resource)))
  (import "[constructor]r" (func (result (own $r))))
  (import "[method]r.m" (func (param "self" (borrow $r)) (param "x" u8)))
  (import "[static]r.s" (func)))

(assert_invalid (component (import "" (func))) "in the import section at byte 18: \"\" is no name of an import")
(assert_invalid (component (import "a_b" (func))) "\"a_b\" is no name of an import")
(assert_invalid (component (import "aBc" (func))) "\"aBc\" is no name of an import")
(assert_invalid (component (import "9" (func))) "\"9\" is no name of an import")
(assert_invalid (component (import "ns:pkg" (func))) "\"ns:pkg\" is no name of an import")
(assert_invalid (component (import "NS:pkg/face" (func))) "\"NS:pkg/face\" is no name of an import")
(assert_invalid (component (import "ns:pkg/a/b" (func))) "\"ns:pkg/a/b\" is no name of an import")
(assert_invalid (component (import "ns:pkg/face@1.2" (func))) "\"ns:pkg/face@1.2\" is no name of an import")
(assert_invalid (component (import "ns:pkg/face@01.2.3" (func))) "\"ns:pkg/face@01.2.3\" is no name of an import")
(assert_invalid (component (import "[method]a" (func))) "\"[method]a\" is no name of an import")
(assert_invalid (component (import "[getter]a.b" (func))) "\"[getter]a.b\" is no name of an import")
(assert_invalid (component (import "f" (func $f)) (export "x y" (func $f))) "\"x y\" is no name of an export")
(assert_invalid (component (import "f" (func $f)) (instance (export "x y" (func $f)))) "\"x y\" is no name of an export")
(assert_invalid (component (type (instance (export "x y" (func))))) "in the type section at byte 18: \"x y\" is no name of an export")

;; Two that a language would spell alike.
(assert_invalid (component (import "a" (func)) (import "A" (func))) "the import \"A\" conflicts with \"a\"")
(assert_invalid (component (import "f" (func $f)) (export "a" (func $f)) (export "a" (func $f))) "the export \"a\" conflicts with \"a\"")
(assert_invalid
  (component (import "r" (type $r (sub resource))) (import "[method]r.a" (func (param "self" (borrow $r)))) (import "[static]r.a" (func)))
  "the import \"[static]r.a\" conflicts with \"[method]r.a\"")
(assert_invalid
  (component (import "r" (type $r (sub resource))) (import "[method]r.r" (func (param "self" (borrow $r)))))
  "the import \"[method]r.r\" conflicts with \"r\"")

;; What a name says of a function holds.
(assert_invalid (component (import "[static]r.a" (func))) "\"[static]r.a\" is a static of no resource that is imported before it")
(assert_invalid (component (import "r" (type (sub resource))) (import "[static]r.a" (instance))) "\"[static]r.a\" is no function")
(assert_invalid
  (component (import "r" (type (sub resource))) (import "[constructor]r" (func)))
  "\"[constructor]r\" does not answer with an own handle of \"r\"")
(assert_invalid
  (component (import "r" (type (sub resource))) (import "s" (type $s (sub resource))) (import "[constructor]r" (func (result (own $s)))))
  "does not answer with an own handle of \"r\"")
(component definition
  (import "r" (type $r (sub resource))) (import "[constructor]r" (func (result (result (own $r) (error string))))))
(assert_invalid
  (component (import "r" (type $r (sub resource))) (import "[method]r.a" (func (param "me" (borrow $r)))))
  "\"[method]r.a\" does not take a borrow of \"r\" as its first parameter self")
(assert_invalid
  (component (import "r" (type $r (sub resource))) (import "[method]r.a" (func (param "self" (own $r)))))
  "does not take a borrow of \"r\"")
(assert_invalid (component (import "r" (type $r (sub resource))) (import "[method]r.a" (func))) "does not take a borrow of \"r\"")

;; Attributes.
(component definition
  (import "a" (implements "ns:pkg/face@1.0.0") (instance))
  (import "ns:pkg/face@1" (versionsuffix ".2.3") (instance))
  (import "ns:pkg/face@0.2" (versionsuffix ".6-rc.1") (instance))
  (import "b" (external-id "anything at all") (func)))
(assert_invalid (component (import "a" (implements "face") (instance))) "\"face\" is no interface's name")
(assert_invalid (component (import "a" (implements "ns:pkg/face") (func))) "\"a\" cannot implement an interface")
(assert_invalid (component (import "ns:pkg/b" (implements "ns:pkg/face") (instance))) "\"ns:pkg/b\" cannot implement an interface")
(assert_invalid (component (import "ns:pkg/a" (versionsuffix ".2.3") (instance))) "\".2.3\" does not complete the version of \"ns:pkg/a\"")
(assert_invalid (component (import "ns:pkg/a@1" (versionsuffix ".2") (instance))) "\".2\" does not complete the version")
