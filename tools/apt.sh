#!/bin/sh
# Install Debian packages that are missing: where root, with apt-get; else say what to run.
set -eu
missing=""
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "This is not Debian: please make sure that these are installed:$missing" >&2
elif [ "$(id -u)" -ne 0 ]; then
  echo "Please run: sudo apt-get install$missing" >&2
else
  echo "Installing$missing"
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
