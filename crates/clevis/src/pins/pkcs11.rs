//! The pin `pkcs11`: the content key is encrypted for a token, a smart card for example (clevis 21, nbde-formats 3.6). Its bindings are
//! read and explained; what opens one is said and not done.
//!
//! A URI may hold the PIN of the token, in clear. It is never printed.

use crate::config::{Config, ConfigError};
use crate::error::{BindingError, PinError};
use crate::pin::{HEADER, Opened, Pin, Ports, Shown, header};
use crate::stored::Lost;
use crypto::Secret;
use jose::{Jwe, b64};
use json::{Field, Object, Value};

const NAME: &str = "pkcs11";
/// The attribute of a URI that is a PIN.
const PIN_VALUE: &str = "pin-value=";
/// By what the original always encrypts, whatever its default for decrypting is.
const MECHANISM: &str = "RSA-PKCS";

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Pkcs11;

/// What a header or a configuration says.
struct Token {
    uri: String,
    /// May be empty.
    mechanism: String,
}

impl Pin for Pkcs11 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Token::of_config(config)?;
        Ok(())
    }

    fn encrypt(&self, config: &Config, _: &Secret, _: &Object, _: &Ports<'_>) -> Result<Jwe, PinError> {
        Token::of_config(config)?;
        Err(PinError::OnlyClevis { pin: NAME, command: "clevis encrypt pkcs11 CFG, or clevis luks bind".into() })
    }

    fn open(&self, jwe: &Jwe, _: &Ports<'_>) -> Result<Opened, PinError> {
        let header = header(jwe);
        let header = header.field(HEADER);
        let token = Token::read(&header)?;
        Err(PinError::OnlyClevis { pin: NAME, command: token.command(&key(&header).map_err(bad)?) })
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        let token = Token::read(header)?;
        Ok(Shown { lossy: token.uri.contains(PIN_VALUE), config: token.configuration() })
    }

    fn stored(&self, header: &Field<'_>, _: &[&dyn Pin], lost: &mut Vec<Lost>) -> Result<Value, PinError> {
        let token = Token::read(header)?;
        if token.uri.contains(PIN_VALUE) {
            lost.push(Lost::Unsaid { place: String::new(), what: "its PIN, which is in the binding and not shown" });
        }
        Ok(token.configuration())
    }

    fn meets(&self, config: &Config, header: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        let (found, wanted) = (Token::read(header)?, Token::of_config(config)?);
        Ok((found.uri, found.mechanism) == (wanted.uri, wanted.mechanism))
    }
}

impl Token {
    fn read(header: &Field<'_>) -> Result<Token, PinError> {
        let token = (|| {
            let binding = header.member("clevis")?.member(NAME)?;
            Token::of(&binding, binding.member("uri")?.text()?)
        })();
        token.map_err(|source| bad(BindingError::Field(source)))
    }

    fn of_config(config: &Config) -> Result<Token, ConfigError> {
        config.only(&["uri", "mechanism"])?;
        let field = config.field();
        let uri = field.optional("uri")?;
        Ok(Token::of(&field, uri.as_ref().map_or(Ok("pkcs11:"), Field::text)?)?)
    }

    fn of(field: &Field<'_>, uri: &str) -> Result<Token, json::FieldError> {
        if !uri.starts_with("pkcs11:") {
            return Err(field.wrong_value("a token: \"uri\":\"pkcs11:…\""));
        }
        let mechanism = field.optional("mechanism")?.map_or(Ok(""), |mechanism| mechanism.text())?;
        Ok(Token { uri: uri.to_owned(), mechanism: mechanism.to_owned() })
    }

    /// Without the PIN.
    fn configuration(&self) -> Value {
        let json = Object::new().with("uri", without_pin(&self.uri));
        let json = if self.mechanism.is_empty() { json } else { json.with("mechanism", self.mechanism.as_str()) };
        json.into()
    }

