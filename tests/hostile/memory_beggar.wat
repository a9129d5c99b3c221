;; Asks for too much, is refused, and answers all the same.
(module
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "modest")
  (func (export "__guest_call") (param i32 i32) (result i32)
    (drop (memory.grow (i32.const 65535)))
    (call $response (i32.const 0) (i32.const 6))
    (i32.const 1)))
