//! The phrases of other languages. Question marks carry most of the weight there (`marks`); these are for those who
//! leave them out, and for decisions that are wanted without a question.

use crate::Rule;

/// By rule, as in `phrases`.
pub(crate) const TABLES: [(Rule, &str); 3] =
    [(Rule::Opener, OPENERS), (Rule::Opinion, OPINION), (Rule::Decision, DECISION)];

const OPENERS: &str = "\
    passt dir|passt euch|passt das|magst du|weißt du|meinst du|findest du|brauchst du|bist du|ist das|ist es|gibt es|geht das|\
    muss ich|müssen wir|wollen wir|haben wir|kann ich|^wer|^wann|^warum|^wieso|was ist|wie soll|wie sollen|wie kann|wie können|wie viel|wie viele|wie lange|wie geht|wie macht|\
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
    когда планируется|когда будет|когда можно|можно ли|можем ли|нужно ли|стоит ли|можешь|ли|क्या|\
    ^wo|^woher|^wohin|^wozu|was machen|was soll|was sollen|was muss|was passiert|was bedeutet|was fehlt|was brauchst|was brauchen|was für|was tun|was kann|was mache|was hältst|^wie|^welche|^welcher|^welches|^welchen|^wessen|wäre es|wäre das|ist es möglich|ist die|ist der|sind die|sind wir|reicht das|reicht es|klappt das|stimmt das|brauchen wir|braucht ihr|weiß jemand|kann jemand|hat jemand|könnte jemand|kennst du|kennt jemand|siehst du|gehst du|machst du|nimmst du|kommst du|lieber|kurze frage|eine frage|frage an|noch eine frage|oder nicht|\
    ^où|^combien|^pourquoi|^comment|^qui|^lequel|^laquelle|^quels|^quelles|^que|qu'est-ce|tu préfères|tu veux|tu penses|tu sais|tu as une idée|vous préférez|vous voulez|vous pensez|ça te va|ça vous va|est-ce|quelqu'un sait|quelqu'un peut|quelqu'un a|quelqu'un pourrait|une question|petite question|\
    ^cuántas|^adónde|^por qué|^para qué|^quiénes|^cuánta|sabes|sabéis|tienes|tenéis|prefieres|preferís|crees|te parece|os parece|te importa|está bien si|vale si|podéis|podría|podrías|alguien sabe|alguien puede|alguien ha|una pregunta|hay que elegir|se puede|\
    ^onde|^quantos|^quantas|^quem|^por que|^quanto|^o que|podemos|pode|podem|poderia|você sabe|vocês sabem|você prefere|você quer|tem como|dá para|tudo bem se|está bom se|alguém sabe|alguém pode|alguém já|uma pergunta|uma dúvida|deveríamos|\
    ^dove|^quanti|^quante|^quanto|^chi|^cosa|^che cosa|^perché|si può|posso|devo|potete|sai|sapete|hai|avete|volete|preferisci|preferite|ti sembra|ti va bene|qualcuno sa|qualcuno può|qualcuno ha|una domanda|meglio .. o|dovremmo|\
    ^waar|^waarom|^hoeveel|^wanneer|^welk|^wie|^wat|^hoe|is het|is er|zijn er|kan iemand|kunnen jullie|heb je|hebben we|heeft iemand|weet je|weet iemand|ga je|vind je|klopt het|klopt dat|wil jij|zou je|zouden we|mogen we|een vraag|korte vraag|of niet|\
    ^кто|^что|^куда|^откуда|^сколько|^чей|^можно|^зачем|^какие|надо ли|есть ли|можете|мог бы|могли бы|не мог бы|знаешь|знаете|кто-нибудь|может кто|есть вопрос|вопрос по|ты не против|вы не против|оставляем или|нам нужно или|\
    ^hvor|^hvad|^hvem|^var|^vem|^gdzie|^ile|^kto|^dlaczego|^jaki|^jaka|^jakie|^де|^скільки|^хто|^чому|^nerede|^hangi|^neden|^kaç|^ne zaman|^kim";

