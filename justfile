# The verbs of the project. `just` alone lists them.

default:
    @just --list

# The program, for development
build:
    cargo build --locked

# All tests
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# Formatting and clippy, warnings denied
lint:
    .ci/run scripts lints

# Format everything
fmt:
    cargo fmt --all

# One fuzz target for some seconds, or all for ten: just fuzz http 60
fuzz TARGET='' SECONDS='10':
    .ci/fuzz {{SECONDS}} {{TARGET}}

# The benchmarks; `just bench policies`
bench NAME:
    cargo bench --locked --bench {{NAME}}

# Measures docs/numbers.md anew
numbers:
    .ci/numbers

# Sections of the gate, or all of it
ci *SECTIONS:
    .ci/run {{SECTIONS}}
