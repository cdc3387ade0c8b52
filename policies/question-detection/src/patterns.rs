//! Patterns over classes of words, for what people say in many variants: to wait for a decision, to need somebody's word,
//! to lack a permission. `<wait> .. <decision>` stands for each word of the first class, up to four words, and each word
//! of the second. A class belongs to the language of its table. As in `english`, what begins with `^` counts only at the
//! start of a sentence; what begins with `~` only if that sentence has one clause.

use crate::Rule;

/// The classes and patterns of one language. The patterns are separated by `|`, as in `english`.
#[derive(Debug)]
pub(crate) struct Language {
    pub(crate) classes: &'static [(&'static str, &'static str)],
    pub(crate) patterns: &'static [(Rule, &'static str)],
}

pub(crate) const LANGUAGES: [Language; 10] =
    [ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH, RUSSIAN, POLISH, SCANDINAVIAN];

const ENGLISH: Language = Language {
    classes: &[
        (
            "wait",
            "wait waits waiting hold holds holding pause pausing paused parked parking standing stand await awaits \
             awaiting blocked stuck idle pending held sit sitting hanging stalled",
        ),
        ("your", "your yours you"),
        (
            "decision",
            "decision verdict approval approvals sign-off signoff go-ahead nod consent permission confirmation guidance \
             instructions direction feedback blessing authorisation authorization clearance judgement judgment vote \
             clarification ruling consensus",
        ),
        (
            "word",
            "ok okay yes go word answer reply response review opinion preference choice input call say view take \
             thoughts advice pick recommendation agreement verdict steer",
        ),
        (
            "need",
            "need needs needed require requires required want wants lack lacks lacking missing request requesting seek \
             seeking",
        ),
        ("who", "someone somebody anyone anybody human person legal security management"),
        (
            "person",
            "human person manager admin administrator operator maintainer lead lawyer supervisor moderator colleague \
             reviewer expert specialist",
        ),
        ("must", "should must has needs ought could might"),
        (
            "sees",
            "look looks see sees check checks decide decides approve approves sign signs handle handles agree agrees \
             judge judges review reviews confirm confirms read reads",
        ),
        (
            "assent",
            "ok okay yes answer reply response review opinion preference recommendation agreement advice thoughts",
        ),
        ("like", "love like appreciate welcome value enjoy"),
        ("fine", "ok okay fine alright acceptable good cool agreeable right"),
        ("which", "which whether what how why where who when if"),
        ("know", "know hear learn understand see ask"),
        ("unsure", "unsure unclear uncertain undecided torn wondering puzzled baffled confused curious"),
        (
            "objects",
            "object objects objection objections disagree disagrees told tell tells say says stop stops prefer prefers \
             shout shouts veto vetoes mind minds instructed hear otherwise",
        ),
        (
            "agree",
            "agree agreed approve approved confirm confirmed say said answer answered reply replied decide decided \
             looked chosen okayed signed responded prefer preferred allow permit object mind",
        ),
        (
            "sign",
            "sign shout ping hint pointer nudge yes date number direction steer signal nod go call hand ruling \
             deadline preference reason word",
        ),
        (
            "comment",
            "feedback input advice opinion help answer hint comments review thoughts guidance pointer pointers \
             suggestions ideas corrections remarks objections decision word reply",
        ),
        ("clear", "understand get follow see grasp know"),
        ("not", "not don't doesn't can't cannot couldn't won't shouldn't wouldn't never"),
        ("vague", "tie tied toss-up dilemma deadlock stalemate impasse crossroads"),
        (
            "risky",
            "risky unsafe dangerous irreversible uneasy nervous uncomfortable worried hesitant reluctant",
        ),
        ("right", "rights credentials permission permissions authority access clearance mandate"),
    ],
    patterns: &[
        (
            Rule::Decision,
            "<wait> .. <decision>|<wait> .. your|<wait> until you|<wait> for you|<wait> on you|<wait> till you|\
             <wait> for <who>|<wait> until <who>|<wait> for a <person>|<wait> for an <person>|<need> .. <decision>|\
             <need> your|<need> .. from you|<need> .. yes|without a <decision>|without an ok|without an okay|\
             without explicit <decision>|without .. from you|<not> .. without .. <decision>|without any <decision>|without prior <decision>|without further <decision>|without clear <decision>|unless <objects>|unless .. <objects>|\
             unless .. otherwise|until told|till told|once you <agree>|once you have|once you've|after you <agree>|\
             as soon as you|if you <agree>|when you <agree>|before you <agree>|if nobody <objects>|if no one <objects>|\
             if none of you|<fine> with you|<fine> by you|<fine> for you|okay you|whether you want|whether you prefer|\
             whether you would|whether you'd|whether you agree|whether you like|whether you need|whether you can|\
             whether we want|whether we should|whether i should|depends on what you|depends on which you|\
             depends on whether you|whichever you|whatever you prefer|whatever you decide|casting vote|yours is the|\
             yours to|your move|in your court|your discretion|ready when you|\
             ready whenever you|ready if you|objections until|objections by|objections before|objections please|\
             objections to|object until|object by|object before|comments by|comments until|feedback by|\
             feedback until|feedback before|votes by|votes until|vote by|give me a <sign>|give us a <sign>|\
             give .. the <sign>|drop me a|need to <know>|needs to <know>|have to know|must know|wants to <know>|\
             want to <know>|like to <know>|love to <know>|keen to <know>|eager to <know>|want to understand|\
             help me understand|interested in <which>|interested in your|interested in hearing|be interested|\
             curious <which>|curious about|still don't <clear>|do not <clear> <which>|don't <clear> <which>|\
             can't <clear> <which>|cannot <clear> <which>|not sure <which>|not sure i|not certain|not convinced|\
             <unsure> <which>|<unsure> about|<unsure> between|puzzles me|confuses me|confusing to me|no sense to me|\
             i'm lost|i am lost|which of them|which of these|which of those|which of the|which one|do tell me|tell me <which>|\
             tell us <which>|tell me when|<vague> between|between .. or|\
             i'd go with|i would go with|my preference is|i lean|i'm leaning|i am leaning|leaning towards|i'm inclined|\
             i am inclined|i'd rather|i would rather|\
             so that i can|so i can|so we can|so that we can|for me to continue|for me to proceed|before i <agree>|\
             before i can|before i continue|before i start|before i proceed|before i go|before i delete|before i merge|\
             before i touch|before i send|before i push|before i change|before we can|before we continue|before we start|\
             before we proceed|before we merge|before we ship|your explicit|your final|your formal|your written|\
             your go|your yes|your nod|your vote|your approval|your consent|your instructions|your guidance|\
             your feedback|your recommendation|your judgement|somebody's approval|anyone's approval|\
             one approval short|<not> .. second approval|<not> .. another approval|comments .. welcome|with your <decision>|\
             with your <word>|subject to your|pending your|hinges on|remains undecided|to be agreed|\
             want me to|like me to|need me to|prefer me to|wants me to|should i|should we|if you want it|if you want me|if you want that|if you want this|if you want us|if that's preferred|if it's preferred|if preferred|if desired|if you'd like|if you like that|if you like it|not my decision|not my choice|not mine|my proposal|my suggestion|i'd <like> .. <comment>|would <like> .. <comment>|i'd <like> .. <decision>|would <like> .. <decision>|i'd <like> to <know>|would <like> to <know>|just checking|just making sure|just to make sure|just to be sure|just to confirm|just want to check|want to double-check|what should|who should|<need> to decide|<need> to choose|<need> to pick|<need> to agree|have to decide|have to choose|must decide|agree <which>|decide <which>|fail to see|fail to understand|trying to work out|trying to find out|trying to understand|^need the|^need a|^need an|^need some|^whatever happened|check please|please resend|please repeat|please provide|please restate|please rephrase|please elaborate|i'd <like> .. <assent>|would <like> .. <assent>|<need> .. okay|<need> .. ok|y n|is up to the|waiting on the word|waiting for the word|waiting for word|as soon as .. <decision>|once i have .. <decision>|once we have .. <decision>|let's agree|let's decide|let's pick|let's choose|let's vote|is with you|lies with you|rests with you|whatever you say|whatever you choose|whatever you want|whatever suits|just to double|just to check|just to clarify|just to be clear|<wait> to be|to be told|could use .. <decision>|could use .. <assent>|if there is no objection|if there are no objections|if i hear nothing|if nothing comes|if i don't hear|if i do not hear|if no one|barring objections|absent objections|looking for .. <sign>|looking for .. <decision>|you're <fine> with|you are <fine> with|you're happy with|you are happy with|<comment> .. would be|<comment> .. is welcome|<comment> .. are welcome|<comment> .. appreciated|instructions please|advice please|help please|input please|guidance please|answer please|decision please|\
             sort that out|sort this out|sort it out|settle that|settle it|rule on|make up your|have the final|\
             has the final|final say|last word|final word",
        ),
        (
            Rule::Escalation,
            "a <person> <must>|an <person> <must>|the owner <must>|legal <must>|security <must>|<who> <must> <sees>|\
             <who> <must> have|<who> who can|<who> who may|<who> who knows|<who> who has|someone with|somebody with|\
             better a <person>|a <person> first|a <person> before|lack .. <right>|lacks .. <right>|\
             without the <right>|don't have .. <right>|do not have .. <right>|haven't got .. <right>|have no <right>|\
             no <right> to|no <right> for|no <right> on|not .. <right> to|my <right> end|in circles|have a look please|\
             please have a|please take a|please take this|please take over from|please step|please sort|please intervene|\
             please get|please involve|please handle|please help|step in|tried everything|nothing helps|running out of|\
             feel safe|feel comfortable|feels <risky>|feel <risky>|feels wrong|feels off|seems wrong to me|looks <risky>|\
             i am <risky>|i'm <risky>|bit <risky>|too <risky>|rather not|prefer not to|don't want to|do not want to|\
             don't dare|do not dare|wouldn't dare|hesitate to|can't promise|cannot promise|can't commit|cannot commit|\
             can't judge|cannot judge|can't say whether|cannot say whether|can't tell|cannot tell|can't take that|\
             can't make that|cannot make that|responsibility|not in my power|not my place|not entitled|not permitted|\
             not qualified|not empowered|no authority|no mandate|out of my hands|over my head|out of my depth|\
             <not> .. alone|<not> .. by myself|<not> .. myself|legal question|legal matter|ethical question|i must not|i may not|than i may|what i may|beyond what|more than i|i can't proceed|i cannot proceed|i can't continue|i cannot continue|i can't go on|and can't proceed|and cannot proceed|and can't continue|and cannot continue|unable to proceed|unable to continue|unable to decide|hit my .. limit|reached my .. limit|hit the .. limit of what|at my limit|at the end of my|have a human|have a person|let a <person>|have someone <sees>|let someone|let somebody|only a human can|only a person can|what i'm allowed|what i am allowed|than i'm allowed|than i am allowed|i'm not allowed|i am not allowed|can't do anything|cannot do anything|nothing i can do|please loop|please alert|please page|please wake|please bring in|please pull in|loop in|don't think i may|don't think i should|don't think i can|don't think we should|don't think an agent|i can't access|i cannot access|a real person|a real human|talk to a person|talk to a human|speak to a|i give up|i am giving up|i'm giving up|looks like fraud|looks like phishing|looks suspicious|\
             is suspicious|seems suspicious|legal advice|needs eyes|needs a look|needs a decision|second look|\
             wants .. refund|wants .. discount|threatens to|demands a",
        ),
        (
            Rule::Opener,
            "^ok to|^okay to|^fine to|^safe to|^alright to|point me|send me|show me|show us|send us|walk me|link me|^by when|^until when|^since when|^for how|^at what|^on what|^under what|^under which|^for which|^from where|^on which|i need the|i still need|i'm missing the|i am missing the|^did you|^did we|^did they|^is monday|^is tuesday|^is wednesday|^is thursday|^is friday|^is tomorrow|^is today|^is it|^is there|any luck|any word|any progress|any plans|any clue|any reason|any appetite|any takers|any issue|any problem|\
             any trouble|any preference|any advice|any pointers|any hints|any experience|anything else you|\
             anything missing|anything i|anything we|anything you'd|anyone up|anyone against|anyone free|anybody free|\
             anybody against|everyone ok|everybody ok|everyone okay|everybody okay|all good with|still on for|\
             up for|fancy|care to|would it|could it|who's|where's",
        ),
    ],
};

