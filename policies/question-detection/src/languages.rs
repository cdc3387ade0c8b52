//! The phrases of other languages. Question marks carry most of the weight there (`marks`); these are for those who
//! leave them out, and for decisions that are wanted without a question.

use crate::Rule;

/// By rule, as in `phrases`.
pub(crate) const TABLES: [(Rule, &str); 3] =
    [(Rule::Opener, OPENERS), (Rule::Opinion, OPINION), (Rule::Decision, DECISION)];

const OPENERS: &str = "\
    passt dir|passt euch|passt das|magst du|weißt du|meinst du|findest du|brauchst du|bist du|ist das|ist es|gibt es|geht das|\
    muss ich|müssen wir|wollen wir|haben wir|kann ich|wer|wann|warum|wieso|was ist|wie soll|wie sollen|wie kann|wie können|wie viel|wie viele|wie lange|wie geht|wie macht|\
    welche .. soll|welchen .. soll|welches .. soll|welcher .. soll|welche .. sollen|soll ich|sollen wir|sollte ich|sollten wir|kannst du|können sie|könnt ihr|könntest du|könnten sie|können wir|\
    darf ich|dürfen wir|würdest du|hast du|habt ihr|willst du|möchtest du|\
    est-ce que|est-ce qu'on|peux-tu|pouvez-vous|pourrais-tu|pourriez-vous|dois-je|devons-nous|faut-il|puis-je|\
    préfères-tu|préférez-vous|penses-tu|pensez-vous|sais-tu|savez-vous|veux-tu|voulez-vous|as-tu|avez-vous|quel|quelle|\
    puedes|podrías|podemos|puedo|debo|debemos|deberíamos|quieres|qué|cuál|cuáles|cuándo|dónde|cómo|quién|cuánto|cuántos|\
    posso|você pode|devo|devemos|qual|quais|\
    possiamo|ti va|quale|quali|va bene se|puoi|potresti|dobbiamo|vuoi|\
    welke|hoe kan|hoe moet|wie kan|zal ik|zullen we|kun je|kan je|kunt u|kunnen we|moet ik|moeten we|mag ik|wil je|\
    kan du|kan vi|ska jag|ska vi|skal jeg|skal vi|vill du|vil du|får jag|\
    czy|który .. mam|która .. mam|które .. mam|jak mam|kiedy|чи|какой|какая|какое|какие|где|почему|зачем|сколько|\
    когда планируется|когда будет|когда можно|можно ли|можем ли|нужно ли|стоит ли|можешь|ли|क्या";

const OPINION: &str = "\
    was meinst du|was meint ihr|was meinen sie|was denkst du|was hältst du|deine meinung|eure meinung|ihre meinung|\
    qu'en penses-tu|qu'en pensez-vous|ton avis|votre avis|\
    qué opinas|qué piensas|qué te parece|qué os parece|tu opinión|su opinión|\
    o que você acha|o que vocês acham|o que acha|sua opinião|\
    che ne pensi|cosa ne pensi|che ne pensate|il tuo parere|\
    wat vind jij|wat vind je|wat denk je|jouw mening|\
    vad tycker du|vad tycker ni|hva synes du|hvad synes du|vad tror du|\
    co myślisz|co sądzisz|co o tym myślisz|как думаешь|как думаете|как считаешь|что думаешь|что скажешь|\
    твоё мнение|твое мнение|як думаєш|що думаєш|ne düşünüyorsun|ne dersin|sizce|sence";

const DECISION: &str = "\
    bitte entscheide|bitte entscheiden|entscheide bitte|bitte bestätige|bitte bestätigen|bitte genehmige|\
    bitte genehmigen|bitte wähle|bitte um freigabe|deine freigabe|ihre freigabe|eure freigabe|deine zustimmung|\
    deine entscheidung|brauche eine entscheidung|brauchen eine entscheidung|sag mir|sag du|sag .. bescheid|gib .. bescheid|geben .. bescheid|\
    merci de confirmer|merci de valider|merci de choisir|merci de décider|merci de trancher|confirme-moi|confirmez-moi|\
    à toi de|à vous de|ton accord|votre accord|ta validation|votre validation|ton feu vert|votre feu vert|dis-moi|dites-moi|préviens-moi|\
    por favor confirma|por favor confirme|por favor confirmad|confirma por favor|por favor decide|por favor elige|\
    por favor aprueba|tu aprobación|su aprobación|decide tú|tú decides|necesito tu|necesito que|necesito saber|me gustaría saber|quisiera saber|dime|avísame|avísenme|\
    sua aprovação|sua decisão|por favor confirme|por favor decida|por favor escolha|me diga|\
    per favore conferma|per favore confermate|per favore decidi|per favore scegli|la tua approvazione|fammi sapere|\
    graag bevestigen|graag je akkoord|jouw akkoord|je goedkeuring|laat me weten|laat weten|\
    bekräfta|godkänn|ditt godkännande|bekreft|bekræft|\
    proszę o potwierdzenie|proszę o decyzję|proszę o zgodę|proszę potwierdź|potwierdź|zdecyduj|\
    подтверди|подтвердите|реши|решите|выбери|выберите|утверди|утвердите|одобри|одобрите|нужно решение|\
    підтвердь|підтвердіть|виріши|вирішіть|onayla|onaylayın|karar ver|karar verin|seç";

/// Where words are not set apart, the phrase is looked for in the whole line.
const UNSPACED: [(Rule, &str); 5] = [
    (Rule::Opener, "吗|嗎|ですか|ますか|でしょうか|ませんか|ましょうか|까요|나요|습니까"),
    (
        Rule::Opinion,
        "怎么样|怎麼樣|你觉得|你覺得|你认为|您觉得|どう思い|ご意見をお|어떻게 생각|의견 부탁|의견을 주",
    ),
    (Rule::Decision, "请确认|請確認|请决定|請決定|请选择|請選擇|请批准|请审批|由你决定|你来决定|请告诉我"),
    (
        Rule::Decision,
        "決めてください|確認してください|ご確認ください|選んでください|承認してください|教えてください|判断してください",
    ),
    (
        Rule::Decision,
        "확인해 주세요|확인해주세요|결정해 주세요|결정해주세요|선택해 주세요|승인해 주세요|승인해주세요|알려 주세요|알려주세요",
    ),
];

/// Scripts without spaces, and Korean, come after this character.
pub(crate) const SCRIPTS: char = '\u{3000}';

/// The phrases of [`UNSPACED`], sorted by their first character.
#[derive(Debug)]
pub(crate) struct Unspaced(Vec<(char, Rule, &'static str)>);

impl Unspaced {
    pub(crate) fn new() -> Self {
        let mut all = Vec::new();
        for (rule, table) in UNSPACED {
            all.extend(table.split('|').filter_map(|phrase| Some((phrase.chars().next()?, rule, phrase))));
        }
        all.sort_unstable_by_key(|(first, ..)| *first);
        Self(all)
    }

    /// The first phrase in a line.
    pub(crate) fn find(&self, line: &str) -> Option<(Rule, &'static str)> {
        if line.is_ascii() {
            return None;
        }
        line.char_indices().filter(|(_, c)| *c >= SCRIPTS).find_map(|(at, c)| {
            let from = self.0.partition_point(|(first, ..)| *first < c);
            let rest = line.get(at..)?;
            self.0.iter().skip(from).take_while(|(first, ..)| *first == c).find_map(|&(_, rule, phrase)| {
                // In Japanese, か asks, but から gives a reason.
                let after = rest.strip_prefix(phrase)?;
                (!after.starts_with('ら')).then_some((rule, phrase))
            })
        })
    }
}
