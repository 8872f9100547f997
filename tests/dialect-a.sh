#!/usr/bin/env bash
# A client of the REST API as clients of the first MarchProxy were written: it signs in,
# makes a cluster, keeps its key, makes services, registers a proxy, sends heartbeats,
# fetches the configuration, lists, rotates and deletes. It knows what the old server
# declared, and nothing of this one. Ends at the first answer that is not as declared.
#
#   tests/dialect-a.sh URL USERNAME PASSWORD      of an administrator
set -euo pipefail

base=$1 username=$2 password=$3
api=$base/api/v1
token='' answer='' steps=0

# call METHOD PATH STATUS [BODY] [CURL-ARGUMENT...]: asks, and keeps the answer.
call() {
  local method=$1 path=$2 want=$3 body=${4:-} arguments=() status
  shift $(($# < 4 ? $# : 4))
  [[ -z $token ]] || arguments+=(-H "Authorization: Bearer $token")
  [[ -z $body ]] || arguments+=(-H 'Content-Type: application/json' --data "$body")
  answer=$(curl --silent --show-error --max-time 20 --request "$method" \
    --write-out '\n%{http_code}' "${arguments[@]}" "$@" "$api$path")
  status=${answer##*$'\n'} answer=${answer%$'\n'*}
  steps=$((steps + 1))
  if [[ $status != "$want" ]]; then
    echo "dialect A: $method $path: expected $want, and not $status: $answer" >&2
    exit 1
  fi
}

# anonymous COMMAND...: without the token.
anonymous() {
  local kept=$token
  token=''
  "$@"
  token=$kept
}

# is EXPRESSION: holds of the answer, which is called `a`, as Python understands it.
is() {
  ANSWER=$answer python3 - "$1" <<'PYTHON' || exit 1
import json, os, re, sys
a = json.loads(os.environ["ANSWER"] or "null")
def has(value, keys):
    return set(keys.split()) <= set(value)
if not eval(sys.argv[1]):
    sys.exit(f"dialect A: not so: {sys.argv[1]}\n  of {json.dumps(a)}")
PYTHON
}

# get EXPRESSION: a value of the answer.
get() {
  ANSWER=$answer python3 -c 'import json, os, sys
a = json.loads(os.environ["ANSWER"])
print(eval(sys.argv[1]))' "$1"
}

detail() { is "a == {'detail': '''$1'''}"; }

echo "dialect A: signing in"
call GET /clusters 401
detail 'Not authenticated'
call POST /auth/login 401 '{"username": "'"$username"'", "password": "not the password"}'
detail 'Incorrect username or password'
call POST /auth/login 422 '{"username": "'"$username"'"}'
is "a['detail'][0]['loc'] == ['body', 'password'] and has(a['detail'][0], 'type loc msg input')"
call POST /auth/login 422 '{"username":'
is "a['detail'][0]['type'] == 'json_invalid'"
call POST /auth/login 200 '{"username": "'"$username"'", "password": "'"$password"'"}'
is "has(a, 'user_id username email is_admin requires_2fa access_token refresh_token token_type expires_in')"
is "a['is_admin'] is True and a['requires_2fa'] is False and a['token_type'] == 'bearer'"
is "type(a['user_id']) is int and type(a['expires_in']) is int and a['access_token'].count('.') == 2"
refresh=$(get "a['refresh_token']")
call POST /auth/refresh 200 '{"refresh_token": "'"$refresh"'"}'
is "has(a, 'access_token refresh_token token_type expires_in')"
token=$(get "a['access_token']") refresh=$(get "a['refresh_token']")
token=$refresh call GET /auth/me 401
detail 'Could not validate credentials'
call GET /auth/me 200
is "has(a, 'id username email first_name last_name is_active is_admin is_verified totp_enabled created_at last_login')"
is "a['username'] == '$username' and re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d', a['created_at'])"

echo "dialect A: clusters"
call POST /clusters 422 '{"name": ""}'
is "a['detail'][0]['loc'] == ['body', 'name']"
call POST /clusters 201 '{"name": "edge", "description": "at the edge", "syslog_endpoint": "syslog.example:514"}'
is "has(a, 'id name description syslog_endpoint log_auth log_netflow log_debug max_proxies is_active is_default proxy_count created_by created_at updated_at api_key')"
is "(a['log_auth'], a['log_netflow'], a['log_debug'], a['max_proxies']) == (True, True, False, 3)"
is "len(a['api_key']) >= 32 and a['is_active'] is True"
cluster=$(get "a['id']") key=$(get "a['api_key']")
call POST /clusters 400 '{"name": "edge"}'
detail "Cluster with name \\'edge\\' already exists"
call GET '/clusters?skip=0&limit=1&active_only=true' 200
is "set(a) == {'total', 'clusters'} and a['total'] == 2 and len(a['clusters']) == 1"
is "a['clusters'][0]['name'] == 'edge' and 'api_key' not in a['clusters'][0]"
call GET "/clusters/$cluster" 200
is "a['id'] == $cluster and not a.get('api_key') and not a.get('api_key_hash')"
call GET /clusters/999999 404
detail 'Cluster not found or access denied'
call PATCH "/clusters/$cluster" 200 '{"description": "moved", "log_debug": true}'
is "a['description'] == 'moved' and a['log_debug'] is True and a['syslog_endpoint'] == 'syslog.example:514'"
call GET '/clusters?limit=0' 422
call GET /clusters/one 422
is "a['detail'][0]['loc'][0] == 'path'"

echo "dialect A: services"
call POST /services 404 '{"name": "web", "ip_fqdn": "10.0.0.1", "port": 80, "cluster_id": 999999}'
detail 'Cluster not found'
call POST /services 201 '{"name": "web", "ip_fqdn": "web.internal", "port": 8080, "protocol": "http",
  "collection": "front", "cluster_id": '"$cluster"', "health_check_enabled": true,
  "health_check_path": "/healthz"}'
is "has(a, 'id name ip_fqdn port protocol collection cluster_id auth_type token_base64 jwt_secret jwt_expiry jwt_algorithm tls_enabled tls_verify health_check_enabled health_check_path health_check_interval is_active created_by created_at updated_at')"
is "(a['auth_type'], a['tls_enabled'], a['tls_verify'], a['health_check_interval']) == ('none', False, True, 30)"
web=$(get "a['id']")
call POST /services 201 '{"name": "db", "ip_fqdn": "10.0.0.5", "port": 5432, "cluster_id": '"$cluster"'}'
is "a['protocol'] == 'tcp'"
db=$(get "a['id']")
call POST /services 400 '{"name": "web", "ip_fqdn": "10.0.0.1", "port": 80, "cluster_id": '"$cluster"'}'
detail "Service with name \\'web\\' already exists"
for bad in '"port": 0' '"port": 65536' '"protocol": "sctp"' '"auth_type": "basic"' '"health_check_interval": 1'; do
  call POST /services 422 '{"name": "bad", "ip_fqdn": "10.0.0.1", "port": 80, "cluster_id": '"$cluster, $bad}"
  field=${bad%%:*}
  is "a['detail'][0]['loc'] == ['body', $field]"
done
call PATCH "/services/$web" 422 '{"protocol": "sctp"}'
call PATCH "/services/$web" 200 '{"port": 8081}'
is "a['port'] == 8081 and a['ip_fqdn'] == 'web.internal' and a['health_check_path'] == '/healthz'"
call PUT "/services/$web" 200 '{"collection": "back"}'
is "a['collection'] == 'back' and a['port'] == 8081"
call GET "/services?cluster_id=$cluster" 200
is "set(a) == {'total', 'services'} and [s['name'] for s in a['services']] == ['db', 'web']"
call GET "/services/$web" 200
call GET /services/999999 404
detail 'Service not found or access denied'
call POST "/services/$web/rotate-token" 422 '{}'
call POST "/services/$web/rotate-token" 200 '{"auth_type": "base64"}'
is "(a['service_id'], a['auth_type']) == ($web, 'base64') and a['new_token'] and a['message']"
service_token=$(get "a['new_token']")
call POST "/services/$web/reload-xds" 200
is "a == {'status': 'success', 'message': 'xDS configuration reloaded'}"

echo "dialect A: a proxy"
register() { # NAME STATUS [KEY]
  anonymous call POST /proxies/register "$2" '{"name": "'"$1"'", "hostname": "'"$1"'.internal",
    "ip_address": "10.0.0.7", "version": "1.2.3", "capabilities": {"xdp": true},
    "cluster_api_key": "'"${3:-$key}"'"}'
}
register egress-1 401 default-api-key
detail 'Invalid cluster API key'
register egress-1 201
is "has(a, 'id name hostname ip_address port cluster_id status version capabilities license_validated license_validation_at last_seen last_config_fetch config_version registered_at')"
is "(a['cluster_id'], a['port'], a['version'], a['capabilities']) == ($cluster, 8080, '1.2.3', {'xdp': True})"
proxy=$(get "a['id']")
register egress-1 201
is "a['id'] == $proxy"
register egress-2 201
register egress-3 201
register egress-4 429
is "'limit' in a['detail'].lower() and '(3)' in a['detail']"

# fetch PATH STATUS [KEY]: as a proxy does.
fetch() { anonymous call GET "/config/$1" "$2" '' -H "cluster-api-key: ${3:-$key}"; }
fetch "$cluster" 401 default-api-key
detail 'Invalid cluster API key'
anonymous call GET "/config/$cluster" 422
is "a['detail'][0]['loc'] == ['header', 'cluster-api-key']"
fetch 1 403
detail 'Cluster ID does not match API key'
fetch "$cluster" 200
is "has(a, 'cluster services mappings certificates logging generated_at config_version')"
is "a['cluster']['name'] == 'edge' and a['logging'] == {'endpoint': 'syslog.example:514', 'auth': True, 'netflow': True, 'debug': True}"
is "[s['name'] for s in a['services']] == ['db', 'web'] and re.fullmatch('[0-9a-f]{32}', a['config_version'])"
is "all(has(s, 'id name ip_fqdn port protocol collection auth tls health_check metadata') for s in a['services'])"
is "a['services'][1]['auth']['token_base64'] == '$service_token'"
version=$(get "a['config_version']")
fetch "version/$cluster" 200
is "has(a, 'cluster_id cluster_name config_version generated_at') and a['config_version'] == '$version'"
fetch "validate/$cluster" 200
is "has(a, 'cluster_id cluster_name config_version valid warnings errors stats') and a['valid'] is True"
is "a['stats']['services'] == 2 and 'no_mappings' in [w['type'] for w in a['warnings']]"

beat() { # STATUS PROXY [KEY]
  anonymous call POST /proxies/heartbeat "$1" '{"proxy_id": '"$2"', "cluster_api_key": "'"${3:-$key}"'",
    "status": "active", "config_version": "'"$version"'", "metrics": {"cpu_usage": 12.5, "connections_active": 3}}'
}
beat 200 "$proxy"
is "a == {'status': 'ok', 'message': 'Heartbeat received'}"
beat 401 "$proxy" default-api-key
detail 'Invalid cluster API key'
beat 404 999999
detail 'Proxy 999999 not found'
anonymous call POST "/proxies/$proxy/metrics" 200 '{"proxy_id": '"$proxy"', "cpu_usage": 20, "cluster_api_key": "'"$key"'"}'
is "a == {'status': 'ok', 'message': 'Metrics recorded'}"
call GET "/proxies/$proxy" 200
is "a['status'] == 'active' and a['config_version'] == '$version' and a['last_config_fetch'] and a['last_seen']"
call GET "/proxies?cluster_id=$cluster" 200
is "set(a) == {'total', 'proxies'} and a['total'] == 3"
call GET "/proxies/$proxy/metrics?limit=10" 200
is "has(a, 'proxy_id proxy_name metrics_count metrics') and [m['cpu_usage'] for m in a['metrics']] == [20, 12.5]"
is "has(a['metrics'][0], 'timestamp cpu_usage memory_usage connections_active connections_total bytes_sent bytes_received requests_per_second latency_avg latency_p95 errors_per_second')"
call GET /proxies/999999 404
detail 'Proxy not found'

