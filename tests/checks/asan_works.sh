#!/usr/bin/env bash
# Plants a fault and expects AddressSanitizer and ThreadSanitizer to tell: a sanitizer that sees nothing proves nothing.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf 'int main(int n, char**) { int* p = new int[2]; delete[] p; return p[n]; }\n' > "$folder/asan.cc"
printf '#include <thread>\nint x;\nint main() { std::thread a([] { ++x; }), b([] { ++x; }); a.join(); b.join(); }\n' > "$folder/tsan.cc"
status=0
for kind in address:asan:heap-use-after-free thread:tsan:data.race; do
  IFS=: read -r sanitizer name says <<< "$kind"
  ${CXX:-g++} -std=c++20 -g -O0 -pthread "-fsanitize=$sanitizer" -o "$folder/$name" "$folder/$name.cc" || exit 1
  if "$folder/$name" 2>&1 | grep -q "$says"; then
    echo "ok - $sanitizer sanitizer tells"
  else
    echo "not ok - $sanitizer sanitizer saw nothing"
    status=1
  fi
done
exit $status
