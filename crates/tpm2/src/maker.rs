//! Makers of TPMs, by the four letters of the TCG's list ("TCG TPM Vendor ID Registry").

use crate::capability::Identity;

/// Where a TPM is made of software, or a part of the processor, this is known from its maker alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program on the host of a virtual machine, or on this machine.
    Software,
    /// A part of the processor's firmware.
    Firmware,
    /// A chip, or nobody knows.
    Other,
}

const MAKERS: [(&str, &str, Kind); 16] = [
    ("AMD", "AMD", Kind::Firmware),
    ("AMZN", "Amazon", Kind::Software),
    ("ATML", "Atmel", Kind::Other),
    ("GOOG", "Google", Kind::Other),
    ("HISI", "Huawei", Kind::Firmware),
    ("IBM", "IBM, as swtpm says", Kind::Software),
    ("IFX", "Infineon", Kind::Other),
    ("INTC", "Intel", Kind::Firmware),
    ("MSFT", "Microsoft", Kind::Software),
    ("NTC", "Nuvoton", Kind::Other),
    ("NTZ", "Nationz", Kind::Other),
    ("QCOM", "Qualcomm", Kind::Firmware),
    ("SMSN", "Samsung", Kind::Firmware),
    ("STM", "STMicroelectronics", Kind::Other),
    ("VMW", "VMware", Kind::Software),
    ("WEC", "Winbond", Kind::Other),
];

impl Identity {
    /// The name of the maker, if it is known.
    pub fn maker(&self) -> Option<&'static str> {
        self.entry().map(|(_, name, _)| name)
    }

    /// What it is made of.
    pub fn kind(&self) -> Kind {
        self.entry().map_or(Kind::Other, |(_, _, kind)| kind)
    }

    fn entry(&self) -> Option<(&'static str, &'static str, Kind)> {
        MAKERS.into_iter().find(|(letters, ..)| *letters == self.manufacturer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_is_known_by_four_letters() {
        let of = |letters: &str| {
            let identity =
                Identity { manufacturer: letters.into(), vendor: String::new(), firmware: (1, 2), revision: 138 };
            (identity.maker(), identity.kind())
        };
        assert_eq!(of("INTC"), (Some("Intel"), Kind::Firmware));
        assert_eq!(of("IBM"), (Some("IBM, as swtpm says"), Kind::Software));
        assert_eq!(of("ABCD"), (None, Kind::Other));
    }
}
