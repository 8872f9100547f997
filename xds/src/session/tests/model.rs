//! Whatever happens in whatever order, a client is told what it should be, and no more.

use proptest::prelude::*;

use super::*;
use crate::testing::model::{Desired, Model, NAMES, Step, TYPES};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let numbers = |most: u8| [0..=most, 0..=most, 0..=most];
    let desired = (numbers(4), numbers(7), numbers(4));
    let desired =
        desired.prop_map(|(clusters, routes, listeners)| Desired { clusters, routes, listeners });
    let of_type = || prop::sample::select(&TYPES[..]);
    let named = || (of_type(), 0..NAMES.len());
    let refusal = (of_type(), prop::option::of(0..NAMES.len()), any::<bool>());
    let step = prop_oneof![
        4 => desired.prop_map(Step::Publish),
        8 => of_type().prop_map(Step::Accept),
        4 => refusal.prop_map(|(resource_type, blame, applies_others)| {
            Step::Refuse { resource_type, blame, applies_others }
        }),
        4 => named().prop_map(|(resource_type, name)| Step::Subscribe(resource_type, name)),
        2 => named().prop_map(|(resource_type, name)| Step::Unsubscribe(resource_type, name)),
        1 => of_type().prop_map(Step::Stale),
        1 => Just(Step::Lift),
        1 => Just(Step::EndGrace),
        2 => Just(Step::Wait),
        1 => Just(Step::Reconnect),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn every_interleaving_ends_with_the_latest_snapshot(
        steps in steps(),
        wildcard in any::<bool>(),
        has_grace in any::<bool>(),
        has_ttl in any::<bool>(),
    ) {
        for protocol in [Protocol::Sotw, Protocol::Delta] {
            let mut model = Model::new(protocol, wildcard);
            if has_grace {
                model = model.with_grace();
            }
            if has_ttl {
                model = model.with_ttl();
            }
            steps.iter().for_each(|step| model.step(*step));
            model.settle();
        }
    }
}

fn publish(clusters: [u8; 3], routes: [u8; 3], listeners: [u8; 3]) -> Step {
    Step::Publish(Desired { clusters, routes, listeners })
}

fn refuse(resource_type: ResourceType) -> Step {
    Step::Refuse { resource_type, blame: None, applies_others: false }
}

#[test]
fn c6_what_was_refused_together_may_be_tried_alone_beside_something_new() {
    let mut model = Model::new(Protocol::Sotw, true);
    for step in [
        publish([1, 1, 0], [7, 7, 7], [0, 0, 0]),
        publish([0, 0, 2], [2, 2, 2], [2, 2, 2]),
        Step::Accept(L),
        Step::Accept(C),
        publish([0, 0, 4], [0, 0, 0], [0, 0, 0]),
        refuse(C),
        Step::Accept(R),
        Step::Accept(C),
        publish([0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ] {
        model.step(step);
    }
    model.settle();
}

#[test]
fn what_was_dropped_on_its_way_and_asked_for_again_comes() {
    let mut model = Model::new(Protocol::Sotw, false).with_grace().with_ttl();
    for step in [
        Step::Subscribe(L, 2),
        Step::Subscribe(L, 1),
        publish([0, 3, 4], [2, 6, 1], [1, 1, 3]),
        Step::Accept(L),
        refuse(L),
        Step::Unsubscribe(L, 1),
        Step::Subscribe(L, 1),
    ] {
        model.step(step);
    }
    model.settle();
}

#[test]
fn an_empty_list_that_is_refused_ends_no_search() {
    let mut model = Model::new(Protocol::Sotw, true).with_grace().with_ttl();
    let half = Step::Refuse { resource_type: C, blame: None, applies_others: true };
    let [first, last] = [[refuse(C), refuse(C)], [half, half]];
    first.into_iter().for_each(|step| model.step(step));
    model.step(publish([3, 0, 0], [2, 5, 1], [1, 3, 3]));
    last.into_iter().chain([refuse(C)]).for_each(|step| model.step(step));
    model.settle();
}

#[test]
fn c6_a_removal_that_has_to_wait_is_not_acquitted_with_the_rest_of_its_part() {
    let mut model = Model::new(Protocol::Sotw, true);
    for step in [
        publish([3, 0, 3], [0, 0, 0], [0, 0, 0]),
        Step::Accept(L),
        Step::Accept(L),
        Step::Accept(C),
        publish([3, 0, 3], [0, 0, 0], [4, 3, 4]),
        refuse(C),
    ] {
        model.step(step);
    }
    model.settle();
}
