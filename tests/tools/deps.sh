#!/usr/bin/env bash
# Installs what building and testing stagefs needs, asking the package manager once. Without apt it names the
# packages. HTTP=0 leaves out what the HTTP server needs; BENCH=1 adds the peers that `make bench` runs, TOOLS=1 what
# `make test-tools` runs, CLUSTER=1 the S3 server of `make test-cluster`, FUZZ=1 the compiler of `make fuzz`, COVERAGE=1 the reporter of `make coverage`.
set -eu
packages="g++ make python3 python3-venv pkg-config libfuse3-dev fuse3 libsqlite3-dev libpq-dev postgresql libssl-dev libxxhash-dev nlohmann-json3-dev
libexpected-dev libcli11-dev libspdlog-dev libcurl4-openssl-dev libpugixml-dev zlib1g-dev libzstd-dev zstd catch2 sqlite3 curl attr xxhash procps shellcheck git rsync inotify-tools"
[ "${HTTP:-1}" = 0 ] || packages="$packages libmicrohttpd-dev libjwt-dev libarchive-dev openssl
prometheus-cpp-dev"
[ "${TOOLS:-0}" = 0 ] || packages="$packages thunar pcmanfm pcmanfm-qt nautilus dolphin tumbler zenity mousepad libreoffice-calc
xvfb openbox xdotool dbus x11-utils imagemagick adwaita-icon-theme desktop-file-utils vim nano ed perl zip unzip wget
python3-torchvision python3-pil"
[ "${BENCH:-0}" = 0 ] || packages="$packages bindfs mergerfs wrk"
[ "${FUZZ:-0}" = 0 ] || packages="$packages clang libclang-rt-dev"
[ "${COVERAGE:-0}" = 0 ] || packages="$packages gcovr"
if ! command -v dpkg-query >/dev/null; then
  echo "stagefs needs these packages (Debian's names); install them with your package manager:"
  echo "$packages"
  exit 0
fi
missing=
for package in $packages; do
  case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
    *'install ok installed') ;;
    *) missing="$missing $package" ;;
  esac
done
if [ -n "$missing" ]; then
  echo "Installing with apt-get:$missing"
  sudo=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "as root: apt-get install$missing" >&2; exit 1; }
    sudo=sudo
  fi
  $sudo apt-get update -qq
  # shellcheck disable=SC2086 # A list of names.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if [ "${TOOLS:-0}" != 0 ] && [ ! -x build/posix/bin/pjdfstest ] && command -v cargo >/dev/null; then
  echo "Building fsx and pjdfstest with cargo"
  cargo install --quiet --locked --root build/posix fsx@0.3.2 pjdfstest@0.2.2 || echo "they do not build here: their tests are skipped"
fi
if [ "${CLUSTER:-0}" != 0 ] && [ ! -x build/cluster/bin/s3s-fs ]; then
  echo "Building s3s-fs with cargo (minutes)"
  cargo install --quiet --locked --root build/cluster --features binary s3s-fs@0.14.1
fi
[ "${BENCH:-0}" = 0 ] || tests/bench/peers.sh
