;; Cannot be called.
(module
  (memory (export "memory") 1))
