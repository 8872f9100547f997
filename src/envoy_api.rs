//! Envoy's API by its descriptors: its messages by name, with their options.

use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, DynamicMessage};

/// What is not a message of Envoy's API.
type Unreadable = Box<dyn std::error::Error + Send + Sync>;

/// The descriptors of every message of Envoy's API, and of what it imports.
pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let set = marchproxy_proto::file_descriptor_set();
        DescriptorPool::decode(set).expect("the set is compiled in, and tests read it")
    })
}

/// Reads an encoded `google.protobuf.Any`.
pub fn read_any(encoded: &[u8]) -> Result<DynamicMessage, Unreadable> {
    let any = pool().get_message_by_name("google.protobuf.Any").ok_or("no Any in the set")?;
    Ok(DynamicMessage::decode(any, encoded)?)
}
