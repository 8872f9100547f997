# Sourced: keeps a server for tests, in a folder of its own, for as long as the one
# who asked for it lives.

# The folder that the server may write to; gone at the end.
dir=$(mktemp -d)
pid=

# PostgreSQL will not be root. `as_nobody COMMAND...` is somebody else then.
as_nobody=()
if [[ $EUID == 0 ]]; then
  user=nobody
  getent passwd postgres >/dev/null && user=postgres
  as_nobody=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups --)
  chown "$user" "$dir"
fi

# start_server COMMAND...: starts it, as somebody without rights.
start_server() {
  # No signals but ours: Ctrl-C in a terminal reaches this script, which stops it.
  setsid "${as_nobody[@]}" "$@" </dev/null >>"$dir.log" 2>&1 &
  pid=$!
}

# stop_server SIGNAL
stop_server() {
  [[ -n $pid ]] || return 0
  kill "-$1" "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  pid=
}

# signal_all SIGNAL: to the server and its children.
signal_all() {
  [[ -n $pid ]] || return 0
  # shellcheck disable=SC2046 # one word each
  kill "-$1" "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null || true
}

# until_ready COMMAND...: waits until it succeeds, or the server has ended.
until_ready() {
  local n
  for n in {1..300}; do
    "$@" >/dev/null 2>&1 && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  cat "$dir.log" >&2
  echo "$0: the server did not come up" >&2
  exit 1
}

# serve STOP: does what is said on standard input, a word a line, and says when it
# is done; `start`, `stop`, `kill`, `freeze` or `thaw`. STOP is the signal that stops
# the server; SIGKILL kills it.
serve() {
  local word
  while read -r word; do
    case $word in
      start) start ;;
      stop) stop_server "$1" ;;
      kill)
        signal_all KILL
        stop_server KILL
        ;;
      freeze) signal_all STOP ;;
      thaw) signal_all CONT ;;
      *) echo "$0: what is $word?" >&2; exit 2 ;;
    esac
    echo "$word: done"
  done
}

# Standard input ends when its other end does, whatever that died of.
clean_up() {
  signal_all CONT
  stop_server "${stop_signal:-TERM}"
  rm -rf "$dir" "$dir.log"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP
