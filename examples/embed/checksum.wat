;; Adler-32 of a text, and of a stream of bytes; and two ways to misbehave. `npx jco parse checksum.wat -o
;; checksum.wasm` makes the component of it.
(component
  (import "example:embed/progress" (instance $progress
    (export "report" (func (param "bytes" u32)))))

  (core module $memory
    (memory (export "memory") 2)
    ;; What comes in is read at once: each value may lie where the one before lay.
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $missing i32)
      (local.set $missing (i32.sub (i32.add (local.get $size) (i32.const 65536)) (i32.shl (memory.size) (i32.const 16))))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (i32.shr_u (i32.add (local.get $missing) (i32.const 65535)) (i32.const 16))) (i32.const -1))
          (then unreachable))))
      (i32.const 65536)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))

  (type $bytes (stream u8))
  (core func $read (canon stream.read $bytes (memory $mem)))
  (core func $drop (canon stream.drop-readable $bytes))
  (core func $report (canon lower (func $progress "report")))

  (core module $main
    (import "" "memory" (memory 2))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "report" (func $report (param i32)))
    ;; Goes on from a sum with more bytes.
    (func $update (param $sum i32) (param $at i32) (param $length i32) (result i32)
      (local $a i32) (local $b i32) (local $end i32)
      (local.set $a (i32.and (local.get $sum) (i32.const 65535)))
      (local.set $b (i32.shr_u (local.get $sum) (i32.const 16)))
      (local.set $end (i32.add (local.get $at) (local.get $length)))
      (block $done
        (loop $next
          (br_if $done (i32.eq (local.get $at) (local.get $end)))
          (local.set $a (i32.rem_u (i32.add (local.get $a) (i32.load8_u (local.get $at))) (i32.const 65521)))
          (local.set $b (i32.rem_u (i32.add (local.get $b) (local.get $a)) (i32.const 65521)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
      (i32.or (i32.shl (local.get $b) (i32.const 16)) (local.get $a)))
    (func (export "of-text") (param $at i32) (param $length i32) (result i32)
      (call $update (i32.const 1) (local.get $at) (local.get $length)))
    (func (export "of-stream") (param $stream i32) (result i32)
      (local $sum i32) (local $read i32) (local $total i32)
      (local.set $sum (i32.const 1))
      (loop $more
        ;; Waits for bytes. The answer is how many there were, and in the lowest bits whether that was all.
        (local.set $read (call $read (local.get $stream) (i32.const 0) (i32.const 65536)))
        (local.set $sum (call $update (local.get $sum) (i32.const 0) (i32.shr_u (local.get $read) (i32.const 4))))
        (local.set $total (i32.add (local.get $total) (i32.shr_u (local.get $read) (i32.const 4))))
        (call $report (local.get $total))
        (br_if $more (i32.eqz (i32.and (local.get $read) (i32.const 15)))))
      (call $drop (local.get $stream))
      (local.get $sum))
    (func (export "reserve") (param $pages i32) (result i32)
      (i32.ne (memory.grow (local.get $pages)) (i32.const -1)))
    (func (export "spin") (loop $for-ever (br $for-ever))))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $mem)) (export "read" (func $read)) (export "drop" (func $drop))
    (export "report" (func $report))))))

  (func $of-text (param "text" string) (result u32)
    (canon lift (core func $main "of-text") (memory $mem) (realloc $realloc)))
  (func $of-stream async (param "bytes" $bytes) (result u32) (canon lift (core func $main "of-stream")))
  (func $reserve (param "pages" u32) (result bool) (canon lift (core func $main "reserve")))
  (func $spin (canon lift (core func $main "spin")))
  (instance $adler32
    (export "of-text" (func $of-text))
    (export "of-stream" (func $of-stream))
    (export "reserve" (func $reserve))
    (export "spin" (func $spin)))
  (export "example:embed/adler32@0.1.0" (instance $adler32)))
