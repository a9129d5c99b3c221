;; Makes one host call with fixed names and its own payload, and answers with the reply, or fails with the error.
(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__guest_error" (func $error (param i32 i32)))
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
  (import "wapc" "__host_response" (func $host_response (param i32)))
  (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
  (import "wapc" "__host_error" (func $host_error (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "kubewardenkubernetesget_resource")
  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (call $request (i32.const 100) (i32.const 1000))
    (if (call $host_call
          (i32.const 0) (i32.const 10) (i32.const 10) (i32.const 10)
          (i32.const 20) (i32.const 12) (i32.const 1000) (local.get $payload))
      (then
        (call $host_response (i32.const 8000))
        (call $response (i32.const 8000) (call $host_response_len))
        (return (i32.const 1))))
    (call $host_error (i32.const 8000))
    (call $error (i32.const 8000) (call $host_error_len))
    (i32.const 0)))
