;; Names bytes outside of its memory; the length of the operation name chooses how.
(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__guest_error" (func $error (param i32 i32)))
  (import "wapc" "__console_log" (func $log (param i32 i32)))
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_error" (func $host_error (param i32)))
  (memory (export "memory") 1)
  (func (export "__guest_call") (param $way i32) (param $payload i32) (result i32)
    (block $way7 (block $way6 (block $way5 (block $way4 (block $way3 (block $way2 (block $way1
      (br_table $way1 $way1 $way2 $way3 $way4 $way5 $way6 $way7 (local.get $way)))
      ;; 1: the payload would end behind the memory
      (call $request (i32.const 0) (i32.const 65535))
      unreachable)
      ;; 2: the operation would start at the highest address there is
      (call $request (i32.const -1) (i32.const 0))
      unreachable)
      ;; 3: start and length overflow 32 bits together
      (call $response (i32.const -1) (i32.const -1))
      unreachable)
      ;; 4: an error text that is not there
      (call $error (i32.const 65536) (i32.const 1))
      unreachable)
      ;; 5: a log line one byte too long
      (call $log (i32.const 0) (i32.const 65537))
      unreachable)
      ;; 6: the last argument of a host call
      (drop (call $host_call
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 65000) (i32.const 1000)))
      unreachable)
    ;; 7: where the host's error text should go
    (drop (call $host_call
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (call $host_error (i32.const 65535))
    unreachable))
