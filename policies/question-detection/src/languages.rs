//! The phrases of other languages. Question marks carry most of the weight there (`marks`); these are for those who
//! leave them out, and for decisions that are wanted without a question.

use crate::Rule;

/// By rule, as in `phrases`.
pub(crate) const TABLES: [(Rule, &str); 3] =
    [(Rule::Opener, OPENERS), (Rule::Opinion, OPINION), (Rule::Decision, DECISION)];

const OPENERS: &str = "\
    passt dir|passt euch|passt das|magst du|weißt du|meinst du|findest du|brauchst du|bist du|ist das|\
    ist es|gibt es|geht das|muss ich|müssen wir|wollen wir|haben wir|kann ich|^wer|^wann|^warum|^wieso|\
    was ist|wie soll|wie sollen|wie kann|wie können|wie geht|wie macht|welche .. soll|welchen .. soll|\
    welches .. soll|welcher .. soll|welche .. sollen|soll ich|sollen wir|sollte ich|sollten wir|\
    kannst du|können sie|könnt ihr|könntest du|könnten sie|können wir|darf ich|dürfen wir|würdest du|\
    hast du|habt ihr|willst du|möchtest du|est-ce que|est-ce qu'on|peux-tu|pouvez-vous|pourrais-tu|\
    pourriez-vous|dois-je|devons-nous|faut-il|puis-je|préfères-tu|préférez-vous|penses-tu|pensez-vous|\
    sais-tu|savez-vous|veux-tu|voulez-vous|as-tu|avez-vous|quel|quelle|puedes|podrías|podemos|puedo|\
    debo|debemos|deberíamos|quieres|qué|cuál|cuáles|cuándo|dónde|cómo|quién|cuánto|cuántos|posso|\
    você pode|devo|devemos|qual|quais|possiamo|ti va|quale|quali|va bene se|puoi|potresti|dobbiamo|vuoi|\
    welke|hoe kan|hoe moet|wie kan|zal ik|zullen we|kun je|kan je|kunt u|kunnen we|moet ik|moeten we|\
    mag ik|wil je|kan du|kan vi|ska jag|ska vi|skal jeg|skal vi|vill du|vil du|får jag|czy|który .. mam|\
    która .. mam|które .. mam|jak mam|kiedy|чи|какой|какая|какое|какие|где|почему|зачем|сколько|\
    когда планируется|когда будет|когда можно|можно ли|можем ли|нужно ли|стоит ли|можешь|ли|क्या|^wo|\
    ^woher|^wohin|^wozu|was machen|was soll|was sollen|was muss|was passiert|was bedeutet|was fehlt|\
    was brauchst|was brauchen|was für|was tun|was kann|was mache|was hältst|^wie|^welche|^welcher|\
    ^welches|^welchen|^wessen|wäre es|wäre das|ist es möglich|ist die|ist der|sind die|sind wir|\
    reicht das|reicht es|klappt das|stimmt das|brauchen wir|braucht ihr|weiß jemand|kann jemand|\
    hat jemand|könnte jemand|kennst du|kennt jemand|siehst du|gehst du|machst du|nimmst du|kommst du|\
    lieber|kurze frage|eine frage|frage an|noch eine frage|oder nicht|^où|^combien|^pourquoi|^comment|\
    ^qui|^lequel|^laquelle|^quels|^quelles|^que|qu'est-ce|tu préfères|tu veux|tu penses|tu sais|\
    tu as une idée|vous préférez|vous voulez|vous pensez|ça te va|ça vous va|est-ce|quelqu'un sait|\
    quelqu'un peut|quelqu'un a|quelqu'un pourrait|une question|petite question|^cuántas|^adónde|\
    ^por qué|^para qué|^quiénes|^cuánta|sabes|sabéis|tienes|tenéis|prefieres|preferís|crees|te parece|\
    os parece|te importa|está bien si|vale si|podéis|podría|alguien sabe|alguien puede|alguien ha|\
    una pregunta|hay que elegir|se puede|^onde|^quantos|^quantas|^quem|^por que|^quanto|^o que|pode|\
    podem|poderia|você sabe|vocês sabem|você prefere|você quer|tem como|dá para|tudo bem se|está bom se|\
    alguém sabe|alguém pode|alguém já|uma pergunta|uma dúvida|deveríamos|^dove|^quanti|^quante|^chi|\
    ^cosa|^che cosa|^perché|si può|potete|sai|sapete|hai|avete|volete|preferisci|preferite|ti sembra|\
    ti va bene|qualcuno sa|qualcuno può|qualcuno ha|una domanda|meglio .. o|dovremmo|^waar|^waarom|\
    ^hoeveel|^wanneer|^welk|^wat|^hoe|is het|is er|zijn er|kan iemand|kunnen jullie|heb je|hebben we|\
    heeft iemand|weet je|weet iemand|ga je|vind je|klopt het|klopt dat|wil jij|zou je|zouden we|\
    mogen we|een vraag|korte vraag|of niet|^кто|^что|^куда|^откуда|^сколько|^чей|^можно|^зачем|^какие|\
    надо ли|есть ли|можете|мог бы|могли бы|не мог бы|знаешь|знаете|кто-нибудь|может кто|есть вопрос|\
    вопрос по|ты не против|вы не против|оставляем или|нам нужно или|^hvor|^hvad|^hvem|^var|^vem|^gdzie|\
    ^ile|^kto|^dlaczego|^jaki|^jaka|^jakie|^де|^скільки|^хто|^чому|^nerede|^hangi|^neden|^kaç|^ne zaman|\
    ^kim";

