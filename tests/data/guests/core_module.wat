;; A core module, as the compiler makes it before it is wrapped.
(module (memory (export "memory") 1))
