//! Whatever happens in whatever order, the [model](crate::testing::model) holds.

use proptest::prelude::*;

use super::*;
use crate::testing::model::{Desired, Model, NAMES, Step, TYPES};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let contents = || [0..5_u8, 0..5_u8, 0..5_u8];
    let resource_type = || prop::sample::select(&TYPES[..]);
    let name = || 0..NAMES.len();
    let desired = (contents(), [0..8_u8, 0..8, 0..8], contents())
        .prop_map(|(clusters, routes, listeners)| Desired { clusters, routes, listeners });
    let step = prop_oneof![
        6 => desired.prop_map(Step::Publish),
        10 => resource_type().prop_map(Step::Accept),
        3 => (resource_type(), prop::option::of(name()), any::<bool>()).prop_map(
            |(resource_type, blame, applies_others)| {
                Step::Refuse { resource_type, blame, applies_others }
            }
        ),
        5 => (resource_type(), name()).prop_map(|(t, name)| Step::Subscribe(t, name)),
        3 => (resource_type(), name()).prop_map(|(t, name)| Step::Unsubscribe(t, name)),
        1 => resource_type().prop_map(Step::Stale),
        1 => Just(Step::Lift),
        1 => Just(Step::Reconnect),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaving_ends_with_the_latest_snapshot(steps in steps(), wildcard: bool) {
        for protocol in [Protocol::Sotw, Protocol::Delta] {
            let mut model = Model::new(protocol, wildcard);
            steps.iter().for_each(|&step| model.step(step));
            model.settle();
        }
    }
}