const GERMAN: Language = Language {
    classes: &[
        (
            "dein",
            "dein deine deinen deinem deiner deines euer eure euren eurem eurer ihr ihre ihren ihrem ihrer",
        ),
        (
            "wort",
            "ok okay go freigabe zustimmung entscheidung antwort rückmeldung bestätigung genehmigung meinung erlaubnis \
             zusage wort ja einverständnis einwilligung anweisung anweisungen ansage votum stimme signal zeichen blick \
             einschätzung wahl unterschrift segen",
        ),
        ("warte", "warte warten wartet abwarten pausiere pausiert stoppe halte liegt blockiert hängt steht"),
        (
            "brauche",
            "brauche brauchen bräuchte bräuchten benötige benötigen benötigt braucht fehlt fehlen hätte möchte will",
        ),
        (
            "verb",
            "reicht passt geht klappt stimmt soll sollen sollte darf dürfen kann können könnte muss müssen ist sind hat \
             haben hast gibt bleibt bleiben nehmen machen lassen kommt kommst weißt kennst willst magst brauchst siehst \
             meinst findest bekommst bekommen bekomme schaffst wollen wollt habt seid könnt dürft müsst wird werden \
             lohnt gilt gehört betrifft stört wäre",
        ),
        ("subjekt", "dir euch ihnen das es ich wir du ihr sie jemand man der die dieser diese dieses"),
        ("ob", "ob welche welcher welches welchen wie was wann wer wo warum"),
        (
            "mensch",
            "mensch menschen vorgesetzter vorgesetzten verantwortlicher jemand admin administrator kollege",
        ),
        ("soll", "soll sollte muss müsste darf kann"),
    ],
    patterns: &[
        (
            Rule::Opener,
            "^<verb> <subjekt>|^an wen|^auf welche|^auf welchem|^in welcher|^in welchem|^in welche|^mit welchem|^mit welcher|^mit wem|^für wen|^bis wann|^seit wann|^ab wann|^bei wem|^von wem|^womit|^woran|^wofür|^worauf|^worin|^ab welcher|^unter welchem|^zu welchem|^aus welchem|^für welche|^für welchen|^nach welchem|^was <verb>|^was spricht|^was heißt|^was kostet|^kann mir|^können mir|^kannst|^könnt|^könntet|^hilft",
        ),
        (
            Rule::Decision,
            "wenn bis|falls bis|wenn ich bis|entscheiden <ob>|uns entscheiden|dich entscheiden|^entscheide|^entscheidet|^bestätige|^wähle|^genehmige|^nenn|^nenne|^erklär|^erkläre|<warte> .. <wort>|<warte> auf <dein>|<warte> bis du|<warte> bis ihr|<warte> bis jemand|<brauche> .. <wort>|\
             <brauche> <dein>|ohne <dein>|mit <dein> <wort>|auf <dein> <wort>|um <dein> <wort>|von dir|nach <dein> <wort>|\
             sobald du|sobald ihr|sobald jemand|wenn du einverstanden|wenn du zustimmst|wenn du nichts|wenn niemand|\
             wenn keiner|wenn es dir|wenn das für dich|wenn das ok|wenn das okay|falls du|falls niemand|falls keiner|\
             falls jemand|es sei denn|sag .. <ob>|sagt .. <ob>|schreib .. <ob>|wüsste gern|wüsste gerne|würde gern wissen|\
             würde gerne wissen|muss wissen|müssen wissen|möchte wissen|will wissen|interessiert mich|interessieren <ob>|\
             nicht sicher|nicht klar|nicht ganz klar|verstehe nicht|verstehe den|bin unsicher|unschlüssig|ratlos|frage mich|\
             hängt davon ab ob du|hängt von dir|liegt bei dir|liegt bei euch|dir überlassen|euch überlassen|überlasse|\
             deine sache|du bist dran|ihr seid dran|melde dich|meldet euch|einwände bis|einwände bitte|widerspruch bis|\
             entweder .. oder|zwei möglichkeiten|zwei varianten|zwei optionen|drei varianten|bevor ich|bevor wir|\
             <mensch> <soll>|ein <mensch>|einen <mensch>|einem <mensch>|nicht allein entscheiden|nicht selbst entscheiden|\
             nicht entscheiden|fehlen .. rechte|fehlt .. berechtigung|keine rechte|keinen zugriff|nicht meine entscheidung|\
             übersteigt|traue mich nicht|traue ich mich nicht|drehe mich im kreis|weiß nicht|weiß ich nicht|wissen nicht|\
             wissen wir nicht|keine ahnung|bitte schau|bitte wirf|bitte übernimm|bitte hilf",
        ),
    ],
};

