# Sourced: installs Debian's packages, where that may be done.

# debian_install PACKAGE...: apt-get install, as root or by sudo without a password.
# Fails if this is no Debian, or nobody who may. Starts no services.
debian_install() {
  local become=()
  grep -Eqx 'ID(_LIKE)?="?(debian|ubuntu)"?' /etc/os-release 2>/dev/null || return
  if [[ $EUID != 0 ]]; then
    sudo -n true 2>/dev/null || return
    become=(sudo -n)
  fi
  mkdir -p target/tools
  (
    exec 9>target/tools/apt.lock
    flock 9
    apt=("${become[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq
      -o DPkg::Lock::Timeout=300)
    # 9>&-: what apt-get leaves running must not keep the lock.
    "${apt[@]}" update >&2 9>&- &&
      "${apt[@]}" install -y --no-install-recommends "$@" >&2 9>&-
  )
}
