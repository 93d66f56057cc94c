#!/bin/sh
# Rebuilds the guests that are committed beside this file: ./build.sh [hello|probe|sockets|sockets-async|system|wstd]...
# Needs Rust with the target wasm32-wasip2 (rustup target add wasm32-wasip2) and `npm ci`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}
export CARGO_TARGET_DIR="$target"
# No path of the machine that builds ends in a guest.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo --remap-path-prefix=$here=guests"
built="$target/wasm32-wasip2/release"

# Shrinks a component's core modules to what the features of the target allow.
shrink() {
  "$here/../../node_modules/.bin/jco" opt "$1" -o "$2" -- -Oz --enable-bulk-memory --enable-sign-ext \
    --enable-nontrapping-float-to-int --enable-mutable-globals --enable-multivalue --enable-reference-types
}

[ $# -gt 0 ] || set -- hello probe sockets sockets-async system wstd
for name in "$@"; do
  if [ "$name" = wstd ]; then
    # The example of a published crate, built as it is from where cargo keeps it.
    cargo fetch --manifest-path "$here/wstd/Cargo.toml" --locked
    manifest=$(cargo metadata --manifest-path "$here/wstd/Cargo.toml" --locked --format-version 1 |
      sed 's/.*"manifest_path":"\([^"]*wstd-[0-9][^"]*Cargo.toml\)".*/\1/')
    cargo build --manifest-path "$manifest" --example http_server --release --target wasm32-wasip2 \
      --config 'profile.release.opt-level="z"' --config profile.release.lto=true \
      --config profile.release.codegen-units=1 --config 'profile.release.panic="abort"' \
      --config profile.release.strip=true
    shrink "$built/examples/http_server.wasm" "$here/wstd.wasm"
  else
    cargo build --manifest-path "$here/$name/Cargo.toml" --locked --release --target wasm32-wasip2
    shrink "$built/$(echo "$name" | tr - _).wasm" "$here/$name.wasm"
  fi
done