    /// What brings the content key back, as the original calls it. It asks for the PIN.
    ///
    /// A module is code that runs with the PIN and the rights of who types this, and nobody has authenticated the header that names one: it is
    /// said, and not a part of the line.
    fn command(&self, key: &str) -> String {
        let mut command =
            format!("printf %s {key} | jose b64 dec -i- > key; pkcs11-tool --login --decrypt --input-file key");
        let mut add = |option: &str, value: &str| command.extend([" ", option, " ", &quoted(value)]);
        // The original takes the number of a slot for its place in the list of slots.
        match (self.attribute("slot-id"), self.attribute("token")) {
            (Some(slot), _) => add("--slot-index", slot),
            (None, Some(label)) => add("--token-label", &unescaped(label)),
            (None, None) => {}
        }
        add("--mechanism", if self.mechanism.is_empty() { MECHANISM } else { &self.mechanism });
        if let Some(module) = self.attribute("module-path") {
            let module = module.escape_debug();
            command += &format!(
                "; and --module, if it has to be: the header, for which nobody vouches, names {module}, so give your token's own library"
            );
        }
        command
    }

    /// An attribute of the URI (RFC 7512, section 2.3), found as the original does.
    fn attribute(&self, name: &str) -> Option<&str> {
        let parts = self.uri.trim_start_matches("pkcs11:").split([';', '?', '&']);
        parts.filter_map(|part| part.split_once('=')).find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

/// The encrypted content key, which is base64url.
fn key(header: &Field<'_>) -> Result<String, BindingError> {
    let key = header.member("clevis")?.member(NAME)?.member("key")?;
    let place = || key.place().to_owned();
    b64::decode(key.text()?).map_err(|source| BindingError::Base64 { place: place(), source })?;
    Ok(key.text()?.to_owned())
}

fn bad(source: BindingError) -> PinError {
    PinError::BadBinding { pin: NAME, source }
}

/// Stars for each PIN, which ends where another attribute begins.
fn without_pin(uri: &str) -> String {
    let mut parts = uri.split(PIN_VALUE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let rest = part.find([';', '&']).and_then(|end| part.get(end..)).unwrap_or_default();
        shown + PIN_VALUE + "***" + rest
    })
}

/// `%20` for a space, and its like.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => (bytes, rest) = ([bytes, vec![byte]].concat(), behind.get(2..).unwrap_or_default()),
            None => (bytes, rest) = ([bytes, vec![*first]].concat(), behind),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_never_shown() {
        for (uri, shown) in [
            ("pkcs11:", "pkcs11:"),
            ("pkcs11:?pin-value=1234", "pkcs11:?pin-value=***"),
            ("pkcs11:token=a?pin-value=1234&module-path=/m.so", "pkcs11:token=a?pin-value=***&module-path=/m.so"),
            ("pkcs11:pin-value=12;token=a;pin-value=34", "pkcs11:pin-value=***;token=a;pin-value=***"),
        ] {
            assert_eq!(without_pin(uri), shown);
        }
    }

    #[test]
    fn the_command_is_that_of_the_original() {
        let command =
            |uri: &str, mechanism: &str| Token { uri: uri.to_owned(), mechanism: mechanism.to_owned() }.command("QUJD");
        let begin = "printf %s QUJD | jose b64 dec -i- > key; pkcs11-tool --login --decrypt --input-file key";
        assert_eq!(command("pkcs11:", ""), format!("{begin} --mechanism 'RSA-PKCS'"));
        assert_eq!(
            command("pkcs11:slot-id=2;token=x?module-path=/usr/lib/m.so&pin-value=1234", "RSA-PKCS-OAEP"),
            format!(
                "{begin} --slot-index '2' --mechanism 'RSA-PKCS-OAEP'; and --module, if it has to be: the header, for which nobody vouches, \
                 names /usr/lib/m.so, so give your token's own library"
            )
        );
        assert_eq!(
            command("pkcs11:token=my%20card's", ""),
            format!(r"{begin} --token-label 'my card'\''s' --mechanism 'RSA-PKCS'")
        );
        assert_eq!((unescaped("%4"), unescaped("%zz%41")), ("%4".to_owned(), "%zzA".to_owned()));
    }
}
