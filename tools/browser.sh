#!/usr/bin/env bash
# Installs Chromium (Debian's) and the Playwright driver (npm's playwright-core) that the module in go.mod expects. Idempotent.
set -euo pipefail
tools=$1
# The driver's version is a constant of the module that go.mod pins: read it there rather than write it twice. Nothing may have needed that module yet.
module=github.com/playwright-community/playwright-go
go mod download $module
version=$(grep -oP 'playwrightCliVersion\s*= "\K[^"]+' "$(go list -m -f '{{.Dir}}' $module)/run.go")
if ! [ -x /usr/lib/chromium/chromium ]; then
  echo "→ installing Chromium (about 120 MB)"
  bash "$(dirname "$0")/apt.sh" chromium fonts-dejavu-core
fi
driver=$tools/playwright-driver-$version
if ! [ -f "$driver/.done" ]; then
  echo "→ installing the Playwright driver $version"
  rm -rf "$driver" "$driver.tmp"
  mkdir -p "$driver.tmp"
  (cd "$driver.tmp" && npm pack --silent "playwright-core@$version" >/dev/null && tar -xzf playwright-core-*.tgz && rm playwright-core-*.tgz)
  ln -s "$(command -v node)" "$driver.tmp/node"
  node "$driver.tmp/package/cli.js" --version | grep -qF "$version"
  touch "$driver.tmp/.done"
  mv "$driver.tmp" "$driver"
fi
ln -sfn "playwright-driver-$version" "$tools/playwright-driver"
