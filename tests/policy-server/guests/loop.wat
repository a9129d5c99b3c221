;; Takes every settings and never comes back from a request.
(module
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__guest_error" (func $error (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\"valid\":true}")
  (data (i32.const 32) "not today")
  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (if (i32.eq (local.get $operation) (i32.const 17)) ;; validate_settings
      (then
        (call $response (i32.const 0) (i32.const 14))
        (return (i32.const 1))))
    (if (i32.eq (local.get $operation) (i32.const 8)) ;; validate
      (then (loop $forever (br $forever))))
    (call $error (i32.const 32) (i32.const 9))
    (i32.const 0))
  (@custom "io.kubewarden.metadata"
    "{\"protocolVersion\":\"v1\",\"rules\":[],\"mutating\":true,\"executionMode\":\"kubewarden-wapc\"}"))
