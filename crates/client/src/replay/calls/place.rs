//! The calls of what becomes of regions, schools and classes.

use shipei_contracts::{
    enrollment::v1::{self as enrollment, place_service_client::PlaceServiceClient as Places},
    services::ENROLLMENT,
};
use tonic::Status;

use super::origin::Origin;
use crate::{
    client::Clients,
    season::amendment::{PlaceClosed, PlaceKind, PlaceMerged, PlaceRenamed},
    send,
};

/// A request about a place, from an [`Origin`] and its own fields. Who sends seasons reaches the whole programme, and names no county.
macro_rules! message {
    ($origin:ident, $message:ident { $($field:ident: $value:expr),* $(,)? }) => {
        enrollment::$message {
            programme_id: $origin.programme_id,
            request_id: $origin.request_id,
            occurred_at: $origin.occurred_at,
            $($field: $value,)*
            ..Default::default()
        }
    };
}

pub(super) async fn rename(clients: &Clients, origin: Origin, line: PlaceRenamed) -> Result<(), Status> {
    let PlaceRenamed { kind, code, name, reason } = line;
    match kind {
        PlaceKind::Region => {
            let message = message!(origin, RenameRegionRequest { code: code, name: name, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, rename_region, message)
        }
        PlaceKind::School => {
            let message =
                message!(origin, RenameSchoolRequest { school_code: code, name: name, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, rename_school, message)
        }
        PlaceKind::Class => {
            let message = message!(origin, RenameClassRequest { class_id: code, name: name, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, rename_class, message)
        }
    }
}

pub(super) async fn merge(clients: &Clients, origin: Origin, line: PlaceMerged) -> Result<(), Status> {
    let PlaceMerged { kind, code, into, reason } = line;
    match kind {
        PlaceKind::Region => {
            let message =
                message!(origin, MergeRegionRequest { code: code, into_code: into, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, merge_region, message)
        }
        PlaceKind::School => {
            let message = message!(
                origin,
                MergeSchoolRequest { school_code: code, into_school_code: into, reason: reason }
            );
            send!(clients, ENROLLMENT, Places<_>, merge_school, message)
        }
        PlaceKind::Class => {
            let message =
                message!(origin, MergeClassRequest { class_id: code, into_class_id: into, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, merge_class, message)
        }
    }
}

pub(super) async fn close(clients: &Clients, origin: Origin, line: PlaceClosed) -> Result<(), Status> {
    let PlaceClosed { kind, code, reason } = line;
    match kind {
        PlaceKind::Region => {
            let message = message!(origin, CloseRegionRequest { code: code, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, close_region, message)
        }
        PlaceKind::School => {
            let message = message!(origin, CloseSchoolRequest { school_code: code, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, close_school, message)
        }
        PlaceKind::Class => {
            let message = message!(origin, CloseClassRequest { class_id: code, reason: reason });
            send!(clients, ENROLLMENT, Places<_>, close_class, message)
        }
    }
}
