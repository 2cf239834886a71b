//! What a server is told from outside. What: [`ListenAddress`]. Why a type: an open server believes whatever a caller says to be,
//! so it must not listen where strangers are.

use std::{fmt, net::SocketAddr};

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(SocketAddr);

/// Why a listen address was refused; the text is for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// Not an address and a port.
    #[error("{0:?} is not an address to listen on; write it as 127.0.0.1:7400, [::1]:7400 or localhost:7400")]
    Malformed(String),
    /// An address that other machines can reach.
    #[error(
        "{0} can be reached from other machines, and an open server asks nobody who they are: anybody could read and change \
         everything. Listen on 127.0.0.1 or [::1], or have callers bring tokens: --token-keys (SHIPEI_TOKEN_KEYS) instead of --open"
    )]
    NotLoopback(SocketAddr),
}

impl ListenAddress {
    /// Reads `HOST:PORT`. Of an open server it must be an address that only this machine can reach.
    ///
    /// # Errors
    /// When it is no address, or when strangers could reach an open server.
    pub fn parse(text: &str, open: bool) -> Result<Self, ListenAddressError> {
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        let Ok(address) = numeric.parse::<SocketAddr>() else {
            return Err(ListenAddressError::Malformed(text.to_owned()));
        };
        let parsed = Self(address);
        if !parsed.is_loopback() && open {
            return Err(ListenAddressError::NotLoopback(address));
        }
        Ok(parsed)
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }

    /// The address for the socket.
    pub fn socket_address(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_accepted() {
        for text in ["127.0.0.1:7400", "[::1]:0", "localhost:7400", "127.8.0.1:1", "[::ffff:127.0.0.1]:1"] {
            let address = ListenAddress::parse(text, true).unwrap();
            assert!(address.is_loopback(), "{text}");
        }
    }

    #[test]
    fn open_server_is_reached_from_its_machine_only() {
        for text in ["0.0.0.0:7400", "[::]:7400", "192.168.1.2:7400", "10.0.0.1:1"] {
            let error = ListenAddress::parse(text, true).unwrap_err();
            assert!(error.to_string().contains("--token-keys"), "{error}");
            assert!(matches!(error, ListenAddressError::NotLoopback(_)));
            assert!(!ListenAddress::parse(text, false).unwrap().is_loopback());
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "7400", "localhost", "example.com:80"] {
            let error = ListenAddress::parse(text, false);
            assert!(matches!(error, Err(ListenAddressError::Malformed(_))), "{text}");
        }
    }
}