const FRENCH: Language = Language {
    classes: &[
        ("ton", "ton ta tes votre vos"),
        (
            "mot",
            "accord feu validation décision réponse avis autorisation confirmation retour aval consentement go oui \
             approbation instructions consigne consignes choix signature arbitrage permission",
        ),
        ("attends", "attends attendons attend attente bloqué bloquée bloqués suspendu suspends patiente"),
        (
            "besoin",
            "besoin manque faut faudrait voudrais voudrait aimerais aimerait souhaite souhaiterais souhaiterait demande",
        ),
        ("si", "si quel quelle quels quelles comment quand où qui pourquoi lequel laquelle combien"),
        ("pronom", "tu vous on il elle ça c'est ils elles nous"),
    ],
    patterns: &[
        (
            Rule::Decision,
            "ou pas|ou non|<attends> .. <mot>|<attends> <ton>|<attends> que tu|<attends> que vous|<besoin> .. <mot>|<besoin> de <ton>|\
             sans <ton>|avec <ton> <mot>|selon <ton>|dès que tu|dès que vous|dès <ton>|si tu es d'accord|si vous êtes d'accord|\
             si ça te|si cela te|si ça vous|sans <mot> de ta|sans <mot> de votre|sans <mot> de toi|si tu préfères|si tu veux bien|à moins que|sauf si tu|sauf si quelqu'un|\
             j'aimerais savoir|je voudrais savoir|aimerait savoir|dis .. <si>|dites .. <si>|savoir <si>|je me demande|\
             on se demande|je ne comprends pas|ne comprends pas|j'hésite|on hésite|hésite entre|je ne sais|ne sait pas|\
             on ne sait|aucune idée|ça dépend de toi|dépend de toi|dépend de vous|de toi que|c'est toi qui|c'est vous qui|\
             la balle|te laisse|vous laisse|je te laisse|objections avant|objections jusqu|objection avant|remarques avant|\
             soit .. soit|deux options|deux possibilités|deux solutions|trois options|avant que je|avant de continuer|\
             un humain|une personne|un responsable|un administrateur|n'ai pas .. droits|n'ai pas .. droit|pas les droits|\
             pas accès|pas autorisé|pas autorisée|pas à moi de|pas mon rôle|je tourne en rond|peux pas trancher|\
             ne peux pas promettre|fais-moi|faites-moi|tiens-moi|redis-moi|réponds-moi|donne-moi|donnez-moi|explique-moi|\
             aide-moi|aidez-moi|s'il te plaît dis|merci d'indiquer|merci de préciser|merci de dire|merci de donner|\
             merci de regarder|merci d'avance",
        ),
        (
            Rule::Opener,
            "^tu <pronom>|^on peut .. ou|^c'est .. ou|quoi faire|que faire|on fait quoi|on fait comment|\
             je fais quoi|je dois|on garde .. ou|vous êtes d'accord|tu es d'accord|quelqu'un me|quelqu'un nous|~comment|~quand|^on .. ou|^tu confirmes|^tu valides|^tu approuves|^tu choisis|^tu décides|^vous confirmez|^vous validez|^choisis|^choisissez|^décide|^décidez|^confirme|^confirmez|^valide|^validez|^indique|^indiquez|^réponds|^précise|^précisez|^explique|^avec qui|^chez qui|^depuis quand|^jusqu'à quand|^pour quand|^pour qui|^sur quel|^sur quelle|^par où|^d'où|^de qui|^laquelle|^lesquels|^à quelle|^à quel|^de quelle|^dans quel|^dans quelle|\
             ^pour quelle|^pour quel|^en quelle|^avec quel|^quelle|^quel|^est-il|^est-elle|^sont-ils|^y a-t-il",
        ),
    ],
};

