//! What the landing page says, in several languages.

use std::borrow::Cow;

use http::header::ACCEPT_LANGUAGE;
use http::{HeaderMap, StatusCode};

use super::address::AddressKind;
use super::error::LandingError;
use super::purpose::LinkPurpose;

/// A heading and the sentence below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) title: Cow<'static, str>,
    pub(super) text: Cow<'static, str>,
}

impl Words {
    const fn new(title: &'static str, text: &'static str) -> Self {
        Self {
            title: Cow::Borrowed(title),
            text: Cow::Borrowed(text),
        }
    }

    fn owned(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            title: Cow::Owned(title.into()),
            text: Cow::Owned(text.into()),
        }
    }
}

/// What the landing page says, in one language.
///
/// English, German, Spanish, French and Portuguese are here. For another language, start from one of
/// them with [`translation`](Self::translation) and change every text.
///
/// ```
/// use descope_magiclink_web::{LandingError, LandingTexts, LinkPurpose};
///
/// let danish = LandingTexts::translation("da")
///     .confirm(LinkPurpose::SignIn, "Log ind", "Tryk på knappen for at logge ind.")
///     .button(LinkPurpose::SignIn, "Log ind")
///     .done(LinkPurpose::SignIn, "Du er logget ind", "Der er ikke mere at gøre.")
///     .continue_link("Fortsæt")
///     .ask_email("Din e-mail", "Skriv den adresse, som linket er sendt til.")
///     .new_link("Få et nyt link")
///     .try_again("Prøv igen")
///     .error(LandingError::Used, "Linket er brugt", "Et link virker kun én gang.");
/// # let _ = danish;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct LandingTexts {
    language: Cow<'static, str>,
    /// In the order of [`LinkPurpose::ALL`].
    purposes: [PurposeWords; LinkPurpose::ALL.len()],
    /// Label and sentence.
    ask_email: Words,
    ask_phone: Words,
    continue_link: Cow<'static, str>,
    new_link: Cow<'static, str>,
    try_again: Cow<'static, str>,
    /// In the order of [`LandingError::ALL`].
    errors: [Words; LandingError::ALL.len()],
    /// In the order of [`REFUSALS`].
    refusals: [Words; REFUSALS.len()],
}

/// The statuses of what is refused without a link.
pub(super) const REFUSALS: [StatusCode; 7] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// What the page says of one purpose: before, on the button, and after.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PurposeWords {
    confirm: Words,
    button: Cow<'static, str>,
    done: Words,
}

impl LandingTexts {
    /// The texts for one more language, in English until they are changed. `language` is a tag such as
    /// `da`, `pt-BR` or `pt_BR`.
    pub fn translation(language: impl Into<String>) -> Self {
        Self {
            language: Cow::Owned(tag(&language.into())),
            ..Self::english()
        }
    }

    /// Heading and sentence of the page with the button, for links of one purpose.
    pub fn confirm(
        mut self,
        purpose: LinkPurpose,
        title: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        if let Some(words) = self.purposes.get_mut(purpose.index()) {
            words.confirm = Words::owned(title, text);
        }
        self
    }

    /// What the button says, for links of one purpose.
    pub fn button(mut self, purpose: LinkPurpose, text: impl Into<String>) -> Self {
        if let Some(words) = self.purposes.get_mut(purpose.index()) {
            words.button = Cow::Owned(text.into());
        }
        self
    }

    /// Heading and sentence of the page that says that it is done, for links of one purpose.
    pub fn done(
        mut self,
        purpose: LinkPurpose,
        title: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        if let Some(words) = self.purposes.get_mut(purpose.index()) {
            words.done = Words::owned(title, text);
        }
        self
    }

    /// Label and sentence where the page asks for the email address that the link was sent to.
    pub fn ask_email(mut self, label: impl Into<String>, text: impl Into<String>) -> Self {
        self.ask_email = Words::owned(label, text);
        self
    }

    /// Label and sentence where the page asks for the phone number that the link was sent to.
    pub fn ask_phone(mut self, label: impl Into<String>, text: impl Into<String>) -> Self {
        self.ask_phone = Words::owned(label, text);
        self
    }

    /// The text of the link that goes on, where all is done or something is refused for good.
    pub fn continue_link(mut self, text: impl Into<String>) -> Self {
        self.continue_link = Cow::Owned(text.into());
        self
    }

