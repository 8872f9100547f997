# Sourced: installs npm packages for tests, into target/tools.

# npm_into_tools NAME: installs what tests/NAME/package-lock.json names, at first use or
# when it has changed, and prints its node_modules.
npm_into_tools() {
  local dir="$PWD/target/tools/$1"
  mkdir -p target/tools
  exec 9>"$dir.lock"
  flock 9
  if ! cmp -s "tests/$1/package-lock.json" "$dir/package-lock.json" || [[ ! -e $dir/.complete ]]; then
    rm -rf "$dir"
    mkdir "$dir"
    cp "tests/$1"/{package.json,package-lock.json,.npmrc} "$dir"
    # npm takes a link to a folder for a package.
    npm ci --prefix "$(realpath "$dir")" --ignore-scripts --no-audit --no-fund >&2
    touch "$dir/.complete"
  fi
  echo "$dir/node_modules"
}
