//! The contracts' descriptor set, read once: what error texts, access policies and reflection are taken from.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;
use shipei_contracts::FILE_DESCRIPTOR_SET;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_else(|error| {
        // The set is compiled into the binary; a test reads it, so this can't ship.
        tracing::error!(%error, "the descriptor set of this build is broken");
        DescriptorPool::new()
    })
});

/// Every message, enum and service of the contracts, with their options.
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_set_is_readable() {
        assert!(pool().get_service_by_name("shipei.event.v1.EventFeed").is_some());
    }
}
