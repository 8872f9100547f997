//! What does not compile, and which field that is put down to.

use super::given::{
    forward, listener, number, prefix, route, routing, service, serving, state, tcp_listener,
    tcp_service, to_api,
};
use crate::compile::{CompileError, compile};
use crate::error::Error;
use crate::model::{DesiredState, RouteAction};

/// What is wrong with a state, what people read, and the field they look at.
type Case = (DesiredState, fn(&CompileError) -> bool, &'static str, &'static str);

fn port_clash() -> DesiredState {
    let mut state = state();
    state.listeners.push(listener(2, "second", 10_000));
    state
}

fn route_to_tcp() -> DesiredState {
    let action = RouteAction::Forward(forward(&[(1, 1), (2, 0)]));
    let mut state = routing([route(1, "all", prefix("/"), action)]);
    state.services.push(tcp_service(2, "db", "10.0.0.2:5432"));
    state
}

fn route_on_tcp() -> DesiredState {
    let mut route = route(1, "all", prefix("/"), to_api());
    route.spec.listener = number(2);
    let mut state = routing([route]);
    state.listeners.push(tcp_listener(2, "db", 5432, 1));
    state
}

fn route_on_nothing() -> DesiredState {
    let mut route = route(1, "all", prefix("/"), to_api());
    route.spec.listener = number(9);
    routing([route])
}

fn listener_to_nothing() -> DesiredState {
    let mut state = state();
    state.listeners.push(tcp_listener(2, "db", 5432, 9));
    state
}

#[test]
fn what_does_not_compile_names_the_field_that_is_wrong() {
    let to_nothing = RouteAction::Forward(forward(&[(1, 1), (9, 1)]));
    let table: [Case; 7] = [
        (
            port_clash(),
            |e| matches!(e, CompileError::PortClash { port: 10_000, .. }),
            "port",
            "listeners marchproxy_listener and second would both bind port 10000",
        ),
        (
            serving([service(1, "api", &["10.0.0.1:80"]), service(2, "API", &["10.0.0.2:80"])]),
            |e| matches!(e, CompileError::HostClash { .. }),
            "name",
            "services api and API would both answer to host api",
        ),
        (
            route_to_tcp(),
            |e| matches!(e, CompileError::NotHttp { .. }),
            "protocol",
            "route all sends requests to service db, which is not HTTP",
        ),
        (
            route_on_tcp(),
            |e| matches!(e, CompileError::NotRouted { .. }),
            "listener",
            "route all is on listener db, which is not HTTP",
        ),
        (
            route_on_nothing(),
            |e| matches!(e, CompileError::Dangling { .. }),
            "listener",
            "route all refers to a listener that is not in this group",
        ),
        (
            routing([route(1, "all", prefix("/"), to_nothing)]),
            |e| matches!(e, CompileError::Dangling { .. }),
            "service",
            "route all refers to a service that is not in this group",
        ),
        (
            listener_to_nothing(),
            |e| matches!(e, CompileError::Dangling { .. }),
            "service",
            "listener db refers to a service that is not in this group",
        ),
    ];
    for (state, is_it, field, reason) in table {
        let error = compile(&state).unwrap_err();
        assert!(is_it(&error), "{error:?}");
        let error = Error::from(error);
        assert_eq!(error.path(), [field], "{reason}");
        assert_eq!(error.to_string(), format!("{field}: {reason}"));
    }
}

#[test]
fn two_listeners_of_one_name_are_our_fault_and_not_the_clients() {
    let mut state = state();
    state.listeners.push(listener(2, "marchproxy_listener", 80));
    let error = compile(&state).unwrap_err();
    assert!(matches!(error, CompileError::Inconsistent(_)), "{error:?}");
    assert_eq!(Error::from(error).to_string(), "internal error");
}

#[test]
fn a_listener_may_have_any_name_that_is_free() {
    for name in ["marchproxy", "marchproxy_routes", "routes_marchproxy_listener"] {
        let mut state = state();
        state.listeners.push(listener(2, name, 80));
        assert!(compile(&state).is_ok(), "{name}: {:?}", compile(&state));
    }
}

#[test]
fn services_of_one_host_are_fine_where_none_is_asked_for_by_name() {
    let mut state =
        serving([service(1, "api", &["10.0.0.1:80"]), service(2, "API", &["10.0.0.2:80"])]);
    state.listeners[0].is_default = false;
    assert!(compile(&state).is_ok());
    state.listeners.clear();
    assert!(compile(&state).is_ok());
}

#[test]
fn listeners_share_a_port_on_different_addresses() {
    let mut state = state();
    let [mut one, mut two] = [listener(2, "one", 80), listener(3, "two", 80)];
    one.spec.address = "127.0.0.1".parse().unwrap();
    two.spec.address = "127.0.0.2".parse().unwrap();
    state.listeners.extend([one, two]);
    assert!(compile(&state).is_ok());
}