echo "dialect A: a change is seen"
call PATCH "/services/$db" 200 '{"port": 5433}'
fetch "version/$cluster" 200
is "a['config_version'] != '$version'"
call PATCH "/services/$db" 200 '{"port": 5432}'
fetch "version/$cluster" 200
is "a['config_version'] == '$version'"

echo "dialect A: users"
call POST /users 201 '{"email": "owner@example.org", "username": "owner", "password": "'"$password"'"}'
is "has(a, 'id email username first_name last_name is_active is_admin is_verified totp_enabled created_at updated_at last_login')"
owner=$(get "a['id']")
call POST /users 400 '{"email": "owner@example.org", "username": "owner", "password": "'"$password"'"}'
detail 'Username or email already exists'
admin=$token
call POST /auth/login 200 '{"username": "owner@example.org", "password": "'"$password"'"}'
token=$(get "a['access_token']")
call GET /clusters 200
is "a == {'total': 0, 'clusters': []}"
call POST /clusters 403 '{"name": "mine"}'
is "set(a) == {'detail'} and type(a['detail']) is str"
theirs=$token token=$admin
call POST "/users/$owner/cluster-assignments" 201 '{"user_id": '"$owner"', "cluster_id": '"$cluster"'}'
is "a == {'status': 'ok', 'message': 'User assigned to cluster'}"
token=$theirs
call GET /clusters 200
is "[c['id'] for c in a['clusters']] == [$cluster]"
call POST /auth/logout 200
is "a == {'message': 'Logged out successfully'}"
call GET /auth/me 401
token=$admin
call GET /users 200
is "set(a) == {'total', 'users'} and a['total'] == 2"
me=$(call GET /auth/me 200 && get "a['id']")
call DELETE "/users/$me" 400
detail 'Cannot delete yourself'

