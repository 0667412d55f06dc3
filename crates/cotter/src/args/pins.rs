//! Pins, as every command that takes a policy tells of them.

/// The options of each pin, for `--help`.
pub const PINS: &str = r#"Pins and their configuration (JSON):
  tang  a key server must answer
        url     its address, required: "http://keys.example:7500"
        thp     thumbprint of its signing key (`cotter keys show`): no question is asked
        adv     its advertisement, as an object or the name of a file: it need not answer now
        pin     of a server of https://, instead of a CA: its key, "sha256//…" (`cotter keys pin URL`), or up to four in an array; no
                certificate, name or clock has a say then. A spare one is for a key that the server does not use yet
        cacert, cert, key   files for TLS: the CA of the server, certificate and key of this client; the key as PEM, or sealed to the
                TPM: `cotter encrypt tpm2 '{}' < key.pem > key.jwe`
  tpm2  the TPM of this machine must be there, and what was booted must be the same
        pcr_ids     the PCRs that must hold what they hold now: "7", "4,7", [4,7]; without them any system on this machine opens it
        pcr_bank    their bank: sha256 where the TPM has it
        pcr_digest  their values one behind the other, in base64url, instead of those of now; with pcr_bank
        key         ecc (the default) or rsa: the parent key
        hash        sha256 (the default), sha1, sha384, sha512: the hash of the parent key
        The TPM is the first /dev/tpmrm*, or what TPM2TOOLS_TCTI names: device:FILE, swtpm:host=IP,port=N, swtpm:path=SOCKET
  cotter-tpm2  what the TPM can do beyond tpm2; Clevis does not know it
        pcr_ids, pcr_bank, pcr_digest, key   as above; the bank is sha256 if not given
        accept      further sets of values, at most 7: [{"7":"HEX"}, …]
        pin         true: a person is asked for a PIN; wrong ones lock the TPM for a while
        latch       true, or a PCR from 8 to 15: `cotter tpm latch` shuts it until the machine starts again
        signed      {"key": JWK or FILE, "reference": TEXT}: what pcr_ids may hold is what this key has approved (LUKS2 only)
        counter     true: copies of a binding open no more once it was made anew (with signed: once revoked); "0x…": that counter of the TPM
  tpm2plus  the TPM, and a signed policy in a file that says which PCRs are right: change it and nothing is sealed again
        policy_pubkey_path, policy_path, policy_ref   whose signature, in which file, for what purpose; key and hash as above
  sss   t of several policies must be met
        t       how many, 1 if not given
        pins    {"PIN": CFG or [CFG, …], …}
        Two of three servers: '{"t":2,"pins":{"tang":[{"url":"a"},{"url":"b"},{"url":"c"}]}}'
  file  a file of this machine must be there
        name    the file, which is made and must not exist; keep it on another disk
  null  no protection at all, for tests
        fail    true: decryption fails"#;
