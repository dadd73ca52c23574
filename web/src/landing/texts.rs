//! What the landing page says, in several languages.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::error::LandingError;

/// A heading and the sentence below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Words {
    title: Cow<'static, str>,
    text: Cow<'static, str>,
}

impl Words {
    const fn new(title: &'static str, text: &'static str) -> Self {
        Self {
            title: Cow::Borrowed(title),
            text: Cow::Borrowed(text),
        }
    }
}

/// What the landing page says, in one language.
///
/// English, German, Spanish, French and Portuguese are here. For another language, start from one of
/// them with [`translation`](Self::translation) and change every text.
///
/// ```
/// use descope_magiclink_web::{LandingError, LandingTexts};
///
/// let danish = LandingTexts::translation("da")
///     .confirm("Log ind", "Tryk på knappen for at logge ind.")
///     .button("Log ind")
///     .ask_again("Få et nyt link")
///     .error(LandingError::Used, "Linket er brugt", "Et link virker kun én gang.");
/// # let _ = danish;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct LandingTexts {
    language: Cow<'static, str>,
    confirm: Words,
    button: Cow<'static, str>,
    ask_again: Cow<'static, str>,
    /// In the order of [`LandingError::ALL`].
    errors: [Words; LandingError::ALL.len()],
}

impl LandingTexts {
    /// The texts for one more language, in English until they are changed. `language` is a tag such as
    /// `da` or `pt-BR`.
    pub fn translation(language: impl Into<String>) -> Self {
        Self {
            language: Cow::Owned(language.into()),
            ..Self::english()
        }
    }

    /// Heading and sentence of the page with the button.
    pub fn confirm(mut self, title: impl Into<String>, text: impl Into<String>) -> Self {
        self.confirm = Words {
            title: Cow::Owned(title.into()),
            text: Cow::Owned(text.into()),
        };
        self
    }

    /// What the button says.
    pub fn button(mut self, text: impl Into<String>) -> Self {
        self.button = Cow::Owned(text.into());
        self
    }

    /// What the way to a new link says.
    pub fn ask_again(mut self, text: impl Into<String>) -> Self {
        self.ask_again = Cow::Owned(text.into());
        self
    }

    /// Heading and sentence for one error.
    pub fn error(
        mut self,
        error: LandingError,
        title: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        if let Some(words) = self.errors.get_mut(error.index()) {
            words.title = Cow::Owned(title.into());
            words.text = Cow::Owned(text.into());
        }
        self
    }

    /// The language's tag.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    pub(super) fn title(&self, error: Option<LandingError>) -> &str {
        &self.words(error).title
    }

    pub(super) fn text(&self, error: Option<LandingError>) -> &str {
        &self.words(error).text
    }

    pub(super) fn button_text(&self) -> &str {
        &self.button
    }

    pub(super) fn ask_again_text(&self) -> &str {
        &self.ask_again
    }

    fn words(&self, error: Option<LandingError>) -> &Words {
        error
            .and_then(|error| self.errors.get(error.index()))
            .unwrap_or(&self.confirm)
    }
}

/// The texts to use for a request: those of the language it likes best, else the first.
pub(super) fn choose<'t>(all: &'t [LandingTexts], request: &HeaderMap) -> Option<&'t LandingTexts> {
    let mut wanted: Vec<(f32, &str)> = request
        .get_all(ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|part| {
            let (tag, parameters) = part.split_once(';').unwrap_or((part, "q=1"));
            let quality = parameters.trim().strip_prefix("q=")?.parse().ok()?;
            (quality > 0.0).then_some((quality, tag.trim()))
        })
        .collect();
    // Stable: among equals the first counts.
    wanted.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let primary = |tag: &str| tag.split('-').next().unwrap_or(tag).to_ascii_lowercase();
    wanted
        .iter()
        .find_map(|(_, tag)| {
            all.iter()
                .find(|texts| texts.language.eq_ignore_ascii_case(tag))
                .or_else(|| {
                    all.iter()
                        .find(|texts| primary(&texts.language) == primary(tag))
                })
        })
        .or(all.first())
}