    /// The text of the link to a new one.
    pub fn new_link(mut self, text: impl Into<String>) -> Self {
        self.new_link = Cow::Owned(text.into());
        self
    }

    /// The text of the link to the page where the same can be tried once more.
    pub fn try_again(mut self, text: impl Into<String>) -> Self {
        self.try_again = Cow::Owned(text.into());
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
            *words = Words::owned(title, text);
        }
        self
    }

    /// Heading and sentence of the pages that say that something is refused, such as those of a
    /// [`PagesLayer`](crate::PagesLayer): for 400, 401, 403, 404, 429, 500 or 503. Others have no page.
    pub fn refusal(
        mut self,
        status: StatusCode,
        title: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let index = REFUSALS.iter().position(|known| *known == status);
        if let Some(words) = index.and_then(|index| self.refusals.get_mut(index)) {
            *words = Words::owned(title, text);
        }
        self
    }

    /// The language's tag.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    pub(super) fn confirm_words(&self, purpose: LinkPurpose) -> &Words {
        &self.of(purpose).confirm
    }

    pub(super) fn done_words(&self, purpose: LinkPurpose) -> &Words {
        &self.of(purpose).done
    }

    pub(super) fn button_text(&self, purpose: LinkPurpose) -> &str {
        &self.of(purpose).button
    }

    pub(super) fn ask_words(&self, kind: AddressKind) -> &Words {
        match kind {
            AddressKind::Email => &self.ask_email,
            AddressKind::Phone => &self.ask_phone,
        }
    }

    pub(super) fn continue_link_text(&self) -> &str {
        &self.continue_link
    }

    pub(super) fn new_link_text(&self) -> &str {
        &self.new_link
    }

    pub(super) fn try_again_text(&self) -> &str {
        &self.try_again
    }

    pub(super) fn error_words(&self, error: LandingError) -> &Words {
        let [first, ..] = &self.errors;
        self.errors.get(error.index()).unwrap_or(first)
    }

    pub(super) fn refusal_words(&self, status: StatusCode) -> &Words {
        let [.., last] = &self.refusals;
        // To a reader, a page that only a form leads to is one that is not there.
        let status = match status {
            StatusCode::METHOD_NOT_ALLOWED => StatusCode::NOT_FOUND,
            other => other,
        };
        let index = REFUSALS.iter().position(|known| *known == status);
        let words = index.and_then(|index| self.refusals.get(index));
        words.unwrap_or(last)
    }

    fn of(&self, purpose: LinkPurpose) -> &PurposeWords {
        let [first, ..] = &self.purposes;
        self.purposes.get(purpose.index()).unwrap_or(first)
    }
}

/// A language's tag, from one of BCP 47 or from the name of a locale, such as `de_DE.UTF-8`.
fn tag(text: &str) -> String {
    let name = text.split(['.', '@']).next().unwrap_or_default();
    name.trim().replace('_', "-")
}

/// The texts to use for a request: those that were chosen, else of the language it likes best, else the
/// first.
pub(super) fn choose<'t>(
    all: &'t [LandingTexts],
    chosen: Option<&str>,
    request: &HeaderMap,
) -> Option<&'t LandingTexts> {
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
    chosen
        .into_iter()
        .chain(wanted.into_iter().map(|(_, tag)| tag))
        .find_map(|text| {
            let tag = tag(text);
            all.iter()
                .find(|texts| texts.language.eq_ignore_ascii_case(&tag))
                .or_else(|| {
                    all.iter()
                        .find(|texts| primary(&texts.language) == primary(&tag))
                })
        })
        .or(all.first())
}

