-- A first MarchProxy's tables: what its program made.
CREATE TABLE auth_user (
    id serial PRIMARY KEY, email varchar(255) NOT NULL UNIQUE, username varchar(128) NOT NULL UNIQUE,
    password_hash varchar(255) NOT NULL, first_name varchar(128), last_name varchar(128),
    totp_secret varchar(32), totp_enabled boolean DEFAULT false, is_active boolean DEFAULT true,
    is_admin boolean DEFAULT false, is_verified boolean DEFAULT false,
    created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp, last_login timestamp);
CREATE TABLE clusters (
    id serial PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, description text,
    api_key_hash varchar(255) NOT NULL, syslog_endpoint varchar(255), log_auth boolean DEFAULT true,
    log_netflow boolean DEFAULT true, log_debug boolean DEFAULT false, is_active boolean DEFAULT true,
    is_default boolean DEFAULT false, max_proxies integer DEFAULT 3,
    created_by integer NOT NULL REFERENCES auth_user, created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp, extra_metadata json);
CREATE TABLE user_cluster_assignments (
    id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES auth_user,
    cluster_id integer NOT NULL REFERENCES clusters, role varchar(50) DEFAULT 'service_owner',
    assigned_by integer NOT NULL REFERENCES auth_user, assigned_at timestamp DEFAULT now(),
    is_active boolean DEFAULT true);
CREATE TABLE services (
    id serial PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, ip_fqdn varchar(255) NOT NULL,
    port integer NOT NULL, protocol varchar(10) DEFAULT 'tcp', collection varchar(100),
    cluster_id integer NOT NULL REFERENCES clusters, auth_type varchar(20) DEFAULT 'none',
    token_base64 varchar(255), jwt_secret varchar(255), jwt_expiry integer DEFAULT 3600,
    jwt_algorithm varchar(10) DEFAULT 'HS256', tls_enabled boolean DEFAULT false,
    tls_verify boolean DEFAULT true, health_check_enabled boolean DEFAULT false,
    health_check_path varchar(255), health_check_interval integer DEFAULT 30,
    is_active boolean DEFAULT true, created_by integer NOT NULL REFERENCES auth_user,
    created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp, extra_metadata json);
CREATE TABLE user_service_assignments (
    id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES auth_user,
    service_id integer NOT NULL REFERENCES services,
    assigned_by integer NOT NULL REFERENCES auth_user, assigned_at timestamp DEFAULT now(),
    is_active boolean DEFAULT true);
CREATE TABLE proxy_servers (
    id serial PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, hostname varchar(255) NOT NULL,
    ip_address varchar(45) NOT NULL, port integer DEFAULT 8080,
    cluster_id integer NOT NULL REFERENCES clusters, status varchar(20) DEFAULT 'pending',
    version varchar(50), capabilities json, license_validated boolean DEFAULT false,
    license_validation_at timestamp, last_seen timestamp, last_config_fetch timestamp,
    config_version varchar(64), registered_at timestamp DEFAULT now(), extra_metadata json);
CREATE TABLE mappings (
    id serial PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text,
    cluster_id integer NOT NULL REFERENCES clusters, source_services varchar(500) NOT NULL,
    dest_services varchar(500) NOT NULL, protocols varchar(255) NOT NULL DEFAULT 'tcp,udp',
    ports varchar(255) NOT NULL, auth_required boolean DEFAULT true, comments text,
    is_active boolean DEFAULT true, created_by integer NOT NULL, created_at timestamp DEFAULT now(),
    updated_at timestamp);
CREATE TYPE certificatesource AS ENUM ('INFISICAL', 'VAULT', 'UPLOAD');
CREATE TABLE certificates (
    id serial PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, description text, cert_data text NOT NULL,
    key_data text NOT NULL, ca_chain text, source_type certificatesource NOT NULL, common_name varchar(255),
    subject_alt_names text, issuer varchar(255), valid_from timestamp, valid_until timestamp NOT NULL,
    auto_renew boolean DEFAULT false, renew_before_days integer DEFAULT 30,
    infisical_secret_path varchar(255), infisical_project_id varchar(255),
    infisical_environment varchar(100), vault_path varchar(255), vault_role varchar(255),
    vault_common_name varchar(255), is_active boolean DEFAULT true, last_renewal timestamp,
    renewal_error text, created_by integer NOT NULL, created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp);