macro_rules! languages {
    ($($(#[$doc:meta])* $name:ident($tag:literal) {
        confirm: $title:literal, $text:literal;
        button: $button:literal;
        ask_again: $ask_again:literal;
        $($error:ident: $error_title:literal, $error_text:literal;)+
    })+) => {
        impl LandingTexts {
            $($(#[$doc])*
            pub fn $name() -> Self {
                let words = |error| match error {
                    $(LandingError::$error => Words::new($error_title, $error_text),)+
                };
                Self {
                    language: Cow::Borrowed($tag),
                    confirm: Words::new($title, $text),
                    button: Cow::Borrowed($button),
                    ask_again: Cow::Borrowed($ask_again),
                    errors: LandingError::ALL.map(words),
                }
            })+
        }
    };
}

languages! {
    /// English.
    english("en") {
        confirm: "Sign in", "Press the button to sign in on this device.";
        button: "Sign in";
        ask_again: "Get a new link";
        MissingToken: "This link is incomplete", "Part of the link is missing. Copy the whole link from the message, or ask for a new one.";
        Expired: "This link no longer works", "It has been used or has expired. Ask for a new one.";
        Used: "This link was already used", "A link works only once. If it was you who used it, there is nothing more to do.";
        InvalidLink: "This link does not work", "We do not know this link. Ask for a new one.";
        OtherBrowser: "Open the link where you asked for it", "For your safety the link works only in the browser in which you asked for it. Open it there, or ask for a new one here.";
        StaleForm: "Please press the button again", "This page had been open for too long, or your browser does not keep cookies for us.";
        CrossSite: "Please open the link again", "The request did not come from this page. Open the link from your message once more.";
        ServiceUnavailable: "We cannot sign you in right now", "Please try again in a moment. If it goes on, ask for a new link.";
        RateLimited: "Too many attempts", "Please wait a minute and try again.";
        Failed: "Something went wrong", "It was our mistake, and you are not signed in. Please ask for a new link.";
    }
    /// German.
    german("de") {
        confirm: "Anmelden", "Mit der Schaltfläche melden Sie sich auf diesem Gerät an.";
        button: "Anmelden";
        ask_again: "Neuen Link anfordern";
        MissingToken: "Der Link ist unvollständig", "Ein Teil des Links fehlt. Kopieren Sie den ganzen Link aus der Nachricht, oder fordern Sie einen neuen an.";
        Expired: "Der Link gilt nicht mehr", "Er wurde schon verwendet oder ist abgelaufen. Fordern Sie einen neuen an.";
        Used: "Der Link wurde schon verwendet", "Ein Link gilt nur einmal. Wenn Sie es selbst waren, ist nichts weiter zu tun.";
        InvalidLink: "Der Link gilt nicht", "Wir kennen diesen Link nicht. Fordern Sie einen neuen an.";
        OtherBrowser: "Öffnen Sie den Link dort, wo Sie ihn angefordert haben", "Zu Ihrer Sicherheit gilt der Link nur in dem Browser, in dem Sie ihn angefordert haben. Öffnen Sie ihn dort, oder fordern Sie hier einen neuen an.";
        StaleForm: "Bitte drücken Sie noch einmal", "Die Seite war zu lange offen, oder Ihr Browser nimmt keine Cookies von uns an.";
        CrossSite: "Bitte öffnen Sie den Link noch einmal", "Die Anfrage kam nicht von dieser Seite. Öffnen Sie den Link in Ihrer Nachricht noch einmal.";
        ServiceUnavailable: "Die Anmeldung geht gerade nicht", "Bitte versuchen Sie es gleich noch einmal. Hilft das nicht, fordern Sie einen neuen Link an.";
        RateLimited: "Zu viele Versuche", "Bitte warten Sie eine Minute und versuchen Sie es noch einmal.";
        Failed: "Etwas ging schief", "Der Fehler liegt bei uns, und Sie sind nicht angemeldet. Bitte fordern Sie einen neuen Link an.";
    }
    /// Spanish.
    spanish("es") {
        confirm: "Iniciar sesión", "Pulsa el botón para iniciar sesión en este dispositivo.";
        button: "Iniciar sesión";
        ask_again: "Pedir otro enlace";
        MissingToken: "El enlace está incompleto", "Falta una parte del enlace. Copia el enlace entero del mensaje o pide otro.";
        Expired: "El enlace ya no sirve", "Ya se ha usado o ha caducado. Pide otro.";
        Used: "El enlace ya se ha usado", "Un enlace sirve una sola vez. Si lo usaste tú, no tienes que hacer nada más.";
        InvalidLink: "El enlace no sirve", "No conocemos este enlace. Pide otro.";
        OtherBrowser: "Abre el enlace donde lo pediste", "Por tu seguridad, el enlace solo sirve en el navegador en el que lo pediste. Ábrelo allí o pide otro aquí.";
        StaleForm: "Pulsa el botón otra vez", "La página llevaba demasiado tiempo abierta o tu navegador no guarda nuestras cookies.";
        CrossSite: "Abre el enlace otra vez", "La petición no venía de esta página. Abre de nuevo el enlace de tu mensaje.";
        ServiceUnavailable: "Ahora no podemos iniciar tu sesión", "Inténtalo de nuevo dentro de un momento. Si sigue igual, pide otro enlace.";
        RateLimited: "Demasiados intentos", "Espera un minuto e inténtalo de nuevo.";
        Failed: "Algo ha salido mal", "El error es nuestro y no has iniciado sesión. Pide otro enlace.";
    }
    /// French.
    french("fr") {
        confirm: "Connexion", "Appuyez sur le bouton pour vous connecter sur cet appareil.";
        button: "Se connecter";
        ask_again: "Demander un nouveau lien";
        MissingToken: "Ce lien est incomplet", "Une partie du lien manque. Copiez le lien entier depuis le message, ou demandez-en un nouveau.";
        Expired: "Ce lien n'est plus valable", "Il a déjà servi ou il a expiré. Demandez-en un nouveau.";
        Used: "Ce lien a déjà servi", "Un lien ne sert qu'une fois. Si c'était vous, il n'y a rien d'autre à faire.";
        InvalidLink: "Ce lien n'est pas valable", "Nous ne connaissons pas ce lien. Demandez-en un nouveau.";
        OtherBrowser: "Ouvrez le lien là où vous l'avez demandé", "Pour votre sécurité, le lien ne sert que dans le navigateur où vous l'avez demandé. Ouvrez-le là-bas, ou demandez-en un nouveau ici.";
        StaleForm: "Appuyez encore une fois", "La page était ouverte depuis trop longtemps, ou votre navigateur refuse nos cookies.";
        CrossSite: "Ouvrez le lien encore une fois", "La demande ne venait pas de cette page. Ouvrez de nouveau le lien de votre message.";
        ServiceUnavailable: "La connexion est impossible pour le moment", "Réessayez dans un instant. Si cela continue, demandez un nouveau lien.";
        RateLimited: "Trop d'essais", "Attendez une minute et réessayez.";
        Failed: "Une erreur est survenue", "L'erreur vient de nous, et vous n'êtes pas connecté. Demandez un nouveau lien.";
    }
    /// Portuguese.
    portuguese("pt") {
        confirm: "Entrar", "Toque no botão para entrar neste dispositivo.";
        button: "Entrar";
        ask_again: "Pedir outro link";
        MissingToken: "O link está incompleto", "Falta uma parte do link. Copie o link inteiro da mensagem ou peça outro.";
        Expired: "O link já não funciona", "Já foi usado ou expirou. Peça outro.";
        Used: "O link já foi usado", "Um link funciona uma única vez. Se foi você, não há mais nada a fazer.";
        InvalidLink: "O link não funciona", "Não conhecemos este link. Peça outro.";
        OtherBrowser: "Abra o link onde o pediu", "Para sua segurança, o link só funciona no navegador em que foi pedido. Abra-o lá ou peça outro aqui.";
        StaleForm: "Toque no botão outra vez", "A página esteve aberta por muito tempo ou o seu navegador não guarda os nossos cookies.";
        CrossSite: "Abra o link outra vez", "O pedido não veio desta página. Abra de novo o link da sua mensagem.";
        ServiceUnavailable: "Não é possível entrar agora", "Tente de novo dentro de um momento. Se continuar, peça outro link.";
        RateLimited: "Demasiadas tentativas", "Espere um minuto e tente de novo.";
        Failed: "Algo correu mal", "O erro é nosso e a sessão não foi iniciada. Peça outro link.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> String {
        let all = [
            LandingTexts::english(),
            LandingTexts::german(),
            LandingTexts::translation("pt-BR"),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
        choose(&all, &headers).unwrap().language().to_owned()
    }

    #[test]
    fn no_text_says_how_long_a_link_is_good() {
        // A sign-in's is for minutes, an invitation's for weeks.
        for texts in [
            LandingTexts::english(),
            LandingTexts::german(),
            LandingTexts::spanish(),
            LandingTexts::french(),
            LandingTexts::portuguese(),
        ] {
            for error in [None, Some(LandingError::Expired), Some(LandingError::Used)] {
                let text = texts.text(error).to_lowercase();
                assert!(!text.contains("minut"), "{text}");
            }
        }
    }

    #[test]
    fn the_language_liked_best_wins_and_the_first_is_the_fallback() {
        assert_eq!(chosen("de-AT,en;q=0.8"), "de");
        assert_eq!(chosen("fr, en;q=0.3, de;q=0.7"), "de");
        assert_eq!(chosen("pt"), "pt-BR");
        assert_eq!(chosen("nl"), "en");
        assert_eq!(chosen("de;q=0, *"), "en");
        assert_eq!(chosen("de;q=x, ,;;,pt-br;q=0.1"), "pt-BR");
        assert_eq!(choose(&[], &HeaderMap::new()), None);
    }
}
