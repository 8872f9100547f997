//! Requests, answers, snapshots and reconnects in any order: the client of the
//! property test, with steps that the fuzzer chooses.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use marchproxy_xds::testing::model::{Desired, Model, NAMES, Step, TYPES};
use marchproxy_xds::{Protocol, ResourceType};

/// More would only be slower.
const MAX_STEPS: usize = 200;

#[derive(Debug)]
struct Script {
    protocol: Protocol,
    wildcard: bool,
    has_grace: bool,
    has_ttl: bool,
    steps: Vec<Step>,
}

fuzz_target!(|script: Script| {
    let mut model = Model::new(script.protocol, script.wildcard);
    if script.has_grace {
        model = model.with_grace();
    }
    if script.has_ttl {
        model = model.with_ttl();
    }
    script.steps.into_iter().for_each(|step| model.step(step));
    model.settle();
});

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let protocol = *u.choose(&[Protocol::Sotw, Protocol::Delta])?;
        let (wildcard, has_grace, has_ttl) = u.arbitrary()?;
        let mut steps = Vec::new();
        while !u.is_empty() && steps.len() < MAX_STEPS {
            steps.push(step(u)?);
        }
        Ok(Self { protocol, wildcard, has_grace, has_ttl, steps })
    }
}

fn step(u: &mut Unstructured<'_>) -> Result<Step> {
    Ok(match u.int_in_range(0..=11)? {
        0 | 1 => Step::Publish(Desired {
            clusters: numbers(u, 4)?,
            routes: numbers(u, 7)?,
            listeners: numbers(u, 4)?,
        }),
        2 | 3 => Step::Accept(resource_type(u)?),
        4 => Step::Refuse {
            resource_type: resource_type(u)?,
            blame: u.arbitrary::<bool>()?.then(|| name(u)).transpose()?,
            applies_others: u.arbitrary()?,
        },
        5 => Step::Subscribe(resource_type(u)?, name(u)?),
        6 => Step::Unsubscribe(resource_type(u)?, name(u)?),
        7 => Step::Stale(resource_type(u)?),
        8 => Step::Lift,
        9 => Step::EndGrace,
        10 => Step::Wait,
        _ => Step::Reconnect,
    })
}

fn resource_type(u: &mut Unstructured<'_>) -> Result<ResourceType> {
    u.choose(&TYPES).copied()
}

fn name(u: &mut Unstructured<'_>) -> Result<usize> {
    u.choose_index(NAMES.len())
}

fn numbers(u: &mut Unstructured<'_>, most: u8) -> Result<[u8; NAMES.len()]> {
    let mut numbers = [0; NAMES.len()];
    for number in &mut numbers {
        *number = u.int_in_range(0..=most)?;
    }
    Ok(numbers)
}