const OPINION: &str = "\
    was meinst du|was meint ihr|was meinen sie|was denkst du|was hältst du|deine meinung|eure meinung|\
    ihre meinung|qu'en penses-tu|qu'en pensez-vous|ton avis|votre avis|qué opinas|qué piensas|\
    qué te parece|qué os parece|tu opinión|su opinión|o que você acha|o que vocês acham|o que acha|\
    sua opinião|che ne pensi|cosa ne pensi|che ne pensate|il tuo parere|wat vind jij|wat vind je|\
    wat denk je|jouw mening|vad tycker du|vad tycker ni|hva synes du|hvad synes du|vad tror du|\
    co myślisz|co sądzisz|co o tym myślisz|как думаешь|как думаете|как считаешь|что думаешь|что скажешь|\
    твоё мнение|твое мнение|як думаєш|що думаєш|ne düşünüyorsun|ne dersin|sizce|sence|was sagst du|\
    wie siehst du|wie seht ihr|deine einschätzung|eure einschätzung|deine sicht|dein rat|\
    kurze rückmeldung|eine rückmeldung|um rückmeldung|rückmeldung bitte|feedback wäre|ton opinion|\
    votre opinion|un avis|tes retours|vos retours|tu en penses quoi|tu punto de vista|alguna sugerencia|\
    alguna opinión|tu consejo|sua sugestão|alguma sugestão|sua visão|il tuo consiglio|la tua opinione|\
    un parere|un consiglio|graag je mening|je mening|jullie mening|jouw advies|je advies|твой совет|\
    ваше мнение|что думаете|как лучше|как тебе";