const SPANISH: Language = Language {
    classes: &[
        ("tu", "tu tus su sus vuestra vuestro vuestras vuestros"),
        (
            "palabra",
            "aprobación decisión respuesta confirmación permiso visto opinión ok autorización consentimiento sí orden \
             instrucciones señal elección acuerdo firma indicaciones",
        ),
        ("espero", "espero esperamos esperando espera pendiente bloqueado bloqueada parado parada pausa"),
        (
            "necesito",
            "necesito necesitamos necesita falta faltan quiero quisiera requiere hace pido solicito",
        ),
        ("si", "si cuál cuáles qué cómo cuándo dónde quién cuánto cuántos"),
    ],
    patterns: &[(
        Rule::Decision,
        "estáis de acuerdo|estás de acuerdo|están de acuerdo|alguien me|alguien nos|~como|~cuándo|^me puedes|^me podrías|^nos puedes|^nos podrías|^te puedo|^lo puedo|^elige|^elegid|^escoge|^escoged|^decide|^decidid|^confirma|^confirmad|^aprueba|^aprobad|^autoriza|^indica|^aclara|^responde|^explica|^a quién|^para cuándo|^desde cuándo|^en qué|^con qué|^con quién|^de quién|^hasta cuándo|^a qué|^de qué|^puedo|^podemos|^debo|^hace falta|quedo a la espera|quedo pendiente|<espero> .. <palabra>|<espero> <tu>|<espero> a que|<necesito> .. <palabra>|<necesito> <tu>|sin <tu>|con <tu> <palabra>|\
         en cuanto me|en cuanto tú|en cuanto alguien|cuando me digas|cuando me digáis|cuando me confirmes|hasta que me|hasta que tú|\
         hasta que alguien|si estás de acuerdo|si estáis de acuerdo|si te parece|si os parece|si no te importa|a menos que|\
         salvo que|dime <si>|decidme <si>|saber <si>|me pregunto|no entiendo|no sé|no sabemos|no tengo claro|no acabo de|dudo entre|\
         dudo si|tengo dudas|tengo una duda|una duda|ni idea|depende de ti|depende de vosotros|depende de si|te toca|os toca|\
         lo dejo en|en tus manos|tú decides|objeciones antes|objeciones hasta|comentarios antes|o bien|dos opciones|\
         dos alternativas|tres opciones|antes de que|antes de seguir|antes de continuar|una persona|un humano|\
         un responsable|un administrador|no tengo acceso|no tengo autoridad|no me corresponde|no me atrevo|no puedo prometer|\
         no puedo continuar|estoy atascado|estoy atascada|doy vueltas|ayúdame|ayudadme|échame|explícame|respóndeme|contéstame|\
         contestadme|aclárame|indícame|por favor revisa|por favor mira|por favor elegid|por favor aclara|por favor indica|\
         por favor responde|por favor ayuda|cuál de|^quién|^dónde|^cuándo|^cuánto|^cómo|¿",
    )],
};

