//! Where we say something else than the original: the words with which the ledger, `docs/compatibility.md`, names what the
//! original does. What we do instead, and why, stands there behind them.

pub const LIST: &str = "opens null ciphers, `capi:` names, any sector size, reencryption";
pub const SLOT: &str = "one bad slot is passed over";
pub const SIGNATURES: &str = "for every signature that `luks format` knows";
pub const TWICE: &str = "a member may stand twice in the JSON, slots";
pub const SHOWN: &str = "does not print a header that it would not use";
pub const UUID: &str = "any text is a UUID";
pub const LOOSE: &str = "reads JSON with comments, single quotes, hanging commas";
pub const LIMITS: &str = "as many values in the JSON as fit";
pub const NAMES: &str = "a token or a digest may be named `00` or nothing";
pub const MEMBERS: &str = "finds a wrong member of a slot or a digest when it is used";
pub const DIGEST: &str = "opens to any passphrase if the digest cannot be computed or is short";
pub const STRIPES: &str = "takes 4000 stripes whatever the slot says";
pub const COSTS: &str = "iterations and passes without a bound";
pub const APART: &str = "a volume whose header says that the data is elsewhere";
pub const LUKS1_TEXTS: &str = "cuts off a text of LUKS1 that has no NUL";
pub const GAP: &str = "gives out data of LUKSMeta that lies outside of the gap";

/// All of them.
pub const ALL: [&str; 16] = [
    LIST,
    SLOT,
    SIGNATURES,
    TWICE,
    SHOWN,
    UUID,
    LOOSE,
    LIMITS,
    NAMES,
    MEMBERS,
    DIGEST,
    STRIPES,
    COSTS,
    APART,
    LUKS1_TEXTS,
    GAP,
];