const DECISION: &str = "\
    bitte entscheide|bitte entscheiden|entscheide bitte|bitte bestätige|bitte bestätigen|\
    bitte genehmige|bitte genehmigen|bitte wähle|bitte um freigabe|deine freigabe|ihre freigabe|\
    eure freigabe|deine zustimmung|deine entscheidung|sag mir|sag du|sag .. bescheid|gib .. bescheid|\
    geben .. bescheid|merci de confirmer|merci de valider|merci de choisir|merci de décider|\
    merci de trancher|confirme-moi|confirmez-moi|à toi de|à vous de|ton accord|votre accord|\
    ta validation|votre validation|ton feu vert|votre feu vert|dis-moi|dites-moi|préviens-moi|\
    por favor confirma|por favor confirme|por favor confirmad|confirma por favor|por favor decide|\
    por favor elige|por favor aprueba|tu aprobación|su aprobación|decide tú|necesito que|necesito saber|\
    me gustaría saber|quisiera saber|dime|avísame|avísenme|sua aprovação|sua decisão|por favor decida|\
    me diga|per favore conferma|per favore confermate|per favore decidi|la tua approvazione|\
    fammi sapere|graag bevestigen|graag je akkoord|jouw akkoord|je goedkeuring|bekräfta|godkänn|\
    ditt godkännande|bekreft|bekræft|proszę potwierdź|potwierdź|zdecyduj|подтверди|подтвердите|реши|\
    решите|выбери|выберите|утверди|утвердите|одобри|одобрите|підтвердь|підтвердіть|виріши|вирішіть|\
    onayla|onaylayın|karar ver|karar verin|seç|unklar|unsicher|mir fehlt .. okay|mir fehlt .. freigabe|\
    fehlt noch .. okay|fehlt noch .. freigabe|fehlt noch .. entscheidung|dein okay|dein ok|dein go|\
    deine antwort|deine bestätigung|jemand entscheiden|muss jemand|du entscheidest|ihr entscheidet|\
    deine wahl|entscheide du|niemand widerspricht|niemand etwas dagegen|keiner widerspricht|\
    keine einwände|bitte um|bitte sag|bitte sagt|bitte gib .. okay|bitte gib frei|bitte freigeben|\
    bitte prüfe ob|bitte teile|bitte klär|bitte klären|um erlaubnis|brauche hilfe|brauche ein|\
    brauche jemanden|komme nicht weiter|hänge fest|keine berechtigung|nicht berechtigt|darf ich nicht|\
    darf das nicht|j'attends ton|j'attends ta|j'attends tes|j'attends votre|j'attends vos|j'attends une|\
    en attente de ta|en attente de ton|en attente de votre|j'attends que|ne sais pas si|\
    ne sais pas quel|ne sais pas quelle|ne sais pas comment|ne sais pas qui|ne sais pas ce|pas clair|\
    pas sûr|pas sûre|que quelqu'un|quelqu'un doit|quelqu'un devrait|à toi|à vous|sauf objection|\
    sans objection|sauf avis contraire|si personne|merci de me|merci de répondre|besoin d'une|\
    besoin d'un|besoin d'aide|je suis bloqué|je suis bloquée|peux pas décider|pas le droit|dépasse|\
    il faut décider|il faut choisir|reste à décider|tranche|tranchez|valide s'il te plaît|valide stp|\
    confirme s'il te plaît|a la espera de tu|a la espera de su|no me queda claro|no está claro|\
    no estoy seguro|no estoy segura|que alguien|alguien tiene que|alguien debe|alguien debería|tú dirás|\
    ustedes dirán|tú eliges|necesito una|necesito un|si nadie|salvo objeción|decidme|díganme|confírmame|\
    confirmadme|avisadme|necesito ayuda|no puedo decidir|no tengo permiso|no tengo permisos|supera|\
    por favor decidid|por favor autoriza|por favor dime|por favor aprueben|tu decisión|tu visto bueno|\
    su visto bueno|queda por decidir|não está claro|não ficou claro|não tenho certeza|alguém precisa|\
    alguém tem que|alguém deve|me avise|me avisem|me confirme|me diz|você decide|se ninguém|\
    preciso de uma|preciso de um|preciso saber|preciso de ajuda|não posso decidir|não tenho permissão|\
    ultrapassa|por favor aprove|por favor diga|seu aval|sua confirmação|falta a sua|falta sua|\
    resta decidir|aspetto una|attendo una|in attesa della tua|in attesa di una|non so se|non so quale|\
    non so come|non so chi|non so cosa|non è chiaro|non mi è chiaro|non sono sicuro|non sono sicura|\
    qualcuno deve|qualcuno dovrebbe|dimmi|ditemi|fatemi sapere|decidi tu|decidete voi|se nessuno|\
    ho bisogno della tua|ho bisogno del tuo|ho bisogno di una|ho bisogno di un|mi serve aiuto|\
    ho bisogno di aiuto|non posso decidere|non ho i permessi|non ho il permesso|supera il|\
    per favore approva|per favore dimmi|la tua conferma|il tuo ok|il tuo parere|il tuo benestare|\
    resta da decidere|wacht op een|onduidelijk|niet duidelijk|niet zeker|iemand moet|moet iemand|\
    iemand zou|zeg het|zeg me|zeg maar|tenzij|je akkoord|jullie akkoord|uw akkoord|beslissing nodig|\
    goedkeuring nodig|akkoord nodig|hulp nodig|graag jouw|graag je|aan jou|aan jullie|jij beslist|\
    beslis jij|kies jij|mag dat niet|geen rechten|geen toestemming|een mens|loop vast|kom er niet uit|\
    не знаю|не уверен|не уверена|неясно|не ясно|непонятно|не понятно|не понимаю|скажи|скажите|подскажи|\
    подскажите|чтобы кто-то|кто-то должен|пусть кто-то|должен решить|если нет возражений|дай знать|\
    дайте знать|твоё решение|решать тебе|решай|определись|нужна помощь|прошу подтвердить|прошу решить|\
    прошу согласовать|нет прав|не имею права|не могу решить|превышает|твоё согласие|нужен человек";