echo "dialect A: rotating the key"
call POST "/clusters/$cluster/rotate-api-key" 200
is "has(a, 'cluster_id new_api_key message') and a['cluster_id'] == $cluster and a['new_api_key'] != '$key'"
old=$key key=$(get "a['new_api_key']")
beat 401 "$proxy" "$old"
fetch "$cluster" 401 "$old"
beat 200 "$proxy"
fetch "$cluster" 200

echo "dialect A: deleting"
call DELETE "/proxies/$proxy" 204
call GET "/proxies/$proxy" 200
is "a['status'] == 'offline'"
call DELETE "/services/$db" 204
call GET "/services/$db" 200
is "a['is_active'] is False"
call GET "/services?cluster_id=$cluster&active_only=true" 200
is "[s['id'] for s in a['services']] == [$web]"
fetch "$cluster" 200
is "[s['id'] for s in a['services']] == [$web]"
call DELETE "/services/$db?permanent=true" 204
call GET "/services/$db" 404
call DELETE /clusters/1 400
detail 'Cannot delete the default cluster'
call DELETE "/clusters/$cluster" 204
call GET '/clusters?active_only=true' 200
is "$cluster not in [c['id'] for c in a['clusters']]"
call GET "/clusters/$cluster" 200
is "a['is_active'] is False"
call DELETE "/users/$owner" 204
call POST /auth/logout 200
call GET /auth/me 401

echo "dialect A: $steps answers, all as declared."
