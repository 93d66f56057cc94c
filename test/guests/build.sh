#!/bin/sh
# Rebuilds the guests that are committed beside this file:
# ./build.sh [hello|probe|handler|middleware|sockets|sockets-async|system|wstd|rust|c|go|python]...
# README.md tells what each of them needs.
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

# C for WASI 0.1, with Debian's own C library for it.
compile() {
  clang --target=wasm32-wasi --sysroot=/usr -Oz -Wl,--strip-all "$@"
}

[ $# -gt 0 ] || set -- hello probe handler middleware sockets sockets-async system wstd rust c go
for name in "$@"; do
  case "$name" in
  rust)
    for version in 1 2; do
      cargo build --manifest-path "$here/tool/Cargo.toml" --locked --release --target "wasm32-wasip$version"
    done
    cp "$target/wasm32-wasip1/release/tool.wasm" "$here/tool-rust-p1.wasm"
    shrink "$built/tool.wasm" "$here/tool-rust-p2.wasm"
    ;;
  c)
    compile -o "$here/tool-c.wasm" "$here/c/tool.c"
    compile -o "$here/cgi.wasm" "$here/c/cgi.c"
    compile -mexec-model=reactor -o "$here/reactor.wasm" "$here/c/reactor.c"
    ;;
  go)
    # Larger than a repository wants to hold: compressed, without the date.
    (cd "$here/go" && GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags="-s -w -buildid=" -o "$target/tool-go.wasm" .)
    gzip -9nc "$target/tool-go.wasm" >"$here/tool-go.wasm.gz"
    ;;
  python)
    # 18 MB: for trying, and not committed. componentize-py is the package of that name on PyPI.
    mkdir -p "$target/python/deps"
    cp "$here/python/wit/tool.wit" "$target/python/"
    for package in cli clocks filesystem io random sockets; do
      cp -r "$here/../../node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12/wasi-$package" "$target/python/deps/"
    done
    (cd "$here/python" && componentize-py -d "$target/python" -w tool componentize app -o "$target/tool-python.wasm")
    ;;
  wstd)
    # The example of a published crate, built as it is from where cargo keeps it.
    cargo fetch --manifest-path "$here/wstd/Cargo.toml" --locked
    manifest=$(cargo metadata --manifest-path "$here/wstd/Cargo.toml" --locked --format-version 1 |
      sed 's/.*"manifest_path":"\([^"]*wstd-[0-9][^"]*Cargo.toml\)".*/\1/')
    cargo build --manifest-path "$manifest" --example http_server --release --target wasm32-wasip2 \
      --config 'profile.release.opt-level="z"' --config profile.release.lto=true \
      --config profile.release.codegen-units=1 --config 'profile.release.panic="abort"' \
      --config profile.release.strip=true
    shrink "$built/examples/http_server.wasm" "$here/wstd.wasm"
    ;;
  *)
    cargo build --manifest-path "$here/$name/Cargo.toml" --locked --release --target wasm32-wasip2
    shrink "$built/$(echo "$name" | tr - _).wasm" "$here/$name.wasm"
    ;;
  esac
done
