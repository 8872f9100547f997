//! The descriptors of Envoy's API, for whoever has to know its messages by name.

use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

/// Made by `scripts/descriptor-set`, as is `envoy.binpb.from`: what it was made of.
const COMPRESSED: &[u8] = include_bytes!("../envoy.binpb.gz");

/// An encoded `google.protobuf.FileDescriptorSet` of Envoy's API.
///
/// It describes every `.proto` file that `envoy-types` is generated from, with all
/// that they import, each after its imports, and without comments. About 700 kB,
/// decompressed at the first call and kept until the process ends.
pub fn file_descriptor_set() -> &'static [u8] {
    static SET: OnceLock<Vec<u8>> = OnceLock::new();
    SET.get_or_init(|| {
        let mut set = Vec::new();
        let mut decoder = GzDecoder::new(COMPRESSED);
        decoder.read_to_end(&mut set).expect("the set is compiled in, and a test decompresses it");
        set
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use prost::Message as _;
    use prost_types::{FileDescriptorProto, FileDescriptorSet};

    use super::*;

    fn files() -> Vec<FileDescriptorProto> {
        FileDescriptorSet::decode(file_descriptor_set()).expect("a descriptor set").file
    }

    #[test]
    fn the_set_is_made_of_the_envoy_types_in_the_lock_file() {
        let lock = include_str!("../../Cargo.lock");
        let (_, entry) = lock.split_once("name = \"envoy-types\"\n").expect("it is in there");
        let version = entry.lines().next().and_then(|line| line.strip_prefix("version = "));
        let version = version.expect("a version").trim_matches('"');
        let from = include_str!("../envoy.binpb.from");
        assert!(
            from.lines().any(|line| line == format!("envoy-types {version}")),
            "run `make descriptors`: the set is from\n{from}"
        );
    }

    #[test]
    fn every_file_stands_after_those_that_it_imports() {
        let mut seen = HashSet::new();
        for file in files() {
            for import in &file.dependency {
                assert!(seen.contains(import), "{} needs {import}", file.name());
            }
            seen.insert(file.name().to_owned());
        }
        assert!(seen.len() > 500, "only {} files", seen.len());
    }

    #[test]
    fn the_services_of_xds_are_in_the_set() {
        let files = files();
        let services = files.iter().flat_map(|file| {
            file.service.iter().map(|s| (format!("{}.{}", file.package(), s.name()), &s.method))
        });
        let services: BTreeMap<_, _> = services.collect();
        let table = [
            ("discovery.v3.AggregatedDiscoveryService", 2),
            ("listener.v3.ListenerDiscoveryService", 3),
            ("cluster.v3.ClusterDiscoveryService", 3),
            ("route.v3.RouteDiscoveryService", 3),
            ("endpoint.v3.EndpointDiscoveryService", 3),
            ("secret.v3.SecretDiscoveryService", 3),
            ("runtime.v3.RuntimeDiscoveryService", 3),
            ("load_stats.v3.LoadReportingService", 1),
            ("status.v3.ClientStatusDiscoveryService", 2),
        ];
        for (name, methods) in table {
            let service = services.get(&format!("envoy.service.{name}"));
            assert_eq!(service.map(|methods| methods.len()), Some(methods), "{name}");
        }
    }

    #[test]
    fn comments_are_not_in_the_set() {
        assert!(files().iter().all(|file| file.source_code_info.is_none()));
    }
}