const OPINION: &str = "\
    was meinst du|was meint ihr|was meinen sie|was denkst du|was hältst du|deine meinung|eure meinung|ihre meinung|\
    qu'en penses-tu|qu'en pensez-vous|ton avis|votre avis|\
    qué opinas|qué piensas|qué te parece|qué os parece|tu opinión|su opinión|\
    o que você acha|o que vocês acham|o que acha|sua opinião|\
    che ne pensi|cosa ne pensi|che ne pensate|il tuo parere|\
    wat vind jij|wat vind je|wat denk je|jouw mening|\
    vad tycker du|vad tycker ni|hva synes du|hvad synes du|vad tror du|\
    co myślisz|co sądzisz|co o tym myślisz|как думаешь|как думаете|как считаешь|что думаешь|что скажешь|\
    твоё мнение|твое мнение|як думаєш|що думаєш|ne düşünüyorsun|ne dersin|sizce|sence|\
    was sagst du|wie siehst du|wie seht ihr|deine einschätzung|eure einschätzung|deine sicht|dein rat|rückmeldung|feedback wäre|ton opinion|votre opinion|un avis|tes retours|vos retours|tu en penses quoi|\
    tu punto de vista|alguna sugerencia|alguna opinión|tu consejo|sua sugestão|alguma sugestão|sua visão|il tuo consiglio|la tua opinione|un parere|un consiglio|graag je mening|je mening|jullie mening|jouw advies|je advies|твой совет|ваше мнение|что думаете|как лучше|как тебе";

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
    підтвердь|підтвердіть|виріши|вирішіть|onayla|onaylayın|karar ver|karar verin|seç|\
    weiß nicht ob|weiß nicht welche|weiß nicht welchen|weiß nicht welches|weiß nicht wie|weiß nicht was|weiß nicht wer|weiß nicht wo|wissen nicht ob|unklar|nicht klar ob|nicht klar welche|nicht sicher ob|unsicher|mir fehlt .. okay|mir fehlt .. freigabe|fehlt noch .. okay|fehlt noch .. freigabe|fehlt noch .. entscheidung|warte auf dein|warte auf deine|warte auf ihre|warte auf eure|warte auf euer|warten auf eure|warten auf deine|warte auf eine entscheidung|warte auf eine antwort|warte auf antwort|dein okay|dein ok|dein go|deine antwort|deine bestätigung|ein mensch entscheiden|jemand entscheiden|muss ein mensch|muss jemand|jemand muss|soll ein mensch|ein mensch sollte|du entscheidest|ihr entscheidet|deine wahl|entscheide du|niemand widerspricht|niemand etwas dagegen|keiner widerspricht|keine einwände|bitte um|bitte sag|bitte sagt|bitte gib .. okay|bitte gib frei|bitte freigeben|bitte prüfe ob|bitte teile|bitte klär|bitte klären|um erlaubnis|brauche hilfe|brauche deine|brauche dein|brauchen deine|brauche ein|brauche jemanden|komme nicht weiter|hänge fest|keine berechtigung|nicht berechtigt|darf ich nicht|darf das nicht|übersteigt|\
    j'attends ton|j'attends ta|j'attends tes|j'attends votre|j'attends vos|j'attends une|en attente de ta|en attente de ton|en attente de votre|j'attends que|ne sais pas si|ne sais pas quel|ne sais pas quelle|ne sais pas comment|ne sais pas qui|ne sais pas ce|pas clair|pas sûr|pas sûre|que quelqu'un|quelqu'un doit|quelqu'un devrait|à toi|à vous|sauf objection|sans objection|sauf avis contraire|si personne|merci de me|merci de répondre|merci de trancher|besoin de ton|besoin de ta|besoin de votre|besoin d'un avis|besoin d'une|besoin d'un|besoin d'aide|je suis bloqué|je suis bloquée|peux pas décider|pas le droit|dépasse|il faut décider|il faut choisir|reste à décider|tranche|tranchez|valide s'il te plaît|valide stp|confirme s'il te plaît|\
    espero tu|espero su|espero vuestra|esperando tu|esperando su|a la espera de tu|a la espera de su|espero respuesta|no sé si|no sé cuál|no sé qué|no sé cómo|no sé quién|no me queda claro|no está claro|no estoy seguro|no estoy segura|que alguien|alguien tiene que|alguien debe|alguien debería|tú dirás|ustedes dirán|tú eliges|necesito una|necesito un|necesitamos una decisión|si nadie|salvo objeción|decidme|díganme|confírmame|confirmadme|avisadme|necesito ayuda|no puedo decidir|no tengo permiso|no tengo permisos|supera|por favor decidid|por favor autoriza|por favor dime|por favor aprueben|tu decisión|tu visto bueno|su visto bueno|falta tu|falta su|queda por decidir|\
    esperando a sua|esperando sua|aguardo a sua|aguardo sua|aguardando sua|aguardando a sua|aguardo resposta|não sei se|não sei qual|não sei como|não sei o que|não sei quem|não está claro|não ficou claro|não tenho certeza|alguém precisa|alguém tem que|alguém deve|me avise|me avisem|me confirme|me diz|você decide|se ninguém|preciso da sua|preciso do seu|preciso de uma|preciso de um|preciso saber|preciso de ajuda|não posso decidir|não tenho permissão|ultrapassa|por favor aprove|por favor confirme|por favor escolham|por favor diga|seu aval|sua confirmação|falta a sua|falta sua|resta decidir|\
    aspetto la tua|aspetto il tuo|aspetto una|aspetto la vostra|attendo la tua|attendo il tuo|attendo una|attendo conferma|in attesa della tua|in attesa di una|non so se|non so quale|non so come|non so chi|non so cosa|non è chiaro|non mi è chiaro|non sono sicuro|non sono sicura|qualcuno deve|qualcuno dovrebbe|dimmi|ditemi|fatemi sapere|decidi tu|decidete voi|se nessuno|ho bisogno della tua|ho bisogno del tuo|ho bisogno di una|ho bisogno di un|mi serve la tua|mi serve il tuo|mi serve una decisione|serve una decisione|mi serve aiuto|ho bisogno di aiuto|non posso decidere|non ho i permessi|non ho il permesso|supera il|per favore approva|per favore dimmi|la tua conferma|il tuo ok|il tuo parere|il tuo benestare|resta da decidere|manca la tua|manca il tuo|\
    wacht op je|wacht op jouw|wacht op uw|wacht op jullie|wacht op een|wachten op je|weet niet of|weet niet welke|weet niet wat|weet niet hoe|weet niet wie|onduidelijk|niet duidelijk|niet zeker|iemand moet|moet iemand|iemand zou|zeg het|zeg me|zeg maar|als niemand bezwaar|als niemand|tenzij|heb je akkoord|je akkoord|jouw akkoord|jullie akkoord|uw akkoord|heb een beslissing|beslissing nodig|goedkeuring nodig|akkoord nodig|hulp nodig|graag een|graag jouw|graag je|aan jou|aan jullie|jij beslist|beslis jij|kies jij|mag dat niet|geen rechten|geen toestemming|een mens|loop vast|kom er niet uit|\
    жду твоего|жду вашего|жду твоё|жду твой|жду ответа|жду решения|жду подтверждения|жду разрешения|ждём решения|не знаю|не уверен|не уверена|неясно|не ясно|непонятно|не понятно|не понимаю|скажи|скажите|подскажи|подскажите|чтобы кто-то|кто-то должен|пусть кто-то|должен решить|если никто не против|если нет возражений|дай знать|дайте знать|твоё решение|решать тебе|решай|определись|нужно твоё|нужно ваше|нужна твоя|нужна помощь|нужен ответ|нужно подтверждение|нужно разрешение|нужно согласие|прошу подтвердить|прошу решить|прошу согласовать|прошу разрешения|нет прав|не имею права|не могу решить|превышает|твоё согласие|нужен человек";

