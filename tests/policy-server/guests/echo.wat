;; Answers `validate` with its own settings, so that a case can say word for word what the policy replies.
(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__guest_error" (func $error (param i32 i32)))
  (memory (export "memory") 64)
  (data (i32.const 0) "{\"valid\":true}")
  (data (i32.const 32) "\"settings\":")
  (data (i32.const 48) "no such operation")
  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (local $end i32)
    (local $at i32)
    (call $request (i32.const 64) (i32.const 1024))
    (if (i32.eq (local.get $operation) (i32.const 17)) ;; validate_settings
      (then
        (call $response (i32.const 0) (i32.const 14))
        (return (i32.const 1))))
    (if (i32.ne (local.get $operation) (i32.const 8)) ;; validate
      (then
        (call $error (i32.const 48) (i32.const 17))
        (return (i32.const 0))))
    ;; `validate` brings {"request":…,"settings":…}: the settings are what stands behind the last such key, without
    ;; the last brace.
    (local.set $end (i32.add (i32.const 1024) (local.get $payload)))
    (local.set $at (i32.sub (local.get $end) (i32.const 11)))
    (loop $search
      (if (i32.lt_u (local.get $at) (i32.const 1024)) (then unreachable))
      (if (i32.eqz (i32.and
            (i64.eq (i64.load (local.get $at)) (i64.load (i32.const 32)))
            (i32.eq (i32.load offset=7 (local.get $at)) (i32.load offset=7 (i32.const 32)))))
        (then
          (local.set $at (i32.sub (local.get $at) (i32.const 1)))
          (br $search))))
    (local.set $at (i32.add (local.get $at) (i32.const 11)))
    (call $response (local.get $at) (i32.sub (i32.sub (local.get $end) (local.get $at)) (i32.const 1)))
    (i32.const 1))
  (@custom "io.kubewarden.metadata"
    "{\"protocolVersion\":\"v1\",\"rules\":[],\"mutating\":true,\"executionMode\":\"kubewarden-wapc\"}"))