const ITALIAN: Language = Language {
    classes: &[
        ("tuo", "tuo tua tuoi tue vostro vostra vostri vostre suo sua"),
        (
            "parola",
            "approvazione decisione risposta conferma permesso benestare parere ok autorizzazione consenso sì via \
             istruzioni segnale scelta accordo firma indicazioni",
        ),
        (
            "aspetto",
            "aspetto aspettiamo aspettando attesa attendo attendiamo attende fermo ferma bloccato bloccata",
        ),
        ("serve", "serve servono servirebbe bisogno manca mancano vorrei vorremmo chiedo richiede"),
        ("se", "se quale quali come quando dove chi cosa perché quanto quanti"),
    ],
    patterns: &[(
        Rule::Decision,
        "resto in attesa|resto in|siete d'accordo|sei d'accordo|qualcuno mi|qualcuno ci|~come|~quando|^mi puoi|^mi potresti|^ci puoi|^mi dici|^mi dai|^lo posso|^scegli|^decidi|^conferma|^approva|^indica|^rispondi|^spiega|^a chi|^per quando|^da quando|^in quale|^con chi|^con quale|^di chi|^per chi|^su quale|^entro quando|^possiamo|^dobbiamo|^ci sono|^serve|^è|^hai|<aspetto> .. <parola>|<aspetto> che tu|<aspetto> <tuo>|<aspetto> il <tuo>|<aspetto> la <tuo>|<aspetto> le <tuo>|<serve> .. <parola>|\
         <serve> il <tuo>|<serve> la <tuo>|senza il <tuo>|senza la <tuo>|senza <tuo>|con il <tuo>|con la <tuo>|col <tuo>|\
         appena mi|appena tu|non appena|finché non mi|finché qualcuno|se sei d'accord|se siete d'accord|se ti va|se vi va|se ti sta|\
         se per te|se per voi|a meno che|salvo che|salvo obiezioni|dimmi <se>|ditemi <se>|sapere <se>|vorrei sapere|vorremmo sapere|\
         mi chiedo|mi domando|non capisco|non ho capito|non sappiamo|sono indeciso|sono indecisa|siamo indecisi|in dubbio|ho un dubbio|\
         un dubbio|nessuna idea|dipende da te|dipende da voi|tocca a te|tocca a voi|sta a te|sta a voi|spetta a te|lascio a te|\
         obiezioni entro|obiezioni prima|commenti entro|oppure|due opzioni|due possibilità|due alternative|\
         prima che io|prima di procedere|prima di continuare|una persona|un umano|un responsabile|un amministratore|\
         non ho accesso|non ho i diritti|non spetta a me|non tocca a me|non me la sento|non posso promettere|non posso procedere|\
         sono bloccato|sono bloccata|aiutami|aiutatemi|spiegami|rispondimi|fammi <se>|avvisami|avvertimi|confermami|scegli|scegliete|\
         per favore scegli|per favore guarda|per favore indica|per favore rispondi|per favore chiarisci|quale delle|quale dei|^è meglio|^va bene|^devo|^posso",
    )],
};