/// What begins like this asks nothing.
pub(crate) const REPORTS: [&[&str]; 17] = [
    &["kann", "ich", "bestätigen"],
    &["wie", "besprochen"],
    &["wie", "vereinbart"],
    &["wie", "gewünscht"],
    &["pode", "seguir"],
    &["pode", "continuar"],
    &["puedes", "seguir"],
    &["puedes", "continuar"],
    &["puoi", "procedere"],
    &["come", "concordato"],
    &["come", "previsto"],
    &["como", "acordado"],
    &["como", "acordamos"],
    &["como", "combinado"],
    &["как", "договорились"],
    &["как", "обсуждали"],
    &["comme", "convenu"],
];

/// Where words are not set apart, the phrase is looked for in the whole line.
const UNSPACED: [(Rule, &str); 12] = [
    (
        Rule::Decision,
        "승인을 기다|승인 대기|답변을 기다|답을 기다|결정을 기다|회신을 기다|확인을 기다|허가를 기다|지시를 기다|대답을 기다|알려|확인 부탁|결정 부탁|승인 부탁|답변 부탁|검토 부탁|골라|선택해|선택 부탁|정해 주|정해주|결정해|승인해|승인이 필요|결정이 필요|도움이 필요|확인이 필요|허락|어느 쪽|어떤 것|어떻게|누가|누구|언제|어디|무엇|무슨|뭐가|뭘|왜|할까|될까|일까|인가요|은가요|는가요|모르겠|잘 모르|확실하지 않|확실치 않|권한이 없|판단이|의견을|의견 주|도와|막혔|괜찮을|괜찮으|동의하시면|반대가 없|이의가 없|허가 없이|승인 없이|동의 없이|궁금|여쭤|여쭙|이해가 안|이해하지 못|사람이 봐|사람이 결정|담당자가",
    ),
    (
        Rule::Decision,
        "没有你的|叫什么|什么名|有什么|什么样|什么时间|出什么|干什么|说什么|指什么|按什么|以什么|什么情况|由人来决定|人来决定|由人决定|人来判断|之前我不|之前我先|之前不会|之前先不|前我不会|前我先不|没有您的|没有你们的|没你的|未经你|未经您|请通知|通知我|请说明|请问|想知道|想问|请教|麻烦你|麻烦您|劳烦|拜托|等待批准|等待确认|等待审批|等待回复|等待指示|等待答复|等待决定|等候|等批准|等回复|等确认|待你|待您|你同意|您同意|你确认|您确认|你批准|您批准|你点头|您点头|你说了算|听你的|看你的|你看|您看|你们看|二选一|选哪|用哪|拿主意|做主|不敢|不放心|需要人|人工|请人|找人|上报|哪张|哪天|哪边|哪份|哪条|哪家|哪一|几号|几点|怎么|做什么|用什么|是什么|什么意思|什么格式|什么版本|什么原因|什么顺序|什么地方|谁的|谁有|谁愿意|谁去|谁审|你打算|您打算|你希望|您希望|你想|您想|你更|您更|你倾向|给个|给我一个|回个话|回一声|说一声|吱一声|定一下|确认一下|看一下吧|帮我|帮个忙|求|无法决定|不能决定|不便决定|没法决定|难以决定|难以判断|无法判断|不好说|超过我的|超过了我的|不在我的权限|没权限|权限不够|权限不足|搞不懂|看不懂|不明白|不太懂|不理解|想不通|犹豫|纠结|没想好|没思路|没主意|除非你|除非有人|否则我|再继续|才能继续|才能开始|我才",
    ),
    (
        Rule::Decision,
        "承認がなければ|了承を|同意を得|許可を得|人間が決|人が決|人間の判断|許可がなければ|承認なしに|許可なしに|返事がなければ|ご連絡ください|連絡ください|連絡をください|お知らせください|知らせてください|ご教示|ご検討|ご指摘|ご返答|お返事|返事を待|返答を待|回答を待|承認待ち|確認待ち|回答待ち|返信待ち|指示待ち|判断待ち|いかが|いいですか|どうした|どうすれ|どうなり|どうなって|どちら|誰が|誰に|なぜ|何が|何を|何時|何日|どこに|どこで|どこを|どれを|どれが|いくつ|いくら|どのくらい|どの程度|どの順|どの版|どのバージョン|どのファイル|どのよう|わかる方|分かる方|ご存知|ご存じ|どなたか|誰か|任せます|お任せ|次第です|次第で|決めかね|決められ|判断がつ|判断に迷|自信がありません|不明です|はっきりしません|見てもらえ|見ていただ|手伝って|手を貸|行き詰ま|詰まって|お手上げ|権限がない|権限では|権限を超|越えて|上の方|責任者|担当者に|人間に|人の判断|人に|返事ください|返事をください|ください、どちら|進めてよ|進めて良|消してよ|反対がなければ|反対意見|希望を|希望が|ご希望|お願いしたい|してほしい|して欲しい|欲しいです|ほしいです|まで待ち|まで待って|まで作業を止|まで止め|まで保留|まで進め|まで触",
    ),
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
        "お待ちして|待っています|わかりません|分かりません|わからない|ご判断|ご意見|ご指示|ご承認|ご確認を|ご回答|ご返信|ご相談|教えて|決めて|選んで|指示を|判断を|承認をお|承認をく|承認を待|承認をもらえ|承認を得る|承認をいただくまで|許可をいただくまで|承認が必要|判断が必要|許可が必要|決定が必要|確認が必要|権限がありません|許可をください|許可をお|助けて|困って|迷って|相談|いただけます|もらえます|異議がなければ|問題なければ|お願いできます|判断できません",
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

/// The phrases of [`UNSPACED`], sorted by their first two characters.
#[derive(Debug)]
pub(crate) struct Unspaced(Vec<(Beginning, Rule, &'static str)>);

/// The first character of a phrase, and the second if there is one.
type Beginning = (char, Option<char>);

impl Unspaced {
    pub(crate) fn new() -> Self {
        let mut all = Vec::new();
        for (rule, table) in UNSPACED {
            all.extend(table.split('|').filter_map(|phrase| Some((beginning(phrase)?, rule, phrase))));
        }
        all.sort_unstable_by_key(|(beginning, ..)| *beginning);
        Self(all)
    }

    /// The first phrase in a line.
    pub(crate) fn find(&self, line: &str) -> Option<(Rule, &'static str)> {
        if line.is_ascii() {
            return None;
        }
        line.char_indices().filter(|(_, c)| *c >= SCRIPTS).find_map(|(at, c)| {
            let rest = line.get(at..)?;
            let (_, second) = beginning(rest)?;
            self.starting(rest, (c, None)).or_else(|| self.starting(rest, (c, second)))
        })
    }

    /// The first phrase with this beginning that the text starts with.
    fn starting(&self, text: &str, wanted: Beginning) -> Option<(Rule, &'static str)> {
        let from = self.0.partition_point(|(beginning, ..)| *beginning < wanted);
        let candidates = self.0.iter().skip(from).take_while(|(beginning, ..)| *beginning == wanted);
        candidates.copied().find_map(|(_, rule, phrase)| {
            // In Japanese, か asks, but から gives a reason.
            (!text.strip_prefix(phrase)?.starts_with('ら')).then_some((rule, phrase))
        })
    }
}

fn beginning(phrase: &str) -> Option<Beginning> {
    let mut chars = phrase.chars();
    Some((chars.next()?, chars.next()))
}