/// So that a language lacks no text: with values in place of a macro, one would be missed or in the wrong place.
macro_rules! languages {
    ($($(#[$doc:meta])* pub fn $name:ident() $tag:literal {
        purposes { $($purpose:ident: $title:literal, $text:literal, $button:literal,
            done $done_title:literal, $done_text:literal;)+ }
        email: $email_label:literal, $email_text:literal;
        phone: $phone_label:literal, $phone_text:literal;
        continue_link: $continue_link:literal;
        new_link: $new_link:literal;
        try_again: $try_again:literal;
        errors { $($error:ident: $error_title:literal, $error_text:literal;)+ }
        refusals { $($refusal_title:literal, $refusal_text:literal;)+ }
    })+) => {
        impl LandingTexts {
            $($(#[$doc])*
            pub fn $name() -> Self {
                let purpose = |purpose| match purpose {
                    $(LinkPurpose::$purpose => PurposeWords {
                        confirm: Words::new($title, $text),
                        button: Cow::Borrowed($button),
                        done: Words::new($done_title, $done_text),
                    },)+
                };
                let error = |error| match error {
                    $(LandingError::$error => Words::new($error_title, $error_text),)+
                };
                Self {
                    language: Cow::Borrowed($tag),
                    purposes: LinkPurpose::ALL.map(purpose),
                    ask_email: Words::new($email_label, $email_text),
                    ask_phone: Words::new($phone_label, $phone_text),
                    continue_link: Cow::Borrowed($continue_link),
                    new_link: Cow::Borrowed($new_link),
                    try_again: Cow::Borrowed($try_again),
                    errors: LandingError::ALL.map(error),
                    refusals: [$(Words::new($refusal_title, $refusal_text),)+],
                }
            })+
        }
    };
}

languages! {
    /// English.
    pub fn english() "en" {
        purposes {
        SignIn: "Sign in", "Press the button to sign in on this device.", "Sign in",
            done "You are signed in", "There is nothing more to do here.";
        ChangeEmail: "Confirm your new email address", "Press the button to use this address from now on.", "Confirm",
            done "Your email address has changed", "From now on we write to the new one.";
        ChangePhone: "Confirm your new phone number", "Press the button to use this number from now on.", "Confirm",
            done "Your phone number has changed", "From now on we send messages to the new one.";
        StepUp: "Confirm that it is you", "Press the button to go on with what you were doing.", "Confirm",
            done "You have confirmed that it is you", "You can go on with what you were doing.";
        }
        email: "Email address", "This is not the browser in which the link was asked for. Type the email address that it was sent to, and press the button.";
        phone: "Phone number", "This is not the browser in which the link was asked for. Type the phone number that it was sent to, and press the button.";
        continue_link: "Continue";
        new_link: "Get a new link";
        try_again: "Try again";
        errors { MissingToken: "This link is incomplete", "Part of the link is missing. Copy the whole link from the message, or ask for a new one.";
        Expired: "This link no longer works", "It has been used or has expired. Ask for a new one.";
        Used: "This link was already used", "A link works only once. If it was you who used it, there is nothing more to do.";
        InvalidLink: "This link does not work", "We do not know this link. Ask for a new one.";
        OtherBrowser: "Open the link where you asked for it", "For your safety the link works only in the browser in which you asked for it. Open it there, or ask for a new one here.";
        WrongAddress: "That does not match", "The link was not sent to what you typed. Look for mistakes, and try again.";
        Closed: "This link no longer works", "What was typed was wrong too often. Ask for a new link.";
        StaleForm: "Please press the button again", "This page was open for too long, or your browser does not store our cookies. If this happens again, allow cookies for this site or open the link in another browser. The link still works.";
        CrossSite: "Please open the page again", "The request did not come from a page of ours. Open the page, or the link in your message, once more.";
        ServiceUnavailable: "We cannot check your link right now", "Please try again in a moment. If this happens again, ask for a new link.";
        RateLimited: "Too many attempts", "Please wait a minute and try again.";
        Failed: "Something went wrong", "It was our mistake. Please ask for a new link."; }
        refusals {
            "That did not work", "Something is missing or wrong in what was sent. Look for mistakes, and try again.";
            "Please sign in", "To go on, sign in first.";
            "Not for this account", "Your account is not allowed to do this.";
            "There is no such page", "The address may have a mistake in it, or the page is gone.";
            "Please wait a little", "There were too many requests. You can try again soon.";
            "Something went wrong", "It was our mistake. Please try again later.";
            "Not right now", "We cannot do this at the moment. Please try again soon.";
        }
    }
    /// German.
    pub fn german() "de" {
        purposes {
        SignIn: "Anmelden", "Drücken Sie die Schaltfläche, um sich auf diesem Gerät anzumelden.", "Anmelden",
            done "Sie sind angemeldet", "Hier ist nichts weiter zu tun.";
        ChangeEmail: "Neue E-Mail-Adresse bestätigen", "Drücken Sie die Schaltfläche, um von nun an diese Adresse zu verwenden.", "Bestätigen",
            done "Ihre E-Mail-Adresse ist geändert", "Von nun an schreiben wir an die neue.";
        ChangePhone: "Neue Telefonnummer bestätigen", "Drücken Sie die Schaltfläche, um von nun an diese Nummer zu verwenden.", "Bestätigen",
            done "Ihre Telefonnummer ist geändert", "Von nun an gehen Nachrichten an die neue.";
        StepUp: "Bestätigen, dass Sie es sind", "Drücken Sie die Schaltfläche, um dort weiterzumachen, wo Sie waren.", "Bestätigen",
            done "Sie haben bestätigt, dass Sie es sind", "Es geht weiter, wo Sie waren.";
        }
        email: "E-Mail-Adresse", "Der Link wurde in einem anderen Browser angefordert. Geben Sie die E-Mail-Adresse ein, an die er ging, und drücken Sie die Schaltfläche.";
        phone: "Telefonnummer", "Der Link wurde in einem anderen Browser angefordert. Geben Sie die Telefonnummer ein, an die er ging, und drücken Sie die Schaltfläche.";
        continue_link: "Weiter";
        new_link: "Neuen Link anfordern";
        try_again: "Noch einmal versuchen";
        errors { MissingToken: "Der Link ist unvollständig", "Ein Teil des Links fehlt. Kopieren Sie den ganzen Link aus der Nachricht, oder fordern Sie einen neuen an.";
        Expired: "Der Link gilt nicht mehr", "Er wurde schon verwendet oder ist abgelaufen. Fordern Sie einen neuen an.";
        Used: "Der Link wurde schon verwendet", "Ein Link gilt nur einmal. Wenn Sie es selbst waren, ist nichts weiter zu tun.";
        InvalidLink: "Der Link gilt nicht", "Wir kennen diesen Link nicht. Fordern Sie einen neuen an.";
        OtherBrowser: "Öffnen Sie den Link dort, wo Sie ihn angefordert haben", "Zu Ihrer Sicherheit gilt der Link nur in dem Browser, in dem Sie ihn angefordert haben. Öffnen Sie ihn dort, oder fordern Sie hier einen neuen an.";
        WrongAddress: "Das stimmt nicht überein", "Der Link ging nicht an das, was Sie eingegeben haben. Suchen Sie nach Tippfehlern, und versuchen Sie es noch einmal.";
        Closed: "Der Link gilt nicht mehr", "Die Eingabe war zu oft falsch. Fordern Sie einen neuen Link an.";
        StaleForm: "Bitte drücken Sie noch einmal", "Die Seite war zu lange offen, oder Ihr Browser speichert unsere Cookies nicht. Geschieht das noch einmal, erlauben Sie Cookies für diese Seite, oder öffnen Sie den Link in einem anderen Browser. Der Link gilt noch.";
        CrossSite: "Bitte öffnen Sie die Seite noch einmal", "Die Anfrage kam nicht von einer unserer Seiten. Öffnen Sie die Seite oder den Link in Ihrer Nachricht noch einmal.";
        ServiceUnavailable: "Wir können den Link gerade nicht prüfen", "Bitte versuchen Sie es gleich noch einmal. Geschieht das noch einmal, fordern Sie einen neuen Link an.";
        RateLimited: "Zu viele Versuche", "Bitte warten Sie eine Minute und versuchen Sie es noch einmal.";
        Failed: "Etwas ging schief", "Der Fehler liegt bei uns. Bitte fordern Sie einen neuen Link an."; }
        refusals {
            "Das hat nicht geklappt", "Etwas fehlt oder stimmt nicht. Suchen Sie nach Fehlern, und versuchen Sie es noch einmal.";
            "Bitte melden Sie sich an", "Melden Sie sich an, dann geht es weiter.";
            "Nicht für dieses Konto", "Ihr Konto darf das nicht.";
            "Diese Seite gibt es nicht", "Vielleicht ist in der Adresse ein Fehler, oder es gibt die Seite nicht mehr.";
            "Bitte warten Sie ein wenig", "Es waren zu viele Anfragen. Bald können Sie es noch einmal versuchen.";
            "Etwas ging schief", "Der Fehler liegt bei uns. Bitte versuchen Sie es später noch einmal.";
            "Im Moment nicht", "Das geht gerade nicht. Bitte versuchen Sie es bald noch einmal.";
        }
    }
    /// Spanish.
    pub fn spanish() "es" {
        purposes {
        SignIn: "Iniciar sesión", "Pulsa el botón para iniciar sesión en este dispositivo.", "Iniciar sesión",
            done "Has iniciado sesión", "No tienes que hacer nada más aquí.";
        ChangeEmail: "Confirma tu nuevo correo electrónico", "Pulsa el botón para usar esta dirección a partir de ahora.", "Confirmar",
            done "Tu correo electrónico ha cambiado", "A partir de ahora escribiremos al nuevo.";
        ChangePhone: "Confirma tu nuevo número de teléfono", "Pulsa el botón para usar este número a partir de ahora.", "Confirmar",
            done "Tu número de teléfono ha cambiado", "A partir de ahora enviaremos los mensajes al nuevo.";
        StepUp: "Confirma que eres tú", "Pulsa el botón para seguir con lo que estabas haciendo.", "Confirmar",
            done "Has confirmado que eres tú", "Puedes seguir con lo que estabas haciendo.";
        }
        email: "Correo electrónico", "Este no es el navegador en el que se pidió el enlace. Escribe el correo electrónico al que se envió y pulsa el botón.";
        phone: "Número de teléfono", "Este no es el navegador en el que se pidió el enlace. Escribe el número de teléfono al que se envió y pulsa el botón.";
        continue_link: "Continuar";
        new_link: "Pedir otro enlace";
        try_again: "Intentarlo de nuevo";
        errors { MissingToken: "El enlace está incompleto", "Falta una parte del enlace. Copia el enlace entero del mensaje o pide otro.";
        Expired: "El enlace ya no sirve", "Ya se ha usado o ha caducado. Pide otro.";
        Used: "El enlace ya se ha usado", "Un enlace sirve una sola vez. Si lo usaste tú, no tienes que hacer nada más.";
        InvalidLink: "El enlace no sirve", "No conocemos este enlace. Pide otro.";
        OtherBrowser: "Abre el enlace donde lo pediste", "Por tu seguridad, el enlace solo sirve en el navegador en el que lo pediste. Ábrelo allí o pide otro aquí.";
        WrongAddress: "No coincide", "El enlace no se envió a lo que has escrito. Busca algún error e inténtalo de nuevo.";
        Closed: "El enlace ya no sirve", "Lo que se escribió no coincidía demasiadas veces. Pide otro enlace.";
        StaleForm: "Pulsa el botón otra vez", "La página llevaba demasiado tiempo abierta o tu navegador no guarda nuestras cookies. Si sigue igual, permite las cookies de este sitio o abre el enlace en otro navegador. El enlace aún sirve.";
        CrossSite: "Abre la página otra vez", "La petición no venía de una de nuestras páginas. Abre de nuevo la página o el enlace de tu mensaje.";
        ServiceUnavailable: "Ahora no podemos comprobar tu enlace", "Inténtalo de nuevo dentro de un momento. Si sigue igual, pide otro enlace.";
        RateLimited: "Demasiados intentos", "Espera un minuto e inténtalo de nuevo.";
        Failed: "Algo ha salido mal", "El error es nuestro. Pide otro enlace."; }
        refusals {
            "No ha funcionado", "Falta algo o hay un error. Revísalo e inténtalo de nuevo.";
            "Inicia sesión", "Para continuar, inicia sesión primero.";
            "No para esta cuenta", "Tu cuenta no tiene permiso para hacer esto.";
            "Esta página no existe", "Puede que la dirección tenga un error o que la página ya no exista.";
            "Espera un poco", "Ha habido demasiadas peticiones. Podrás intentarlo de nuevo en breve.";
            "Algo ha salido mal", "El error es nuestro. Inténtalo de nuevo más tarde.";
            "Ahora no es posible", "No podemos hacerlo en este momento. Inténtalo de nuevo en breve.";
        }
    }
    /// French.
    pub fn french() "fr" {
        purposes {
        SignIn: "Connexion", "Appuyez sur le bouton pour vous connecter sur cet appareil.", "Se connecter",
            done "Vous êtes connecté", "Il n'y a rien d'autre à faire ici.";
        ChangeEmail: "Confirmez votre nouvelle adresse e-mail", "Appuyez sur le bouton pour utiliser cette adresse désormais.", "Confirmer",
            done "Votre adresse e-mail a changé", "Désormais nous écrivons à la nouvelle.";
        ChangePhone: "Confirmez votre nouveau numéro de téléphone", "Appuyez sur le bouton pour utiliser ce numéro désormais.", "Confirmer",
            done "Votre numéro de téléphone a changé", "Désormais les messages vont au nouveau.";
        StepUp: "Confirmez que c'est bien vous", "Appuyez sur le bouton pour continuer ce que vous faisiez.", "Confirmer",
            done "Vous avez confirmé que c'est bien vous", "Vous pouvez continuer ce que vous faisiez.";
        }
        email: "Adresse e-mail", "Le lien a été demandé dans un autre navigateur. Saisissez l'adresse e-mail à laquelle il a été envoyé, puis appuyez sur le bouton.";
        phone: "Numéro de téléphone", "Le lien a été demandé dans un autre navigateur. Saisissez le numéro de téléphone auquel il a été envoyé, puis appuyez sur le bouton.";
        continue_link: "Continuer";
        new_link: "Demander un nouveau lien";
        try_again: "Réessayer";
        errors { MissingToken: "Ce lien est incomplet", "Une partie du lien manque. Copiez le lien entier depuis le message, ou demandez-en un nouveau.";
        Expired: "Ce lien n'est plus valable", "Il a déjà servi ou il a expiré. Demandez-en un nouveau.";
        Used: "Ce lien a déjà servi", "Un lien ne sert qu'une fois. Si c'était vous, il n'y a rien d'autre à faire.";
        InvalidLink: "Ce lien n'est pas valable", "Nous ne connaissons pas ce lien. Demandez-en un nouveau.";
        OtherBrowser: "Ouvrez le lien là où vous l'avez demandé", "Pour votre sécurité, le lien ne sert que dans le navigateur où vous l'avez demandé. Ouvrez-le là-bas, ou demandez-en un nouveau ici.";
        WrongAddress: "Cela ne correspond pas", "Le lien n'a pas été envoyé à ce que vous avez saisi. Cherchez une faute et réessayez.";
        Closed: "Ce lien n'est plus valable", "La saisie était fausse trop de fois. Demandez un nouveau lien.";
        StaleForm: "Appuyez encore une fois", "La page était ouverte depuis trop longtemps, ou votre navigateur refuse nos cookies. Si cela continue, autorisez les cookies de ce site ou ouvrez le lien dans un autre navigateur. Le lien reste valable.";
        CrossSite: "Ouvrez la page encore une fois", "La demande ne venait pas d'une de nos pages. Ouvrez de nouveau la page, ou le lien de votre message.";
        ServiceUnavailable: "Nous ne pouvons pas vérifier votre lien pour le moment", "Réessayez dans un instant. Si cela continue, demandez un nouveau lien.";
        RateLimited: "Trop d'essais", "Attendez une minute et réessayez.";
        Failed: "Une erreur est survenue", "L'erreur vient de nous. Demandez un nouveau lien."; }
        refusals {
            "Cela n'a pas marché", "Quelque chose manque ou est faux. Cherchez une erreur et réessayez.";
            "Connectez-vous", "Pour continuer, connectez-vous d'abord.";
            "Pas pour ce compte", "Votre compte n'est pas autorisé à faire cela.";
            "Cette page n'existe pas", "L'adresse contient peut-être une erreur, ou la page n'existe plus.";
            "Patientez un peu", "Il y a eu trop de demandes. Vous pourrez bientôt réessayer.";
            "Un problème est survenu", "L'erreur vient de nous. Réessayez plus tard.";
            "Pas pour le moment", "Ce n'est pas possible en ce moment. Réessayez bientôt.";
        }
    }
    /// Portuguese.
    pub fn portuguese() "pt" {
        purposes {
        SignIn: "Entrar", "Toque no botão para entrar neste dispositivo.", "Entrar",
            done "A sessão foi iniciada", "Não há mais nada a fazer aqui.";
        ChangeEmail: "Confirme o seu novo e-mail", "Toque no botão para usar este endereço a partir de agora.", "Confirmar",
            done "O seu e-mail foi alterado", "A partir de agora escrevemos para o novo.";
        ChangePhone: "Confirme o seu novo número de telefone", "Toque no botão para usar este número a partir de agora.", "Confirmar",
            done "O seu número de telefone foi alterado", "A partir de agora as mensagens vão para o novo.";
        StepUp: "Confirme que é você", "Toque no botão para continuar de onde parou.", "Confirmar",
            done "Você confirmou a sua identidade", "Pode continuar de onde parou.";
        }
        email: "E-mail", "Este não é o navegador em que o link foi pedido. Escreva o e-mail para o qual foi enviado e toque no botão.";
        phone: "Número de telefone", "Este não é o navegador em que o link foi pedido. Escreva o número de telefone para o qual foi enviado e toque no botão.";
        continue_link: "Continuar";
        new_link: "Pedir outro link";
        try_again: "Tentar de novo";
        errors { MissingToken: "O link está incompleto", "Falta uma parte do link. Copie o link inteiro da mensagem ou peça outro.";
        Expired: "O link já não funciona", "Já foi usado ou expirou. Peça outro.";
        Used: "O link já foi usado", "Um link funciona uma única vez. Se foi você, não há mais nada a fazer.";
        InvalidLink: "O link não funciona", "Não conhecemos este link. Peça outro.";
        OtherBrowser: "Abra o link onde o pediu", "Para sua segurança, o link só funciona no navegador em que foi pedido. Abra-o lá ou peça outro aqui.";
        WrongAddress: "Não corresponde", "O link não foi enviado para o que escreveu. Procure erros e tente de novo.";
        Closed: "O link já não funciona", "O que foi escrito estava errado demasiadas vezes. Peça outro link.";
        StaleForm: "Toque no botão outra vez", "A página esteve aberta por muito tempo ou o seu navegador não guarda os nossos cookies. Se continuar, permita os cookies deste site ou abra o link em outro navegador. O link ainda funciona.";
        CrossSite: "Abra a página outra vez", "O pedido não veio de uma página nossa. Abra de novo a página ou o link da sua mensagem.";
        ServiceUnavailable: "Não é possível verificar o link agora", "Tente de novo dentro de um momento. Se continuar, peça outro link.";
        RateLimited: "Demasiadas tentativas", "Espere um minuto e tente de novo.";
        Failed: "Ocorreu um erro", "O erro é nosso. Peça outro link."; }
        refusals {
            "Não funcionou", "Falta alguma coisa ou há um erro. Verifique e tente de novo.";
            "Inicie a sessão", "Para continuar, inicie primeiro a sessão.";
            "Não para esta conta", "A sua conta não tem permissão para fazer isto.";
            "Esta página não existe", "O endereço pode ter um erro, ou a página já não existe.";
            "Espere um pouco", "Houve demasiados pedidos. Em breve poderá tentar de novo.";
            "Ocorreu um erro", "O erro é nosso. Tente de novo mais tarde.";
            "Agora não é possível", "No momento não podemos fazer isto. Tente de novo em breve.";
        }
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
        choose(&all, None, &headers).unwrap().language().to_owned()
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
            let errors =
                [LandingError::Expired, LandingError::Used].map(|error| texts.error_words(error));
            let purposes = LinkPurpose::ALL.map(|purpose| texts.confirm_words(purpose));
            for words in errors.into_iter().chain(purposes) {
                let text = words.text.to_lowercase();
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
        assert_eq!(choose(&[], None, &HeaderMap::new()), None);
    }

    #[test]
    fn what_the_application_chooses_wins_however_it_is_written() {
        let all = [
            LandingTexts::english(),
            LandingTexts::german(),
            LandingTexts::translation("pt_BR"),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, "de_AT".parse().unwrap());
        let by = |chosen| choose(&all, chosen, &headers).unwrap().language();
        for chosen in [
            "pt_BR",
            "pt-BR",
            "PT-br",
            "pt_BR.UTF-8",
            "pt",
            " pt_PT@euro",
        ] {
            assert_eq!(by(Some(chosen)), "pt-BR", "{chosen}");
        }
        for chosen in [None, Some(""), Some("xx"), Some("_"), Some("\u{1f36a}")] {
            assert_eq!(by(chosen), "de", "{chosen:?}");
        }
    }
}