const PORTUGUESE: Language = Language {
    classes: &[
        ("seu", "seu sua seus suas teu tua vosso vossa"),
        (
            "palavra",
            "aprovação decisão resposta confirmação permissão aval opinião ok autorização consentimento sim ordem \
             instruções sinal escolha acordo assinatura orientação parecer",
        ),
        (
            "espero",
            "espero esperamos esperando espera aguardo aguardamos aguardando aguarda pendente parado parada bloqueado pausa",
        ),
        ("preciso", "preciso precisamos precisa falta faltam quero queria gostaria requer peço solicito"),
        ("se", "se qual quais como quando onde quem quanto quantos que"),
    ],
    patterns: &[(
        Rule::Decision,
        "fico no aguardo|fico à espera|no aguardo|vocês concordam|você concorda|alguém me|alguém nos|~como|~quando|precisa aprovar|precisa autorizar|precisa decidir|precisa liberar|precisa assinar|precisa ver|deve aprovar|deve decidir|tem que aprovar|tem que decidir|tem que ver|^escolha|^decida|^confirme|^aprove|^indique|^responda|^explique|^a quem|^para quando|^desde quando|^em qual|^com quem|^de quem|^até quando|^com qual|^para quem|^podemos|^devemos|^precisamos|<espero> .. <palavra>|<espero> <seu>|<espero> o <seu>|<espero> a <seu>|<espero> pela <seu>|<espero> pelo <seu>|\
         <preciso> .. <palavra>|<preciso> do <seu>|<preciso> da <seu>|<preciso> que você|<preciso> que alguém|sem o <seu>|sem a <seu>|sem <seu>|\
         com o <seu>|com a <seu>|assim que você|assim que me|assim que alguém|quando você disser|quando você confirmar|até você|até que você|\
         até que alguém|se você concordar|se você concorda|se você quiser|se vocês concordarem|se estiver de acordo|se não se importar|\
         a menos que|a não ser que|salvo se|salvo objeção|diga <se>|digam <se>|saber <se>|gostaria de saber|queria saber|me pergunto|\
         não entendi|não entendo|não sabemos|não sei|estou em dúvida|em dúvida|tenho dúvida|tenho uma dúvida|nem ideia|depende de você|\
         depende de vocês|depende de si|fica a seu|cabe a você|deixo com você|deixo a|sua vez|objeções até|\
         objeções antes|comentários até|ou então|duas opções|duas alternativas|três opções|antes que eu|antes de eu|antes de continuar|\
         antes de prosseguir|uma pessoa|um humano|um responsável|um administrador|não tenho acesso|não tenho autorização|\
         não me cabe|não cabe a mim|não me atrevo|não posso prometer|não posso continuar|não posso prosseguir|estou travado|estou travada|\
         estou preso|ajude-me|me ajude|me ajudem|me explica|me explique|me responda|me confirma|me confirmem|me digam|diga-me|escolha|escolham|\
         por favor veja|por favor olhe|por favor indique|por favor responda|por favor esclareça|qual dos|qual das|^devo|^posso|^será que|prefere|preferem|ou não",
    )],
};