/// What begins like this asks nothing.
pub(crate) const REPORTS: [&[&str]; 4] =
    [&["kann", "ich", "bestätigen"], &["wie", "besprochen"], &["wie", "vereinbart"], &["wie", "gewünscht"]];

/// Where words are not set apart, the phrase is looked for in the whole line.
const UNSPACED: [(Rule, &str); 9] = [
    (Rule::Opener, "吗|嗎|ですか|ますか|でしょうか|ませんか|ましょうか|까요|나요|습니까"),
    (
        Rule::Opinion,
        "怎么样|怎麼樣|你觉得|你覺得|你认为|您觉得|どう思い|ご意見をお|어떻게 생각|의견 부탁|의견을 주",
    ),
    (Rule::Decision, "请确认|請確認|请决定|請決定|请选择|請選擇|请批准|请审批|由你决定|你来决定|请告诉我"),
    (
        Rule::Opener,
        "哪里|哪裡|在哪|哪个|哪個|哪些|哪一|哪种|哪位|多少|几天|几个|几点|多久|为什么|為什麼|怎么办|怎么做|怎么处理|怎么样|如何处理|什么时候|何时|能不能|能否|可不可以|可否|要不要|是不是|有没有|需不需要|该不该|应不应该|行不行|好不好|行吗|谁来|谁能|谁负责|谁可以|谁知道|还是",
    ),
    (
        Rule::Decision,
        "等你|等您|等待你|等待您|等你们|不确定|不清楚|不知道|没把握|告诉我|告知我|请告知|你来定|你来选|您来定|你决定|您决定|请指示|请回复|请答复|请帮|请给出|请同意|请授权|请定夺|需要你的|需要您的|需要你来|需要有人|需要人工|需要一个决定|需要决定|需要批准|需要审批|需要确认|得有人|没有权限|无权|超出我的|拿不定主意|求助|帮忙看|卡住了|如无异议|没有异议的话|没人反对|你的意见|您的意见|你的看法|有问题想问",
    ),
    (
        Rule::Opener,
        "ましたか|ませんか|んですか|のですか|ないか|どこですか|だろうか|かな|よろしい|どうすれば|どうしたら|どうしましょう|どちらに|どれに|いつから|いつまで",
    ),
    (
        Rule::Decision,
        "お待ちして|待っています|わかりません|分かりません|わからない|ご判断|ご意見|ご指示|ご承認|ご確認を|ご回答|ご返信|ご相談|教えて|決めて|選んで|指示を|判断を|承認を|承認が必要|判断が必要|許可が必要|決定が必要|確認が必要|権限がありません|許可をください|許可をお|助けて|困って|迷って|相談|いただけます|もらえます|異議がなければ|問題なければ|お願いできます|判断できません",
    ),
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
