#!/usr/bin/env bash
# Builds libfuse's passthrough_hp for `make bench`, from libfuse's source: Debian's package does not hold it.
set -eu
cd "$(dirname "$0")/../.."
[ ! -x build/peers/passthrough_hp ] || exit 0
name=fuse3_3.14.0.orig.tar.xz
sum=96115b2a8ff34bd1e0c7b00c5dfd8297571d7e165042b94498c9a26356a9a70a
mkdir -p build/peers
cd build/peers
if curl -sSfO "https://deb.debian.org/debian/pool/main/f/fuse3/$name" && echo "$sum  $name" | sha256sum --check --quiet; then
  tar -xJf "$name"
  # shellcheck disable=SC2046 # Flags.
  g++ -std=c++17 -O2 -w -DHAVE_POSIX_FALLOCATE -DHAVE_UTIMENSAT -o passthrough_hp fuse-3.14.0/example/passthrough_hp.cc $(pkg-config --cflags --libs fuse3)
else
  echo "passthrough_hp cannot be fetched: it is left out"
fi