const DUTCH: Language = Language {
    classes: &[
        ("je", "je jouw uw jullie"),
        (
            "woord",
            "akkoord goedkeuring beslissing antwoord bevestiging toestemming mening oké ok ja advies instructies reactie \
             keuze teken sein besluit handtekening",
        ),
        ("wacht", "wacht wachten wachtend stop stilgelegd geblokkeerd blokkeert"),
        ("nodig", "nodig heb mis ontbreekt wil zou vraag verzoek"),
        (
            "verb",
            "gaan gebruiken houden beginnen draait staat krijgen is zijn zal zullen kan kunnen mag mogen moet moeten wil willen heb hebt heeft hebben weet past klopt \
            gaat lukt werkt blijft blijven nemen doen doe ga kies vind wordt worden",
        ),
        ("subject", "het dat ik we wij je jij jullie u er iemand de die deze dit dat"),
        ("of", "of welke welk wat hoe wie wanneer waar waarom"),
    ],
    patterns: &[
        (
            Rule::Opener,
            "^<verb> <subject>|^aan wie|^met welke|^in welke|^tot wanneer|^vanaf wanneer|^voor wie|^van wie|^op welke|^waarmee|^waarvoor|^waarop|^waarheen|^kies|^beslis|^bevestig|^zeg",
        ),
        (
            Rule::Decision,
            "<wacht> .. <woord>|<wacht> op <je>|<wacht> tot je|<wacht> tot jij|<wacht> tot jullie|<wacht> tot iemand|<nodig> .. <woord>|zonder <je>|\
             met <je> <woord>|van <je> <woord>|zodra je|zodra jij|zodra jullie|zodra iemand|als je akkoord|als je het eens|als je wilt dat|\
             als je liever|als het goed|als jij het|als niemand|tenzij je|tenzij iemand|zeg .. <of>|laat .. weten|weten <of>|vraag me af|\
             vragen ons af|zou graag|wil graag|begrijp niet|snap niet|snap nog|begrijp ik niet|snap ik niet|weet niet|weten niet|geen idee|\
             twijfel|twijfelen|hangt van jou|hangt af van jou|hangt van je|ligt bij jou|ligt bij jullie|jouw beurt|jij mag|laat ik aan|\
             bezwaren voor|bezwaren graag|bezwaar voor|opmerkingen voor|ofwel|twee opties|twee mogelijkheden|drie opties|voordat ik|\
             voor ik|een persoon|een beheerder|een verantwoordelijke|geen toegang|niet aan mij|niet bevoegd|durf niet|durf ik niet|\
             kan niet beloven|kan ik niet beloven|kan ik niet beslissen|kan niet beslissen|zit vast|help me|leg uit|geef me|geef een|\
             geef aan|graag horen|hoor graag|graag weten|kijk even|kies maar|graag akkoord|graag een|graag antwoord|graag uitleg",
        ),
    ],
};

const RUSSIAN: Language = Language {
    classes: &[
        (
            "твой",
            "твой твоя твоё твое твоего твоей твоим твоих твои ваш ваша ваше вашего вашей вашим ваши ваших",
        ),
        (
            "слово",
            "согласия согласие согласием решения решение ответа ответ подтверждения подтверждение разрешения разрешение \
             одобрения одобрение мнение мнения указаний команды отмашки добро выбор выбора подпись подписи слова отзыв",
        ),
        ("жду", "жду ждём ждем ожидаю ожидаем ждет ждёт остановился остановилась стоит висит"),
        (
            "нужно",
            "нужно нужен нужна нужны требуется требуются необходимо необходима хочу хотел хотела хотелось надо прошу",
        ),
        ("ли", "ли какой какая какое какие как когда где кто почему что сколько который нужно стоит"),
        ("мне", "мне нам"),
    ],
    patterns: &[(
        Rule::Decision,
        "вы согласны|ты согласен|ты согласна|~как|~когда|^какую|^каким|^какого|^каких|^кому|^кем|^чем|^чего|^о чём|^на какой|^на какую|^в какой|^в каком|^из какого|^с какой|^до какого|^к какому|^насколько|^чья|^чьё|^а если|^и что|^нам|^мне|^пойдёт|^подойдёт|^годится|^устроит|^хватит|^есть|<жду> .. <слово>|<жду> <твой>|<жду> пока ты|<жду> пока вы|<нужно> .. <слово>|<нужно> <твой>|без <твой>|с <твой> <слово>|\
         от тебя|от вас|за тобой|за вами|как только ты|как только вы|как только кто-то|как скажешь|как скажете|если ты согласен|если ты согласна|\
         если вы согласны|если ты не против|если вы не против|если тебе|если вам|если никто|если кто-то|пока ты не|пока вы не|пока кто-то|\
         пока мне не|хочу знать|хотел бы знать|хотела бы знать|хотелось бы|хочу понять|надо понять|интересно <ли>|скажи <ли>|скажите <ли>|\
         напиши <ли>|напишите <ли>|объясни|объясните|уточни|уточните|сообщи|сообщите|ответь|ответьте|реши <ли>|посоветуй|посоветуйте|\
         помоги|помогите|посмотри|посмотрите|взгляни|взгляните|разберись|разберитесь|сомневаюсь|сомневаемся|не могу понять|не понимаем|\
         не знаем|понятия не имею|зависит от тебя|зависит от вас|на твоё усмотрение|на ваше усмотрение|решайте|выбирай|выбирайте|\
         последнее слово|возражения до|возражения принимаются|замечания до|либо .. либо|два варианта|три варианта|прежде чем|перед тем как я|\
         человек должен|должен человек|должен посмотреть|должна посмотреть|нужен администратор|нужен кто-то|нет доступа|нет полномочий|\
         не вправе|не мне решать|не берусь|не решаюсь|боюсь|не могу обещать|не могу продолжать|застрял|застряла|застряли|хожу по кругу|\
         на <мне> делать|что <мне> делать|что делать|<мне> делать|как быть|какой из|какая из|какое из|дальше без|можно <мне>|можно я|^или|^нужно|^стоит|^ты|^вы",
    )],
};

