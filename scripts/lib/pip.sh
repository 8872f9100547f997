# Sourced: installs Python packages beside the project, whatever pip there is.

# pip_into FOLDER ARGUMENT...: pip install --target FOLDER/site ARGUMENT...
pip_into() {
  local folder=$1 pip
  shift
  # Debian has pip and venv in packages of their own; either will do.
  if python3 -m pip --version >/dev/null 2>&1; then
    pip=(python3 -m pip)
  elif python3 -m venv "$folder/venv" >/dev/null 2>&1; then
    pip=("$folder/venv/bin/python" -m pip)
  else
    echo "$0: needs Python 3 with pip or venv: apt-get install python3-venv" >&2
    return 1
  fi
  "${pip[@]}" install --quiet --disable-pip-version-check --root-user-action=ignore \
    --only-binary :all: --target "$folder/site" "$@" >&2
}
