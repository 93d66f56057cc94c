#!/bin/sh
# Builds hello.wasm. Needs Rust with the target wasm32-wasip2: rustup target add wasm32-wasip2
set -eu
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-target}
RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo --remap-path-prefix=$PWD=." \
  CARGO_TARGET_DIR="$target" cargo build --release --locked --target wasm32-wasip2
cp "$target/wasm32-wasip2/release/hello.wasm" hello.wasm