const POLISH: Language = Language {
    classes: &[
        ("twój", "twój twoja twoje twoją twojej twojego twoim twoich wasz wasza waszą waszej waszego"),
        (
            "słowo",
            "zgody zgodę zgoda decyzji decyzję decyzja odpowiedzi odpowiedź potwierdzenia potwierdzenie akceptacji \
             akceptację opinii opinię pozwolenia pozwolenie instrukcji wyboru ok sygnał",
        ),
        ("czekam", "czekam czekamy oczekuję oczekujemy wstrzymuję wstrzymałem wstrzymałam stoję"),
        ("potrzebuję", "potrzebuję potrzebujemy potrzebna potrzebny potrzebne brakuje proszę wymaga chcę"),
        ("czy", "czy który która które jak kiedy gdzie kto dlaczego co ile jaki jaka jakie"),
    ],
    patterns: &[(
        Rule::Decision,
        "<czekam> .. <słowo>|<czekam> na <twój>|<czekam> aż|<potrzebuję> .. <słowo>|<potrzebuję> <twój>|bez <twój>|za <twój> <słowo>|\
         daj znać|dajcie znać|daj mi znać|powiedz|powiedzcie|napisz <czy>|nie wiem <czy>|nie wiem|nie jestem pewien|nie jestem pewna|\
         nie rozumiem|nie jest jasne|chcę wiedzieć|chciałbym wiedzieć|chciałabym wiedzieć|zależy od ciebie|zależy od was|decyduj|decydujcie|\
         ty decydujesz|wybierz|wybierzcie|jeśli się zgadzasz|jeśli nie masz nic|jeśli nikt|dopóki nie|nie mam uprawnień|nie mam dostępu|\
         nie mogę zdecydować|ktoś musi|ktoś powinien|człowiek musi|potrzebuję pomocy|utknąłem|utknęłam|pomóż|pomóżcie|wyjaśnij|doradź|^mogę|\
         ^możemy|^mam|^powinniśmy",
    )],
};

/// Swedish, Danish and Norwegian.
const SCANDINAVIAN: Language = Language {
    classes: &[
        ("din", "din ditt dina din dit dine ert er jeres deres"),
        (
            "ord",
            "godkännande beslut svar bekräftelse tillstånd besked åsikt ok godkendelse beslutning bekræftelse tilladelse \
             mening godkjenning bekreftelse tillatelse klartecken",
        ),
        ("vänta", "väntar vänta venter vente avvaktar"),
        ("behöver", "behöver behövs behov krävs trenger trengs saknar saknas mangler vill brug"),
        (
            "om",
            "om vilken vilket vilka hur när var vem vad varför hvilken hvilket hvordan hvornår hvor hvem hvad hva",
        ),
    ],
    patterns: &[(
        Rule::Decision,
        "<vänta> .. <ord>|<vänta> på <din>|<vänta> på att|<vänta> tills du|<vänta> til du|<behöver> .. <ord>|<behöver> <din>|utan <din>|\
         uden <din>|uten <din>|säg till|säg <om>|sig til|si fra|låt mig veta|lad mig vide|la meg vite|vet inte|ved ikke|vet ikke|\
         inte säker|ikke sikker|förstår inte|forstår ikke|du bestämmer|du bestemmer|upp till dig|op til dig|opp til deg|om du godkänner|\
         om du är okej|hvis du er enig|om ingen|hvis ingen|någon måste|någon bör|nogen skal|noen må|inte behörig|har inte åtkomst|\
         har ikke adgang|har ikke tilgang|behöver hjälp|har brug for hjælp|trenger hjelp|sitter fast|sidder fast|berätta <om>|undrar <om>|\
         undrar|^ska|^kan|^får|^må|^skal|^är det|^er det|^finns",
    )],
};
